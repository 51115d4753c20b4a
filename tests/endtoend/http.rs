//! The service over HTTP: what it tells, whom it tells it, what it does when it is told, and that nobody slows it down by asking.

mod bounds;
mod comparing;
mod copies;
mod guard;
mod hooks;
mod metrics;
mod orders;
mod readiness;
mod secrets;
mod tls;

use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::http::{Exposition, Http};
use landfall_tests::landfall::Landfall;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_for;
use serde_json::{Value, json};
use std::time::Duration;

/// The token of every site here. It is a canary too.
pub(crate) const TOKEN: &str = "canary-t0ken-d0-n0t-log";
/// A change is seen over HTTP within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(45);
/// Rows of the first revision.
pub(crate) const ROWS: i64 = 40;

/// A configuration that is answered for over HTTP, on a port that the system chooses.
pub(crate) fn config(name: &str) -> Config {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    Config::new(name).http().source("store", source).stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    )
}

/// A site of it with the first revision in its store and its tables made.
pub(crate) fn prepared(site: &Site) -> DocumentStore {
    std::fs::write(site.path("token"), TOKEN).unwrap();
    let document = DocumentStore::create(&site.path("store.json"), &["users"], ROWS as u64, Seed::new(7));
    site.apply_schema();
    document
}

/// A new site.
pub(crate) fn site(name: &str) -> (Site, DocumentStore) {
    let site = Site::new(config(name));
    let document = prepared(&site);
    (site, document)
}

/// Starts the service and waits until it is asked over HTTP.
#[track_caller]
pub(crate) fn start(site: &Site) -> (Landfall, Http) {
    let service = site.run();
    let http = found(site, &service);
    (service, http)
}

/// Where the service answers.
#[track_caller]
pub(crate) fn found(site: &Site, service: &Landfall) -> Http {
    let address = || std::fs::read_to_string(site.path("state/http.addr")).ok().filter(|text| text.ends_with('\n'));
    let address = wait_for(SOON, address).unwrap_or_else(|| panic!("no address: {}", service.stderr()));
    Http::at(&address)
}

/// Waits until the service is ready.
#[track_caller]
pub(crate) fn ready(http: &Http) {
    ready_within(http, SOON);
}

/// The same, in a hurry.
#[track_caller]
pub(crate) fn ready_within(http: &Http, within: Duration) {
    let mut last = String::new();
    let came = wait_for(within, || {
        let answer = http.get("/readyz");
        last = answer.body;
        (answer.status == 200).then_some(())
    });
    assert!(came.is_some(), "never ready; last: {last}");
}

/// The metrics of now.
#[track_caller]
pub(crate) fn scrape(http: &Http) -> Exposition {
    let answer = http.get("/metrics").expect(200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Exposition::parse(&answer.body)
}

/// Waits until a series has a value that is wanted.
#[track_caller]
pub(crate) fn wait_series(http: &Http, series: &str, wanted: impl Fn(f64) -> bool) -> Exposition {
    let mut last = None;
    let found = wait_for(SOON, || {
        let seen = scrape(http);
        last = seen.samples.get(series).copied();
        last.is_some_and(&wanted).then_some(seen)
    });
    found.unwrap_or_else(|| panic!("{series} never became what is wanted; last: {last:?}"))
}

/// The reasons for which the service is not ready: code and stream.
pub(crate) fn reasons(answer: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let reasons = answer["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| (text(&reason["code"]).unwrap(), text(&reason["stream"]))).collect()
}

/// Ends the service in order.
#[track_caller]
pub(crate) fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
