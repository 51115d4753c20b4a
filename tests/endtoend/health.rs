//! The service holds itself back while the target suffers: at once, with the reason told everywhere, until the target is well again.

mod copy;
mod page;
mod sessions;
mod standby;

use crate::http::{TOKEN, end, ready, scrape, start, wait_series};
use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::http::Http;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);
/// Rows of the first revision.
const ROWS: i64 = 40;
/// Holds are shown for at least so long before a test believes that nothing is written.
const LONG_ENOUGH: f64 = 3.0;

/// A configuration with these limits, answered for over HTTP.
fn config(name: &str, health: &Value) -> Config {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let target = json!({ "url": "${DATABASE_URL}", "schema": "public", "max_connections": 2, "health": health });
    Config::new(name).section("target", target).http().source("store", source).stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    )
}

/// Its store and its tables, audited.
fn prepared(site: &Site) -> DocumentStore {
    let document = prepared_plainly(site);
    landfall_tests::audit::install(site.login(), &site.config().tables());
    document
}

/// The same without an audit, which a plain role may not set up.
fn prepared_plainly(site: &Site) -> DocumentStore {
    std::fs::write(site.path("token"), TOKEN).unwrap();
    let document = DocumentStore::create(&site.path("store.json"), &["users"], ROWS as u64, Seed::new(11));
    site.apply_schema();
    document
}

/// A site whose health is a number in a table.
fn pressed(name: &str, pressure: u32) -> (Site, DocumentStore) {
    let query = json!({ "sql": "SELECT max(n) FROM pressure -- as the service sees it", "limit": 5 });
    let site = Site::new(config(name, &json!({ "query": query })));
    site.database().run(&format!("create table public.pressure (n numeric); insert into pressure values ({pressure})"));
    let document = prepared(&site);
    (site, document)
}

fn press(site: &Site, pressure: &str) {
    site.database().run(&format!("update pressure set n = {pressure}"));
}

fn rows(site: &Site) -> i64 {
    site.database().count("select count(*) from users")
}

/// What `status -o json` says of a limit now.
fn measure(site: &Site, name: &str) -> Value {
    let status = site.status().map(|status| status.json().clone()).unwrap_or_default();
    let measures = status["target"]["health"]["measures"].as_array().cloned().unwrap_or_default();
    measures.into_iter().find(|one| one["measure"] == name).unwrap_or_default()
}

#[track_caller]
fn expect_measure(site: &Site, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = wait_for(SOON, || {
        last = measure(site, name);
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("{name} was never {what}; last: {last}"))
}

fn holds(seen: &Value) -> bool {
    seen["holds"] == true
}

/// Waits until the limit holds, adds records, and proves that none of them is written while they wait.
#[track_caller]
fn expect_nothing_written(site: &Site, document: &mut DocumentStore, name: &str) {
    let held = expect_measure(site, name, "holding", holds);
    // What was on its way to a commit as the limit was passed has arrived.
    let before = wait_for(SOON, || {
        let seen = rows(site);
        (measure(site, name)["held_seconds"].as_f64() > held["held_seconds"].as_f64() && rows(site) == seen)
            .then_some(seen)
    });
    let before = before.unwrap_or_else(|| panic!("rows still come while {name} holds"));
    let from = measure(site, name)["held_seconds"].as_f64().unwrap();
    document.add("users", 20);
    site.expect_stream("users", "queued behind the hold", |stream| {
        serde_json::from_str::<Value>(&stream.text()).unwrap()["queued"].as_u64() >= Some(20)
    });
    expect_measure(site, name, "holding for a while", |seen| seen["held_seconds"].as_f64() >= Some(from + LONG_ENOUGH));
    assert_eq!(rows(site), before, "nothing is written while {name} holds");
    let stream = site.status().unwrap().stream("users").unwrap();
    assert!(stream.text().contains(&format!(r#""held_by":["{name}"]"#)), "{}", stream.text());
}

/// It is among what happened.
#[track_caller]
fn told(http: &Http, what: &str) {
    wait_until(SOON, what, || http.get("/api/v1/events").expect(200).body.contains(what));
}

fn history(site: &Site, event: &str) -> Vec<Option<String>> {
    let sql = format!("select actor from landfall.history where event = '{event}' order by id");
    site.database().rows(&sql).into_iter().map(|row| row[0].clone()).collect()
}

#[test]
fn beyond_the_limit_of_a_query_nothing_is_written_and_everybody_is_told_why() {
    let (site, mut document) = pressed("health_query", 0);
    let (service, http) = start(&site);
    ready(&http);
    site.expect_soon_equal("while it is well");
    assert_eq!(scrape(&http).value("landfall_target_health_holds{reason=\"query\"}"), 0.0);
    press(&site, "9.5");
    expect_nothing_written(&site, &mut document, "query");

    let words = "what target.health.query gives: 9.5 (limit 5)";
    let shown = site.finish(&["status"]).expect(0).stdout;
    assert!(shown.contains("throttled (query)") && shown.contains(words), "{shown}");
    let report = http.get("/api/v1/status").expect(200).json();
    assert_eq!(report["streams"][0]["held_by"], json!(["query"]));
    assert_eq!(report["target"]["health"]["measures"][0]["words"], words);
    let metrics = scrape(&http);
    assert_eq!(metrics.value("landfall_target_health_holds{reason=\"query\"}"), 1.0);
    assert_eq!(metrics.value("landfall_stream_held_by_health{stream=\"users\"}"), 1.0);
    assert!(metrics.value("landfall_target_health_held_seconds_total{reason=\"query\"}") >= LONG_ENOUGH);
    told(&http, "throttled_by_health");
    let _ = http.get("/readyz").expect(200);

    press(&site, "5");
    site.expect_soon_equal("well again");
    site.expect_witness("well again");
    let _ = wait_series(&http, "landfall_target_health_holds{reason=\"query\"}", |value| value == 0.0);
    told(&http, "health_released");
    assert_eq!(rows(&site), ROWS + 20);
    let log = service.stderr();
    assert_eq!(log.matches("throttled_by_health").count(), 1, "one line a transition: {log}");
    assert!(log.contains(words) && log.contains("health_released"), "{log}");
    end(service);
}

#[test]
fn a_first_load_waits_too_and_an_end_is_not_delayed_by_what_waits() {
    let (site, document) = pressed("health_first_load", 9);
    let (service, _http) = start(&site);
    expect_measure(&site, "query", "holding for a while", |seen| seen["held_seconds"].as_f64() >= Some(LONG_ENOUGH));
    assert_eq!(rows(&site), 0, "the first look comes before the first batch");
    service.terminate();
    let ended = service.finish(Duration::from_secs(8)).expect(0);
    assert!(ended.stderr.contains("throttled_by_health"), "{}", ended.stderr);
    press(&site, "1");
    site.catch_up();
    site.expect_equal("well again");
    drop(document);
}

#[test]
fn who_is_told_to_ignores_it_and_the_word_outlives_the_service() {
    let (site, mut document) = pressed("health_ignored", 0);
    let (service, http) = start(&site);
    ready(&http);
    press(&site, "9");
    expect_nothing_written(&site, &mut document, "query");
    let why = ["--target-health", "ignore", "--actor", "ada", "--reason", "it is the cutover"];
    let _ = site.finish(&[&["throttle", "users"], why.as_slice()].concat()).expect(0);
    site.expect_soon_equal("ignoring it");
    assert!(holds(&measure(&site, "query")), "it is still told");
    let shown = site.finish(&["status"]).expect(0).stdout;
    assert!(shown.contains("users ignores the target's health, as ada said: it is the cutover"), "{shown}");
    told(&http, "the target's health is ignored by ada");
    end(service);

    let shown = site.finish(&["status"]).expect(0).stdout;
    assert!(shown.contains("ignores the target's health"), "with no service running too: {shown}");
    let (service, http) = start(&site);
    expect_measure(&site, "query", "holding", holds);
    document.add("users", 10);
    site.expect_soon_equal("still ignoring it");
    let said = http.order("/api/v1/throttle", TOKEN, r#"{"target_health":"heed","reason":"it is over"}"#).expect(200);
    assert_eq!(said.json()["change"], json!({ "to": "target_health", "heeding": "heed" }));
    expect_nothing_written(&site, &mut document, "query");
    told(&http, "health_heeded");
    let both = r#"{"target_health":"ignore","rows_per_second":5}"#;
    assert_eq!(http.order("/api/v1/throttle", TOKEN, both).expect(400).json()["code"], "bad_request");
    press(&site, "0");
    site.expect_soon_equal("well again");
    end(service);
    assert_eq!(history(&site, "health_ignored"), [Some("ada".to_owned())]);
    assert_eq!(history(&site, "health_heeded"), [Some("http".to_owned())]);
    let _ = site.finish(&["throttle", "--target-health", "ignore"]).expect(0);
    assert_eq!(history(&site, "health_ignored").len(), 2, "without a service as well");
    assert_eq!(site.finish(&["throttle", "--target-health", "ignore", "--off"]).code, Some(2));
}

#[test]
fn a_query_that_gives_no_number_is_told_and_holds_nothing_back() {
    let (mut site, mut document) = pressed("health_refused", 0);
    site.database().run("create sequence public.numbers");
    let hostile = [
        ("SELECT 1; DROP TABLE public.users", "42601"),
        ("SELECT 1) ; DROP TABLE public.users --", "42601"),
        ("SELECT pg_catalog.pg_sleep(30)", "is no number"),
        ("SELECT 1 FROM pg_catalog.pg_sleep(30)", "takes longer than 1 s"),
        ("SELECT 1 UNION SELECT 2", "more than one row"),
        ("SELECT 1, 2", "42601"),
        ("SELECT 'canary-value'", "is no number"),
        ("SELECT NULL::int", "gives no number"),
        ("SELECT 'Infinity'::float8", "gives no number"),
        ("SELECT 1 WHERE false", "gives no number"),
        ("SELECT $1::int", "has parameters"),
        ("SELECT nextval('public.numbers')", "writes"),
        ("WITH gone AS (DELETE FROM public.users RETURNING 1) SELECT count(*) FROM gone", "0A000"),
        ("SELECT count(*) FROM public.nowhere", "42P01"),
    ];
    for (sql, told) in hostile {
        site.reconfigure(config("health_refused", &json!({ "query": { "sql": sql, "limit": 5 } })));
        let said = site.finish(&["check"]).expect(0).stdout;
        assert!(said.contains("query cannot be read") && said.contains(told), "{sql}: {said}");
        assert!(!said.contains("canary-value"), "{said}");
    }
    let (service, http) = start(&site);
    ready(&http);
    let blind = expect_measure(&site, "query", "unreadable", |seen| seen["trouble"]["code"] == "health_unreadable");
    assert!(blind["holds"] == false && blind["words"].as_str().unwrap().contains("holds nothing back"), "{blind}");
    document.add("users", 5);
    site.expect_soon_equal("unread");
    assert_eq!(scrape(&http).value("landfall_target_health_unreadable{reason=\"query\"}"), 1.0);
    told(&http, "health_unreadable");
    let shown = site.finish(&["status"]).expect(0).stdout;
    assert!(shown.contains("query cannot be read (health_unreadable: target.health.query is refused"), "{shown}");
    site.database().run("create table public.nowhere (); insert into public.nowhere default values");
    expect_measure(&site, "query", "readable", |seen| seen["value"] == 1.0);
    told(&http, "health_readable");
    end(service);
}
