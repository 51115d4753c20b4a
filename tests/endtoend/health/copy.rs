//! A copy from the source itself waits as changes do, between two of its chunks.

use super::{LONG_ENOUGH, SOON, config, expect_measure};
use crate::http::{TOKEN, end, start};
use landfall_tests::mongo_documents::documents;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;

/// Four chunks of a copy.
const DOCUMENTS: usize = 20_000;

#[test]
fn a_copy_under_way_waits_and_goes_on_where_it_was() {
    let database = MongoServer::shared().database("health_copy");
    database.insert_raw("things", &documents(&mut Seed::new(17), DOCUMENTS, &[]));
    // The copy itself presses: the limit is passed by its first rows.
    let query = json!({ "sql": "SELECT n + least(1, (SELECT count(*) FROM things)) FROM pressure", "limit": 0 });
    let config = config("health_copy", &json!({ "query": query })).mongo("app", database.name());
    let pace = json!({ "rows_per_second": 5_000 });
    let config = config.entry(
        "sources",
        "app",
        json!({
            "kind": "mongodb", "uri": config_uri(), "database": database.name(), "snapshot": pace,
        }),
    );
    let site = Site::new(config.collection("things", "app", "things")).mongo(database.uri());
    site.database().run("create table public.pressure (n int); insert into pressure values (0)");
    std::fs::write(site.path("token"), TOKEN).unwrap();
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    site.apply_schema_with_audit();
    let (service, _http) = start(&site);
    let copied = || site.database().count("select count(*) from things");
    expect_measure(&site, "query", "holding for a while", |seen| seen["held_seconds"].as_f64() >= Some(LONG_ENOUGH));
    let (before, from) = (copied(), super::measure(&site, "query")["held_seconds"].as_f64());
    assert!(before > 0 && before < DOCUMENTS as i64, "the copy is under way: {before}");
    expect_measure(&site, "query", "holding on", |seen| {
        seen["held_seconds"].as_f64() >= from.map(|from| from + LONG_ENOUGH)
    });
    assert_eq!(copied(), before, "no chunk is written meanwhile");
    let shown = site.finish(&["status"]).expect(0).stdout;
    assert!(shown.contains("throttled (query)"), "{shown}");
    site.database().run("update pressure set n = -1");
    wait_until(SOON, "the copy is complete", || copied() == DOCUMENTS as i64);
    site.expect_soon_equal("copied");
    site.expect_witness("copied");
    end(service);
}

/// Where the site says that MongoDB is.
fn config_uri() -> String {
    format!("${{{}}}", landfall_tests::oracle::MONGO_VARIABLE)
}
