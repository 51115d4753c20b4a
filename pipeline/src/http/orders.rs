//! What operators order over HTTP, handed to the same handler as on the control socket.

use super::answer::Refusal;
use super::route::Route;
use crate::control::protocol::{ControlChange, HealthHeeding, MAX_REASON};
use crate::control::server::{Decide, SetControl};
use crate::control::{ControlHandler, Refused};
use crate::log_dial::LogLevel;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::num::NonZeroU64;

/// Who ordered it, where the caller does not say.
const ACTOR: &str = "http";
/// Longest name of who ordered it, in characters.
const MAX_ACTOR: usize = 63;

/// Body of `pause` and `resume`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Controlled {
    #[serde(default)]
    streams: Vec<String>,
    #[serde(default)]
    reason: String,
}

/// Body of `throttle`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Throttled {
    #[serde(default)]
    streams: Vec<String>,
    #[serde(default, deserialize_with = "said")]
    rows_per_second: Option<Option<NonZeroU64>>,
    target_health: Option<HealthHeeding>,
    #[serde(default)]
    reason: String,
}

/// Body of `decide`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Decided {
    stream: String,
    subject: String,
    accept: bool,
}

/// Body of `log-level`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Level {
    level: LogLevel,
}

/// `null` is said, and a member that is missing is not: who forgets the rate lifts no throttle.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<NonZeroU64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Throttled {
    /// One order orders one thing.
    fn change(&self) -> Result<ControlChange, Refusal> {
        match (self.rows_per_second, self.target_health) {
            (Some(rows_per_second), None) => Ok(ControlChange::Throttle { rows_per_second }),
            (None, Some(heeding)) => Ok(ControlChange::TargetHealth { heeding }),
            (Some(_), Some(_)) | (None, None) => {
                let detail = "a throttle says either rows_per_second or target_health";
                Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_request", detail))
            }
        }
    }
}

/// Who orders: what `X-Actor` says, as far as it can be shown.
pub(super) fn actor(headers: &HeaderMap) -> String {
    let said = headers.get("x-actor").and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).unwrap_or_default();
    let shown: String = said.chars().filter(|c| !c.is_control()).take(MAX_ACTOR).collect();
    let shown = shown.trim();
    if shown.is_empty() { ACTOR.to_owned() } else { shown.to_owned() }
}

/// Carries an order out; what is answered. `names` are the streams there are, for orders that name none.
pub(super) async fn carry_out(
    handler: &impl ControlHandler,
    route: Route,
    (body, actor): (&[u8], String),
    names: impl FnOnce() -> Vec<String>,
) -> Result<Value, Refusal> {
    let (streams, change, reason) = match route {
        Route::Pause | Route::Resume => {
            let Controlled { streams, reason } = parse(body)?;
            (streams, if route == Route::Pause { ControlChange::Pause } else { ControlChange::Resume }, reason)
        }
        Route::Throttle => {
            let throttled: Throttled = parse(body)?;
            let change = throttled.change()?;
            (throttled.streams, change, throttled.reason)
        }
        Route::Decide => {
            let Decided { stream, subject, accept } = parse(body)?;
            let done = json!({ "stream": stream, "subject": subject, "accept": accept });
            return handler.decide(Decide { stream, subject, accept, actor }).await.map(|()| done).map_err(refusal);
        }
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_path", "nothing is ordered under this path")),
    };
    let streams = if streams.is_empty() { names() } else { streams };
    let reason = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    let done = json!({ "streams": streams, "change": change });
    handler.control(SetControl { streams, change, actor, reason }).await.map(|()| done).map_err(refusal)
}

/// Turns the level of the log; remembered in the log itself, since it lasts as long as the process does.
pub(super) async fn turn_log(handler: &impl ControlHandler, body: &[u8], actor: String) -> Result<Value, Refusal> {
    let Level { level } = parse(body)?;
    handler.log_level(level, actor).await.map(|()| json!({ "level": level })).map_err(refusal)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // Without the parser's words, which show what was sent.
    let place = |error: serde_json::Error| {
        let detail =
            format!("this is not the order that this path takes (line {}, column {})", error.line(), error.column());
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    };
    // A list would be read as members in their order: an empty one would order something of all streams.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "an order is a JSON object"));
    }
    serde_json::from_slice(body).map_err(place)
}

fn refusal(refused: Refused) -> Refusal {
    let status = match refused.code.as_str() {
        "unknown_stream" => StatusCode::NOT_FOUND,
        "nothing_held" | "log_is_fixed" => StatusCode::CONFLICT,
        // The target, for now.
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal { status, code: refused.code, detail: refused.detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    #[test]
    fn who_orders_is_what_can_be_shown_of_a_name() {
        let of = |bytes: &[u8]| {
            let value = HeaderValue::from_bytes(bytes).expect("a value");
            actor(&[(HeaderName::from_static("x-actor"), value)].into_iter().collect())
        };
        assert_eq!(actor(&HeaderMap::new()), "http");
        assert_eq!(of(b"ada\t "), "ada");
        assert_eq!(of(b"  "), "http");
        assert_eq!(of(&[0xff, 0xfe]), "http");
        assert_eq!(of("ü".repeat(100).as_bytes()), "ü".repeat(63));
    }

    #[test]
    fn one_thing_must_be_said_and_unknown_members_are_refused() {
        let rate = |text: &str| parse::<Throttled>(text.as_bytes()).and_then(|one| one.change());
        let throttle = |rate: u64| ControlChange::Throttle { rows_per_second: NonZeroU64::new(rate) };
        assert_eq!(rate(r#"{"rows_per_second":5}"#).ok(), Some(throttle(5)));
        assert_eq!(rate(r#"{"rows_per_second":null,"streams":["a"]}"#).ok(), Some(throttle(0)));
        let ignored = ControlChange::TargetHealth { heeding: HealthHeeding::Ignore };
        assert_eq!(rate(r#"{"target_health":"ignore"}"#).ok(), Some(ignored));
        let both = r#"{"rows_per_second":null,"target_health":"heed"}"#;
        for bad in [
            both,
            r#"{"target_health":"yes"}"#,
            r#"{"target_health":null}"#,
            "{}",
            r#"{"rows_per_second":0}"#,
            r#"{"rows_per_second":null,"stream":"a"}"#,
            "[]",
            "",
            "secret",
        ] {
            let refused = rate(bad).expect_err(bad);
            assert!(refused.code == "bad_request" && !refused.detail.contains("secret"));
        }
    }
}
