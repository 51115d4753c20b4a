//! From a request to its answer.
//!
//! What is shown is written out once a published report and kept until the next one: a caller that asks a thousand times a second costs copies.

use super::answer::{Answer, Refusal, answer, json_answer, written_json};
use super::guard::{Caller, Guard};
use super::orders;
use super::page;
use super::route::Route;
use super::server::PATIENCE;
use crate::control::ControlHandler;
use crate::metrics::{Ages, Metrics, Requests, TextFormat};
use crate::status::StatusReport;
use crate::status::readiness::readiness;
use crate::timeline::Timeline;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest body of a request: an order is a few hundred bytes.
const MAX_BODY: usize = 16 * 1024;
/// Longest an order may take: it is written to the target.
const ORDER: Duration = Duration::from_secs(20);

/// What answers need.
pub(super) struct Web<H> {
    pub(super) handler: Arc<H>,
    pub(super) guard: Guard,
    pub(super) reports: watch::Receiver<Arc<StatusReport>>,
    pub(super) ages: Arc<Ages>,
    pub(super) timeline: Arc<Timeline>,
    pub(super) metrics: Metrics,
    pub(super) requests: Arc<Requests>,
    pub(super) shown: Mutex<Shown>,
}

/// What was written out of a report.
#[derive(Debug, Default)]
pub(super) struct Shown {
    of: Option<Arc<StatusReport>>,
    status: Option<Bytes>,
    open_metrics: Option<Bytes>,
    prometheus: Option<Bytes>,
}

impl<H: ControlHandler> Web<H> {
    /// The answer to a request.
    pub(super) async fn answer<B>(&self, request: Request<B>, caller: &Caller) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let route = Route::of(request.uri().path());
        let answered = match self.admitted(&request, route, caller) {
            Ok(route) if route.orders() => self.order(route, request).await,
            Ok(route) => Ok(self.show(route, request.headers())),
            Err(refusal) => Err(refusal),
        };
        let mut answered = answered.unwrap_or_else(|refusal| refusal.answer());
        if answered.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Some(route) = route
        {
            answered.headers_mut().insert(header::ALLOW, HeaderValue::from_static(route.methods()));
        }
        self.requests.count(route.map_or("other", Route::path), answered.status().as_u16());
        answered
    }

    /// How long an answer takes at most.
    pub(super) fn longest(&self) -> Duration {
        ORDER
    }

    fn admitted<B>(&self, request: &Request<B>, route: Option<Route>, caller: &Caller) -> Result<Route, Refusal> {
        self.guard.admit(request.headers(), request.uri(), caller)?;
        let unknown = || Refusal::new(StatusCode::NOT_FOUND, "unknown_path", "nothing is answered under this path");
        let route = route.ok_or_else(unknown)?;
        if !route.takes(request.method()) {
            let detail = format!("{} is asked by {}", route.path(), route.methods());
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail));
        }
        self.guard.allow(route, request.headers())?;
        Ok(route)
    }

    fn show(&self, route: Route, headers: &HeaderMap) -> Answer {
        match route {
            Route::Alive => answer(StatusCode::OK, "text/plain; charset=utf-8", "ok"),
            Route::Ready => self.ready(headers),
            Route::Status => written_json(self.status()),
            Route::Events => json_answer(StatusCode::OK, &self.timeline.entries()),
            Route::Metrics => {
                let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
                let format = TextFormat::accepted(accept);
                answer(StatusCode::OK, format.content_type(), self.metrics(format))
            }
            Route::Page(file) => page::of(file),
            // Orders are not shown.
            order => answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", order.methods()),
        }
    }

    fn ready(&self, headers: &HeaderMap) -> Answer {
        let report = Arc::clone(&self.reports.borrow());
        let mut found = readiness(&report, |stream| self.ages.seconds(stream));
        let status = if found.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if !self.guard.tells_all(headers) {
            found.reasons.clear();
        }
        json_answer(status, &found)
    }

    /// What is shown of the latest report.
    fn shown<T>(&self, show: impl FnOnce(&mut Shown, &StatusReport) -> T) -> T {
        let report = Arc::clone(&self.reports.borrow());
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !shown.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &report)) {
            *shown = Shown { of: Some(Arc::clone(&report)), ..Shown::default() };
        }
        show(&mut shown, &report)
    }

    fn status(&self) -> Bytes {
        self.shown(|shown, report| {
            // Strings and numbers only: this cannot fail.
            let write = || serde_json::to_vec(report).unwrap_or_default().into();
            shown.status.get_or_insert_with(write).clone()
        })
    }

    fn metrics(&self, format: TextFormat) -> Bytes {
        self.shown(|shown, _| {
            let place = match format {
                TextFormat::OpenMetrics => &mut shown.open_metrics,
                TextFormat::Prometheus => &mut shown.prometheus,
            };
            place.get_or_insert_with(|| self.metrics.text(format).into()).clone()
        })
    }

    async fn order<B>(&self, route: Route, request: Request<B>) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !is_json(request.headers()) {
            let detail = "an order is JSON: `Content-Type: application/json`";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
        }
        let actor = orders::actor(request.headers());
        let body = read(request.into_body()).await?;
        if route == Route::LogLevel {
            let turned = orders::turn_log(&*self.handler, &body, actor).await;
            return turned.map(|done| json_answer(StatusCode::OK, &done));
        }
        let names = || self.reports.borrow().streams.iter().map(|stream| stream.name.clone()).collect();
        let work = orders::carry_out(&*self.handler, route, (&body, actor), names);
        let late = |_| {
            let detail = "this took too long; whether it was done is seen in the status";
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", detail)
        };
        timeout(ORDER, work).await.map_err(late)?.map(|done| json_answer(StatusCode::OK, &done))
    }
}

/// The whole body, which is small and comes soon.
async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "an order has at most 16 KiB");
    // What says that it is too large need not be read to find out.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(large());
    }
    let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not come in time");
    let collected = timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await.map_err(late)?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return large();
        }
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the body did not come whole")
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
