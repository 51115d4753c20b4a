//! Collections are copied whole: real ones, every kind of `_id`, every kind of value, resumed where a stop left them.

use landfall_tests::config::Config;
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_documents::{Oddity, deep, documents, large};
use landfall_tests::mongo_ids::{distinct_ids, document_with};
use landfall_tests::mongo_server::{Flavour, MongoServer};
use landfall_tests::mongo_stores;
use landfall_tests::raw_bson::RawValue;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::Duration;

/// Documents of the generated collection.
const GENERATED: usize = 5_000;

fn landing(name: &str, database: &MongoDatabase, collections: &[&str]) -> Site {
    let config = Config::new(name).mongo("app", database.name());
    let config = collections.iter().fold(config, |config, collection| config.collection(collection, "app", collection));
    Site::new(config).mongo(database.uri())
}

#[test]
fn the_real_collections_land_completely_and_equal() {
    let stored = mongo_stores::all();
    let database = MongoServer::shared().database("real");
    let names: Vec<&str> = stored.iter().map(|collection| collection.name.as_str()).collect();
    for collection in &stored {
        database.insert_raw(&collection.name, &collection.documents());
    }
    let site = landing("mongo_real", &database, &names);
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("after the copy");
    site.expect_witness("after the copy");
    site.catch_up();
    site.expect_equal("after a second run, which copies nothing");
}

#[test]
fn a_collection_with_an_id_of_every_type_loses_no_cohort_and_merges_no_two_keys() {
    let database = MongoServer::shared().database("ids");
    let ids = distinct_ids();
    let mut stored = 0_i64;
    for (name, id) in &ids {
        let document = document_with(id, &RawValue::string(name));
        stored += i64::from(database.try_insert_raw("things", &document).is_ok());
    }
    assert!(stored >= 40, "the server stores ids of every type, found {stored}");
    let site = landing("mongo_ids", &database, &["things"]);
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("after the copy");
    assert_eq!(site.database().count("select count(*) from public.things"), stored);
    // And once more by the change stream: the same ids, replaced.
    let service = site.run_and_listen();
    let mut replaced = 0_i64;
    for (name, id) in &ids {
        let document = document_with(id, &RawValue::string(&format!("{name} again")));
        replaced += i64::from(database.try_replace_raw("things", &document));
    }
    // A server may refuse what it cannot compare with itself (a NaN); it stores it all the same.
    assert!(replaced >= stored - 2, "{replaced} of {stored}");
    site.expect_soon_equal("after every record was replaced");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    site.expect_witness("after the service ended");
}

#[test]
fn every_generated_document_is_a_row_with_its_exact_bytes_or_parked() {
    let server = MongoServer::shared();
    let odd = match server.flavour() {
        Some(Flavour::Python) => &[][..],
        _ => Oddity::STORED_BY_RUST,
    };
    let database = server.database("generated");
    database.insert_raw("before", &documents(&mut Seed::new(7), GENERATED, odd));
    let site = landing("mongo_generated", &database, &["before", "after"]);
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    // Half of the proof is the copy, half is the stream.
    database.insert_raw("after", &documents(&mut Seed::new(8), GENERATED / 5, odd));
    database.insert_raw(
        "after",
        &[
            deep(&RawValue::string("deep"), if server.flavour() == Some(Flavour::Rust) { 150 } else { 90 }),
            large(&RawValue::string("large"), 15 << 20),
        ],
    );
    let verdict = site.soon_equal(Duration::from_secs(90));
    verdict.expect("after copy and stream");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    site.expect_witness("after the service ended");
    let parked = site.database().count("select count(*) from landfall.dead_letters");
    assert_eq!(parked, 0, "with the exact bytes kept nothing has to be parked");
}

#[test]
fn without_raw_what_jsonb_cannot_hold_is_parked_and_the_rest_lands() {
    let server = MongoServer::shared();
    let database = server.database("no_raw");
    let odd = if server.flavour() == Some(Flavour::Python) { &[][..] } else { Oddity::STORED_BY_RUST };
    database.insert_raw("things", &documents(&mut Seed::new(9), 600, odd));
    let config =
        Config::new("mongo_no_raw").mongo("app", database.name()).stream("things", "app", json!({ "raw": false }));
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("after the copy");
    site.expect_witness("after the copy");
}

#[test]
fn a_copy_that_was_stopped_goes_on_behind_its_finished_chunks() {
    let database = MongoServer::shared().database("resumed");
    let count = 60_000_i64;
    let plain: Vec<_> = (0..count)
        .map(|n| document_with(&RawValue::int64(n), &RawValue::string(&format!("record number {n}"))))
        .collect();
    database.insert_raw("things", &plain);
    let config = Config::new("mongo_resumed")
        .source(
            "app",
            json!({
                "kind": "mongodb", "uri": "${MONGODB_URI_UNDER_TEST}", "database": database.name(),
                "snapshot": { "readers": 2, "rows_per_second": 8_000 },
            }),
        )
        .collection("things", "app", "things");
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema_with_audit();
    let copied = |site: &Site| site.database().count("select coalesce(sum(copied), 0) from landfall.ranges");
    let mut service = site.run();
    wait_until(Duration::from_secs(60), "a chunk is committed", || copied(&site) > 0);
    service.kill();
    drop(service);
    let before = copied(&site);
    assert!(before > 0 && before < count, "killed in the middle, at {before}");
    let reads_before = site.database().count("select count(*) from audit.range_steps");
    site.catch_up();
    site.expect_equal("after the copy was resumed");
    site.expect_witness("after the copy was resumed");
    let (read, steps) = (
        site.database().count("select sum(read - was) from audit.range_steps"),
        site.database().count("select count(*) from audit.range_steps"),
    );
    assert_eq!(read, count, "no finished chunk was read again");
    assert!(steps > reads_before);
}
