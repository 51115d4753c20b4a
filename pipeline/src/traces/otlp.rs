//! Spans as the JSON of OTLP 1 (`ExportTraceServiceRequest`): lowerCamelCase, ids in hex, integers of 64 bits as decimal texts, enumerations as
//! numbers. See opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding".

use super::span::{Name, Said, Span};
use serde::Serialize;

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
/// `SPAN_KIND_CLIENT`: what goes to the target.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`; without a code a status is unset.
const ERROR: u8 = 2;
/// What the spans are made by.
const SCOPE: &str = "landfall";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The body of one request.
pub(super) fn body(pipeline: &str, spans: &[Span]) -> Vec<u8> {
    let attributes = vec![
        attribute("service.name", Value::Text(SCOPE)),
        attribute("service.version", Value::Text(VERSION)),
        attribute("landfall.pipeline", Value::Text(pipeline)),
    ];
    let spans = spans.iter().map(span).collect();
    let scope_spans = [ScopeSpans { scope: Scope { name: SCOPE, version: VERSION }, spans }];
    let request = Request { resource_spans: [ResourceSpans { resource: Resource { attributes }, scope_spans }] };
    // Texts and numbers: there is nothing that could fail.
    serde_json::to_vec(&request).unwrap_or_default()
}

fn span(span: &Span) -> SpanJson<'_> {
    let kind = if span.name == Name::Append { INTERNAL } else { CLIENT };
    SpanJson {
        trace_id: span.trace.to_string(),
        span_id: span.trace.span().to_string(),
        name: span.name.word(),
        kind,
        start_time_unix_nano: span.began.to_string(),
        end_time_unix_nano: span.ended.to_string(),
        attributes: span.said.iter().map(|(name, said)| attribute(name, value(said))).collect(),
        status: Status { code: span.failed.map(|_| ERROR), message: span.failed },
    }
}

fn value(said: &Said) -> Value<'_> {
    match said {
        Said::Name(name) => Value::Text(name),
        Said::Word(word) => Value::Text(word),
        Said::Count(count) => Value::Number(count.to_string()),
    }
}

fn attribute<'v>(key: &'v str, value: Value<'v>) -> Attribute<'v> {
    Attribute { key, value }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'s> {
    resource_spans: [ResourceSpans<'s>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'s> {
    resource: Resource<'s>,
    scope_spans: [ScopeSpans<'s>; 1],
}

#[derive(Serialize)]
struct Resource<'s> {
    attributes: Vec<Attribute<'s>>,
}

#[derive(Serialize)]
struct ScopeSpans<'s> {
    scope: Scope,
    spans: Vec<SpanJson<'s>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson<'s> {
    trace_id: String,
    span_id: String,
    name: &'static str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'s>>,
    status: Status,
}

#[derive(Serialize)]
struct Attribute<'s> {
    key: &'s str,
    value: Value<'s>,
}

#[derive(Serialize)]
enum Value<'s> {
    #[serde(rename = "stringValue")]
    Text(&'s str),
    #[serde(rename = "intValue")]
    Number(String),
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}
