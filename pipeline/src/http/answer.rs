//! Answers: a status, a body, and the headers that every one of them carries.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

const JSON: &str = "application/json";
/// The page may load what we serve and talk to us, and nothing else; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// An answer of this status and body.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// An answer in JSON.
pub(super) fn json_answer(status: StatusCode, body: &impl Serialize) -> Answer {
    // Strings and numbers only: this cannot fail.
    answer(status, JSON, serde_json::to_vec(body).unwrap_or_default())
}

/// An answer in JSON that is written already.
pub(super) fn written_json(body: Bytes) -> Answer {
    answer(StatusCode::OK, JSON, body)
}

/// Why something is not answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into() }
    }

    /// As an answer.
    pub(super) fn answer(&self) -> Answer {
        let mut answer = json_answer(self.status, &json!({ "code": self.code, "detail": self.detail }));
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}
