//! A copy is told while it runs, and the log of the source behind it.

use super::{SOON, TOKEN, end, ready, reasons, scrape, start};
use landfall_tests::config::Config;
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_ids::document_with;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::raw_bson::RawValue;
use landfall_tests::site::Site;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::json;

/// Documents, and how many a second are copied: long enough to look, short enough to wait.
const DOCUMENTS: i64 = 30_000;
const RATE: u64 = 3_000;

fn copied_slowly(database: &MongoDatabase) -> Site {
    let plain: Vec<_> = (0..DOCUMENTS)
        .map(|n| document_with(&RawValue::int64(n), &RawValue::string(&format!("record number {n}"))))
        .collect();
    database.insert_raw("things", &plain);
    let source = json!({
        "kind": "mongodb", "uri": "${MONGODB_URI_UNDER_TEST}", "database": database.name(),
        "snapshot": { "readers": 1, "rows_per_second": RATE },
    });
    let config = Config::new("http_copy").http().source("app", source).collection("things", "app", "things");
    let site = Site::new(config).mongo(database.uri());
    std::fs::write(site.path("token"), TOKEN).unwrap();
    site.apply_schema();
    site
}

#[test]
fn a_copy_tells_how_far_it_is_and_the_log_how_much_there_is_left() {
    let database = MongoServer::shared().database("http_copy");
    let site = copied_slowly(&database);
    let (service, http) = start(&site);
    let of = |family: &str| format!("landfall_{family}{{stream=\"things\"}}");
    let seen = wait_for(SOON, || {
        let metrics = scrape(&http);
        metrics.samples.contains_key(&of("copy_eta_seconds")).then_some(metrics)
    });
    let seen = seen.expect("a copy is told while it runs");
    let (records, estimate) = (seen.value(&of("copy_records")), seen.value(&of("copy_estimated_records")));
    assert!(records > 0.0 && records < estimate && estimate <= DOCUMENTS as f64 * 1.1, "{records} of {estimate}");
    let eta = seen.value(&of("copy_eta_seconds"));
    assert!((0.1..300.0).contains(&eta), "{eta} s for {records} of {estimate}");
    let ratio = seen.value(&of("copy_progress_ratio"));
    assert!((ratio - records / estimate).abs() < 1e-9, "{ratio} for {records} of {estimate}");
    let told = http.get("/api/v1/status").expect(200).json()["streams"][0]["forecast"].clone();
    let words =
        ["unit", "total_is", "total_from", "eta_method"].map(|name| told[name].as_str().unwrap_or("").to_owned());
    assert_eq!(words, ["records", "estimate", "collection_metadata", "mean_pace"], "{told}");
    assert!(told["done"].as_f64() >= Some(records) && told["total"].as_f64() == Some(estimate), "{told}");
    let pace = told["per_second"].as_f64().unwrap_or(0.0);
    assert!((1.0..=RATE as f64 * 2.0).contains(&pace) && told["eta_seconds"].as_f64().is_some(), "{told}");
    let answer = http.get("/readyz").expect(503).json();
    assert!(reasons(&answer).contains(&("starting".to_owned(), Some("things".to_owned()))), "{answer}");
    wait_until(SOON * 2, "the copy is done", || http.get("/readyz").status == 200);
    ready(&http);
    let metrics = scrape(&http);
    assert!(!metrics.samples.contains_key(&of("copy_records")), "the copy is over");
    assert!(http.get("/api/v1/status").expect(200).json()["streams"][0]["forecast"].is_null());
    let rows = metrics.value("landfall_rows_written_total{stream=\"things\",operation=\"upsert\"}");
    assert_eq!(rows, site.database().count("select count(*) from things") as f64);
    assert!(metrics.value("landfall_read_lag_seconds{source=\"app\"}") >= 0.0);
    end(service);
}
