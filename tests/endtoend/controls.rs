//! Pause, resume and throttle: what they hold, what they never hold, and that they outlive the service.

use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::landfall::Landfall;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(45);

fn site(name: &str) -> (Site, DocumentStore) {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site = Site::new(Config::new(name).source("store", source).stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    ));
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 40, Seed::new(3));
    site.apply_schema_with_audit();
    (site, document)
}

fn rows(site: &Site) -> i64 {
    site.database().count("select count(*) from users")
}

fn queued(site: &Site, what: &str, at_least: u64) {
    site.expect_stream("users", what, |stream| {
        let report: serde_json::Value = serde_json::from_str(&stream.text()).unwrap();
        report["queued"].as_u64().unwrap() >= at_least
    });
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_pause_holds_rows_and_not_capture_and_outlives_the_service() {
    let (site, mut document) = site("paused");
    let service = site.run_and_listen();
    site.expect_soon_equal("before the pause");
    let _ = site.finish(&["pause", "users", "--actor", "ada", "--reason", "a long vacuum"]).expect(0);
    document.add("users", 30);
    queued(&site, "queued behind the pause", 30);
    document.add("users", 30);
    queued(&site, "growing behind the pause", 60);
    assert_eq!(rows(&site), 40, "nothing is applied");
    let told = site.finish(&["status"]).expect(0).stdout;
    assert!(told.contains("paused by ada: a long vacuum") && told.contains("landfall resume users"), "{told}");
    end(service);

    let ended = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert!(ended.output().contains("paused by ada"), "{}", ended.output());
    assert_eq!(rows(&site), 40, "a restart keeps the pause");
    let told = site.finish(&["status"]).expect(0).stdout;
    assert!(told.contains("paused by ada"), "with no service running too: {told}");

    let service = site.run_and_listen();
    queued(&site, "still queued", 60);
    let _ = site.finish(&["resume"]).expect(0);
    site.expect_soon_equal("resumed");
    site.expect_witness("resumed");
    end(service);
    let said = site
        .database()
        .rows("select event, actor from landfall.history where event in ('paused', 'resumed') order by id");
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], [Some("paused".to_owned()), Some("ada".to_owned())]);
}

#[test]
fn a_pause_and_its_end_need_no_service() {
    let (site, mut document) = site("paused_offline");
    site.catch_up();
    let _ = site.finish(&["pause"]).expect(0);
    let _ = site.finish(&["run", "--until-caught-up"]).expect(0);
    document.add("users", 5);
    let _ = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert_eq!(rows(&site), 40);
    let _ = site.finish(&["resume", "users"]).expect(0);
    site.catch_up();
    site.expect_equal("resumed without a service");
    let nobody = site.finish(&["pause", "nobody"]).expect(2);
    assert!(nobody.output().contains("users"), "the streams are named: {}", nobody.output());
}

#[test]
fn a_throttle_holds_the_rate_and_is_taken_off_live() {
    let (site, mut document) = site("throttled");
    let service = site.run_and_listen();
    site.expect_soon_equal("before the throttle");
    let _ = site.finish(&["throttle", "users", "--rows-per-second", "50"]).expect(0);
    let before = Instant::now();
    document.add("users", 300);
    wait_until(SOON, "the throttled rows to arrive", || rows(&site) == 340);
    // The first second's rows go at once; the other five are waited for.
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(4), "300 rows at 50 a second came in {took:?}");
    assert!(took <= Duration::from_secs(30), "300 rows at 50 a second came in {took:?}");
    let told = site.finish(&["status"]).expect(0).stdout;
    assert!(told.contains("at most 50 rows a second"), "{told}");
    let _ = site.finish(&["throttle", "users", "--rows-per-second", "1"]).expect(0);
    document.add("users", 300);
    let _ = site.finish(&["throttle", "--off"]).expect(0);
    site.expect_soon_equal("no longer throttled");
    site.expect_witness("no longer throttled");
    end(service);
}

/// The moments at which rows came, and how many had come by then.
fn arrivals(site: &Site, until: i64) -> Vec<(Instant, i64)> {
    let mut database = site.database();
    let mut seen: Vec<(Instant, i64)> = Vec::new();
    wait_until(SOON, "the throttled rows to arrive", || {
        let now = database.count("select count(*) from users");
        if seen.last().is_none_or(|(_, before)| *before != now) {
            seen.push((Instant::now(), now));
        }
        now >= until
    });
    seen
}

#[test]
fn a_throttled_stream_writes_at_its_rate_give_or_take_a_tenth() {
    const RATE: f64 = 100.0;
    let (site, mut document) = site("throttled_rate");
    let service = site.run_and_listen();
    site.expect_soon_equal("before the throttle");
    let _ = site.finish(&["throttle", "users", "--rows-per-second", "100"]).expect(0);
    document.add("users", 1_500);
    let seen = arrivals(&site, 1_540);
    // A batch pays for the time behind it: rows before the last arrival over the time between the first one and that.
    let [first, second, .., before_last, last] = seen.as_slice() else { panic!("batches: {seen:?}") };
    let (rows, took) = (before_last.1 - first.1, (last.0 - second.0).as_secs_f64());
    assert!(took >= 8.0, "long enough to tell: {took} s");
    let rate = rows as f64 / took;
    assert!((rate - RATE).abs() <= RATE / 10.0, "{rate:.1} rows a second at a throttle of {RATE}: {seen:?}");
    let _ = site.finish(&["throttle", "users", "--off"]).expect(0);
    site.expect_soon_equal("no longer throttled");
    end(service);
}

#[test]
fn the_log_of_a_running_service_says_more_or_less_as_it_is_told() {
    let site = Site::new(Config::new("log_level").lines("log", "log.ndjson").stream(
        "things",
        "log",
        serde_json::json!({ "key": "id" }),
    ));
    std::fs::write(site.path("log.ndjson"), "{\"id\":1}\n").unwrap();
    site.apply_schema();
    let none = site.finish(&["log-level", "debug"]);
    assert!(none.code == Some(1) && none.output().contains("no_service"), "{}", none.output());
    let service = site.run_and_listen();
    let said = site.finish(&["log-level", "debug", "--actor", "ada"]).expect(0);
    assert!(said.output().contains("the log is at debug"), "{}", said.output());
    assert!(service.stderr().contains("ada"), "who turned it is in the log: {}", service.stderr());
    assert_eq!(site.finish(&["log-level", "loud"]).code, Some(2));
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
