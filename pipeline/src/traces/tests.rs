//! The bytes of a request, and what happens to spans that nobody takes.

use super::otlp;
use super::*;
use crate::config::{Post, Secret};
use span::Said;
use tokio_util::sync::CancellationToken;

fn span(failed: Option<&'static str>) -> Span {
    let trace = TraceId(std::array::from_fn(|at| 0x10 + at as u8));
    let said = vec![
        ("landfall.stream", Said::Name("us\"ers".to_owned())),
        ("landfall.events", Said::Count(u64::MAX)),
        ("landfall.outcome", Said::Word("committed")),
    ];
    Span { name: Name::Apply, trace, began: 1_700_000_000_000_000_001, ended: 1_700_000_000_002_000_001, said, failed }
}

#[test]
fn a_request_is_what_the_specification_says_to_the_byte() {
    let resource = format!(
        concat!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"landfall"}}}},"#,
            r#"{{"key":"service.version","value":{{"stringValue":"{v}"}}}},{{"key":"landfall.pipeline","value":{{"stringValue":"flux"}}}}]}},"#,
            r#""scopeSpans":[{{"scope":{{"name":"landfall","version":"{v}"}},"spans":["#,
        ),
        v = env!("CARGO_PKG_VERSION")
    );
    let one = concat!(
        r#"{"traceId":"101112131415161718191a1b1c1d1e1f","spanId":"18191a1b1c1d1e1f","name":"apply","kind":3,"#,
        r#""startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000002000001","attributes":["#,
        r#"{"key":"landfall.stream","value":{"stringValue":"us\"ers"}},"#,
        r#"{"key":"landfall.events","value":{"intValue":"18446744073709551615"}},"#,
        r#"{"key":"landfall.outcome","value":{"stringValue":"committed"}}],"status":"#,
    );
    let text = |failed| String::from_utf8(otlp::body("flux", &[span(failed)])).expect("text");
    assert_eq!(text(None), format!("{resource}{one}{{}}}}]}}]}}]}}"));
    let failed = r#"{"code":2,"message":"schema_drift"}"#;
    assert_eq!(text(Some("schema_drift")), format!("{resource}{one}{failed}}}]}}]}}]}}"));
}

fn sampler(room: usize) -> (Tracer, mpsc::Receiver<Span>, Arc<Tally>) {
    let (out, spans) = mpsc::channel(room);
    let tally = Arc::new(Tally::default());
    let sampler = Sampler { draw: Draw::seeded(1.0, 1), out, tally: Arc::clone(&tally), clock: Arc::new(SystemClock) };
    (Tracer(Some(Arc::new(sampler))), spans, tally)
}

#[test]
fn what_the_queue_does_not_hold_is_dropped_and_counted() {
    let (tracer, mut spans, tally) = sampler(3);
    for _ in 0..5 {
        tracer.begin(Name::Append).end();
    }
    // One that is dropped unended is none.
    drop(tracer.begin(Name::Append));
    assert_eq!(tally.counts(), [("sent", 0), ("dropped", 2)]);
    let (one, other) = (spans.try_recv().expect("a span"), spans.try_recv().expect("a span"));
    assert!(one.trace != other.trace && one.ended >= one.began && one.began > 1_600_000_000_000_000_000, "{one:?}");
}

#[test]
fn a_tracer_that_is_off_says_nothing_and_has_no_id() {
    let mut span = Tracer::default().begin(Name::Apply);
    span.say("landfall.events", 1);
    assert!(!span.is_sampled() && span.trace_id().is_none());
    span.end();
}

#[tokio::test]
async fn a_collector_that_is_not_there_does_not_hold_up_a_stop_and_its_spans_are_counted() {
    let (tracer, spans, tally) = sampler(10);
    (0..7).for_each(|_| tracer.begin(Name::Apply).end());
    drop(tracer);
    let to = Post { url: Secret::new("http://127.0.0.1:1/v1/traces".to_owned()), token: None };
    let stop = CancellationToken::new();
    stop.cancel();
    let exporter = Exporter::new(to, "flux", (spans, Arc::clone(&tally)));
    exporter.run(stop).await.expect("traces end nothing");
    assert_eq!(tally.counts(), [("sent", 0), ("dropped", 7)]);
}
