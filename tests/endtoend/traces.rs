//! Traces: the spans that a collector was sent add up to what stands in the target, hold no value, and cost nothing when nobody takes them.

use crate::http::{found, scrape};
use landfall_tests::collector::{Collector, TakenSpan};
use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::landfall::Landfall;
use landfall_tests::manner::Manner;
use landfall_tests::postgres_server::PASSWORD;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// Stands in rows, in a letter and in the token.
const CANARY: &str = "canary-trace-77b1";
const FAILS: &str = "traces_failed";
const WELL: &str = "takes spans again";

/// Users of a document, and orders line by line.
fn config(name: &str, traces: Value) -> Config {
    Config::new(name)
        .section("traces", traces)
        .section("http", json!({ "listen": "127.0.0.1:0" }))
        .source("store", json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" }))
        .source("log", json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" }))
        .stream("users", "store", json!({ "select": "/users", "key": "id" }))
        .stream("orders", "log", json!({ "key": "id", "columns": { "n": "integer", "t": "text" } }))
}

fn prepared(site: &Site) -> DocumentStore {
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 40, Seed::new(5));
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    write(site, 1..=20);
    site.apply_schema();
    document
}

fn write(site: &Site, numbers: std::ops::RangeInclusive<u32>) {
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    for number in numbers {
        writeln!(log, r#"{{"id":"{CANARY}{number}","n":{number},"t":"{CANARY}"}}"#).unwrap();
    }
}

#[track_caller]
fn expect_orders(site: &Site, service: &Landfall, rows: i64) {
    let counted = wait_for(SOON, || (site.database().count("select count(*) from orders") == rows).then_some(()));
    assert!(counted.is_some(), "{rows} rows never stood: {:#?}\n{}", site.status(), service.stderr());
}

fn end(service: Landfall) -> String {
    service.terminate();
    service.finish(Duration::from_secs(60)).expect(0).stderr
}

/// The committed batches of a stream.
fn committed(spans: &[TakenSpan], stream: &str) -> Vec<TakenSpan> {
    let of = |span: &&TakenSpan| span.text("landfall.stream") == stream && span.text("landfall.outcome") == "committed";
    spans.iter().filter(of).cloned().collect()
}

fn sum(spans: &[TakenSpan], key: &str) -> i64 {
    spans.iter().map(|span| span.number(key)).sum()
}

/// Every event that the target's checkpoints have passed is in one committed span, and so is what became of it.
#[track_caller]
fn expect_all_events(site: &Site, spans: &[TakenSpan]) {
    for stream in ["users", "orders"] {
        let of = |what: &str| {
            site.database()
                .count(&format!("select sum({what})::int8 from landfall.checkpoints where stream = '{stream}'"))
        };
        let batches = committed(spans, stream);
        let told = (sum(&batches, "landfall.events"), sum(&batches, "landfall.dead_letters"));
        assert_eq!(told, (of("next_offset"), of("dead_lettered")), "{stream}: {batches:#?}");
        let written = sum(&batches, "landfall.rows_upserted") + sum(&batches, "landfall.rows_deleted");
        assert_eq!(written, of("applied"), "{stream}: {batches:#?}");
    }
    // A line is one change; the end of a revision is one change and an event of every partition.
    let appended: Vec<TakenSpan> = spans.iter().filter(|span| span.text("landfall.source") == "log").cloned().collect();
    let passed =
        site.database().count("select sum(next_offset)::int8 from landfall.checkpoints where stream = 'orders'");
    assert_eq!(sum(&appended, "landfall.changes"), passed, "{appended:#?}");
}

#[test]
fn the_spans_of_a_run_add_up_to_what_the_target_holds_and_hold_no_value() {
    let collector = Collector::start(200);
    let traces = json!({ "endpoint": format!("{}/", collector.endpoint()), "token": "file:token" });
    let site = Site::new(config("traces_sum", traces));
    std::fs::write(site.path("token"), format!("{CANARY}-token\n")).unwrap();
    let mut document = prepared(&site);
    let service = site.run_and_listen();
    expect_orders(&site, &service, 20);
    wait_until(SOON, "spans are sent while it runs", || !collector.spans().is_empty());
    // Live changes, a deletion, a record that is parked, and a halt in between.
    let gone = document.keys("users")[0];
    document.remove("users", gone);
    let _ = document.insert("users");
    document.write(Manner::Atomic);
    std::fs::OpenOptions::new()
        .append(true)
        .open(site.path("log.ndjson"))
        .and_then(|mut log| writeln!(log, r#"{{"id":"odd","n":"{CANARY}"}}"#))
        .unwrap();
    wait_until(SOON, "it is parked", || site.database().count("select count(*) from landfall.dead_letters") == 1);
    site.database().run("alter table orders rename column t to u");
    write(&site, 21..=30);
    site.expect_stream("orders", "halted", |stream| stream.state().contains("halted"));
    site.database().run("alter table orders rename column u to t");
    expect_orders(&site, &service, 30);
    wait_until(SOON, "the deletion is applied", || {
        let rows = site.database().count(&format!("select count(*) from users where key = '{gone}'"));
        rows == 0 && site.database().count("select count(*) from users") == document.keys("users").len() as i64
    });
    let log = end(service);
    let (spans, sent) = (collector.spans(), collector.sent());
    expect_all_events(&site, &spans);
    expect_well_formed(&spans);
    for one in &sent {
        assert!(one.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", one.head);
        assert!(one.head.contains("content-type: application/json"), "{}", one.head);
        assert!(one.head.contains(&format!("authorization: Bearer {CANARY}-token")), "{}", one.head);
        assert!(
            one.body.contains(r#"{"key":"landfall.pipeline","value":{"stringValue":"traces_sum"}}"#),
            "{}",
            one.body
        );
        assert!(!one.body.contains(CANARY) && !one.body.contains(PASSWORD), "{}", one.body);
    }
    // The line of the halt leads to its span.
    let line = log
        .lines()
        .find(|line| line.contains("schema_drift") && line.contains("trace_id="))
        .unwrap_or_else(|| panic!("{log}"));
    let id = line.split("trace_id=").nth(1).and_then(|rest| rest.get(..32)).unwrap();
    let span = spans.iter().find(|span| span.member("traceId") == id).unwrap_or_else(|| panic!("{line}: {spans:#?}"));
    assert_eq!((span.text("landfall.outcome"), span.text("landfall.code")), ("halted", "schema_drift"));
    assert_eq!(
        (&span.member("status")["code"], &span.member("status")["message"]),
        (&json!(2), &json!("schema_drift"))
    );
    assert!(!log.contains(FAILS) && !log.contains(CANARY), "{log}");
}

fn expect_well_formed(spans: &[TakenSpan]) {
    let mut seen = BTreeSet::new();
    for span in spans {
        let text = |name: &str| span.member(name).as_str().unwrap().to_owned();
        let (trace, own) = (text("traceId"), text("spanId"));
        assert!(trace.len() == 32 && own.len() == 16, "{span:?}");
        assert!(
            (trace.clone() + &own).bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()),
            "{span:?}"
        );
        assert!(seen.insert(trace), "a batch is a trace of its own: {span:?}");
        let nanos = |name: &str| text(name).parse::<u64>().unwrap();
        let (began, ended) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
        assert!(began > 1_600_000_000_000_000_000 && began <= ended, "{span:?}");
        assert!(["append", "apply"].contains(&text("name").as_str()), "{span:?}");
    }
}

#[test]
fn a_collector_that_is_busy_for_a_while_slows_nothing_and_is_sent_everything_afterwards() {
    let collector = Collector::start(503);
    let site = Site::new(config("traces_busy", json!({ "endpoint": collector.endpoint() })));
    let _document = prepared(&site);
    let service = site.run_and_listen();
    let http = found(&site, &service);
    expect_orders(&site, &service, 20);
    wait_until(SOON, "the collector is asked again", || collector.sent().len() >= 3);
    for round in 0..5 {
        write(&site, 21 + round * 10..=30 + round * 10);
        expect_orders(&site, &service, 30 + i64::from(round) * 10);
    }
    assert_eq!(scrape(&http).value("landfall_trace_spans_total{outcome=\"sent\"}"), 0.0);
    collector.answers(200);
    wait_until(SOON, "it is said that it is well", || service.stderr().contains(WELL));
    let counts = scrape(&http);
    assert!(counts.value("landfall_trace_spans_total{outcome=\"sent\"}") > 0.0);
    assert_eq!(counts.value("landfall_trace_spans_total{outcome=\"dropped\"}"), 0.0);
    let log = end(service);
    assert_eq!((log.matches(FAILS).count(), log.matches(WELL).count()), (1, 1), "{log}");
    expect_all_events(&site, &collector.spans());
}

#[test]
fn what_a_collector_refuses_is_dropped_and_counted_and_one_that_is_not_there_holds_up_nothing() {
    let collector = Collector::start(401);
    let site = Site::new(config("traces_refused", json!({ "endpoint": collector.endpoint() })));
    let _document = prepared(&site);
    let service = site.run_and_listen();
    let http = found(&site, &service);
    expect_orders(&site, &service, 20);
    wait_until(SOON, "they are counted", || {
        scrape(&http).value("landfall_trace_spans_total{outcome=\"dropped\"}") > 0.0
    });
    write(&site, 21..=30);
    expect_orders(&site, &service, 30);
    let log = end(service);
    assert_eq!((log.matches(FAILS).count(), log.contains("answered 401")), (1, true), "{log}");
    assert_eq!(collector.spans().len(), 0);

    let site = Site::new(config("traces_absent", json!({ "endpoint": "http://127.0.0.1:1" })));
    let _document = prepared(&site);
    let service = site.run_and_listen();
    expect_orders(&site, &service, 20);
    wait_until(SOON, "it is said", || service.stderr().contains(FAILS));
    write(&site, 21..=30);
    expect_orders(&site, &service, 30);
    let log = end(service);
    assert_eq!(log.matches(FAILS).count(), 1, "{log}");
}

#[test]
fn nothing_is_sent_where_no_batch_is_sampled() {
    let collector = Collector::start(200);
    let site = Site::new(config("traces_none", json!({ "endpoint": collector.endpoint(), "ratio": 0 })));
    let _document = prepared(&site);
    let log = site.catch_up().stderr;
    assert_eq!(site.database().count("select count(*) from orders"), 20);
    assert!(!log.contains("holds a password"), "the address of a collector is no secret: {log}");
    assert!(collector.sent().is_empty() && !log.contains("trace_id"), "{:#?}\n{log}", collector.sent());
}
