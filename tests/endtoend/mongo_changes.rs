//! A running service follows a MongoDB database: every operation, transactions, collections that go and come, and what the mapping says
//! about their rows.

use bson::{Document, doc};
use landfall_tests::config::Config;
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

fn site(name: &str, database: &MongoDatabase, streams: &[(&str, serde_json::Value)]) -> Site {
    let config = Config::new(name).mongo("app", database.name());
    let config = streams.iter().fold(config, |config, (stream, more)| config.stream(stream, "app", more.clone()));
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema_with_audit();
    site
}

fn insert(database: &MongoDatabase, collection: &str, documents: impl IntoIterator<Item = Document>) {
    let documents: Vec<Document> = documents.into_iter().collect();
    database.run(doc! { "insert": collection, "documents": documents });
}

fn finish(site: &Site, service: landfall_tests::landfall::Landfall) {
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.stderr.contains("panic"), "{}", finished.stderr);
    site.expect_equal("after the service ended");
    site.expect_witness("after the service ended");
}

#[test]
fn inserts_updates_replacements_deletes_and_transactions_arrive() {
    let database = MongoServer::shared().database("changes");
    insert(&database, "users", (0..50).map(|n| doc! { "_id": n, "name": format!("user {n}"), "tags": ["a", "b"] }));
    let site = site("mongo_changes", &database, &[("users", json!({})), ("orders", json!({}))]);
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    let update = |filter: Document, change: Document| {
        database.run(doc! { "update": "users", "updates": [{ "q": filter, "u": change, "multi": true }] });
    };
    insert(&database, "users", [doc! { "_id": "fifty", "name": "later" }]);
    update(
        doc! { "_id": { "$lt": 10 } },
        doc! { "$set": { "name": "changed", "nested.deep": 1 }, "$unset": { "tags": "" } },
    );
    update(doc! { "_id": { "$gte": 40 } }, doc! { "$push": { "tags": "c" }, "$inc": { "visits": 1_i64 } });
    database.run(doc! { "update": "users", "updates": [{ "q": { "_id": 20 }, "u": { "whole": "new" } }] });
    database.run(doc! { "delete": "users", "deletes": [{ "q": { "_id": { "$gte": 30, "$lt": 35 } }, "limit": 0 }] });
    insert(&database, "orders", [doc! { "_id": 1, "of": "fifty" }]);
    insert(&database, "unmapped", [doc! { "_id": 1 }]);
    database.transaction(&[
        doc! { "insert": "users", "documents": [{ "_id": "in a transaction" }] },
        doc! { "update": "orders", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "paid": true } } }] },
    ]);
    site.expect_soon_equal("after changes of every kind");
    let status = site.status().unwrap();
    assert!(status.json()["sources"][0]["log"]["ignored"].as_u64() >= Some(1), "{}", status.json());
    finish(&site, service);
}

#[test]
fn a_dropped_collection_halts_its_stream_until_somebody_says_what_becomes_of_the_rows() {
    let database = MongoServer::shared().database("dropped");
    insert(&database, "users", (0..20).map(|n| doc! { "_id": n }));
    insert(&database, "orders", (0..20).map(|n| doc! { "_id": n }));
    let site = site("mongo_dropped", &database, &[("users", json!({})), ("orders", json!({}))]);
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    database.drop_collection("users");
    insert(&database, "users", [doc! { "_id": "after the drop" }]);
    insert(&database, "orders", [doc! { "_id": "other streams go on" }]);
    let halted = site.expect_stream("users", "halted", |stream| stream.state() == "halted");
    assert_eq!(halted.code(), "collection_gone");
    assert!(halted.detail().contains("landfall accept users collection_gone"), "{}", halted.text());
    wait_until(SOON, "the other stream goes on", || site.database().count("select count(*) from public.orders") == 21);
    assert_eq!(site.database().count("select count(*) from public.users"), 20, "nothing is deleted without a word");
    let _ = site.finish(&["accept", "users", "collection_gone"]).expect(0);
    site.expect_soon_equal("after the rows were given up");
    finish(&site, service);
}

#[test]
fn a_refused_drop_keeps_the_rows_and_goes_on() {
    let database = MongoServer::shared().database("kept");
    insert(&database, "users", (0..5).map(|n| doc! { "_id": n }));
    let site = site("mongo_kept", &database, &[("users", json!({}))]);
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    database.drop_collection("users");
    site.expect_stream("users", "halted", |stream| stream.code() == "collection_gone");
    insert(&database, "users", [doc! { "_id": "new" }]);
    let _ = site.finish(&["refuse", "users", "collection_gone"]).expect(0);
    wait_until(SOON, "the stream goes on", || site.database().count("select count(*) from public.users") == 6);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    site.expect_witness("after the service ended");
}

#[test]
fn on_drop_delete_empties_the_table_and_keep_leaves_it() {
    let database = MongoServer::shared().database("policies");
    for name in ["deleted", "kept"] {
        insert(&database, name, (0..10).map(|n| doc! { "_id": n }));
    }
    let streams = [("deleted", json!({ "on_drop": "delete" })), ("kept", json!({ "on_drop": "keep" }))];
    let site = site("mongo_policies", &database, &streams);
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    for name in ["deleted", "kept"] {
        database.drop_collection(name);
        insert(&database, name, [doc! { "_id": "recreated" }]);
    }
    wait_until(SOON, "one table is emptied first", || {
        site.database().count("select count(*) from public.deleted") == 1
    });
    wait_until(SOON, "the other keeps its rows", || site.database().count("select count(*) from public.kept") == 11);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    site.expect_witness("after the service ended");
}

#[test]
fn a_collection_renamed_onto_a_mapped_one_is_copied_anew() {
    let database = MongoServer::shared().database("renamed");
    insert(&database, "users", (0..30).map(|n| doc! { "_id": n, "age": "old" }));
    insert(&database, "staging", (10..60).map(|n| doc! { "_id": n, "age": "new" }));
    let site = site("mongo_renamed", &database, &[("users", json!({ "on_drop": "delete" }))]);
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    let name = database.name();
    database.run_on_admin(doc! {
        "renameCollection": format!("{name}.staging"), "to": format!("{name}.users"), "dropTarget": true,
    });
    site.expect_soon_equal("after the rename");
    insert(&database, "users", [doc! { "_id": "afterwards" }]);
    site.expect_soon_equal("after a change behind the rename");
    finish(&site, service);
}

#[test]
fn typed_keys_and_columns_take_what_fits_and_park_the_rest() {
    let database = MongoServer::shared().database("typed");
    insert(
        &database,
        "users",
        (0..40_i64).map(|n| doc! { "_id": n, "name": format!("n{n}"), "balance": n as f64 / 4.0 }),
    );
    insert(&database, "users", [doc! { "_id": "text", "name": "wrong key" }, doc! { "_id": 100_i64, "name": 5 }]);
    let stream = json!({
        "key": { "type": "bigint" },
        "columns": { "name": { "type": "text" }, "balance": { "type": "double precision" } },
        "rest": "extra",
    });
    let site = site("mongo_typed", &database, &[("users", stream)]);
    site.catch_up();
    assert_eq!(site.database().count("select count(*) from public.users"), 40);
    let parked = site.database().count("select count(*) from landfall.dead_letters where state = 'parked'");
    assert_eq!(parked, 2, "the key of another type and the name that is a number");
    site.expect_equal("what fits is there");
    site.expect_witness("after the copy");
}

#[test]
fn states_come_from_post_images_where_the_source_keeps_them() {
    let database = MongoServer::shared().database("images");
    database.keep_images("users");
    insert(&database, "users", (0..10).map(|n| doc! { "_id": n, "n": 0 }));
    let config = Config::new("mongo_images")
        .source(
            "app",
            json!({
                "kind": "mongodb", "uri": "${MONGODB_URI_UNDER_TEST}", "database": database.name(), "capture": "images",
            }),
        )
        .stream("users", "app", json!({}));
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    for n in 1..=20 {
        database.run(doc! { "update": "users", "updates": [{ "q": {}, "u": { "$set": { "n": n } }, "multi": true }] });
    }
    site.expect_soon_equal("after updates of every document");
    // Only now: the test server looks a post-image up when it is read, and would have none of a document that is gone.
    database.run(doc! { "delete": "users", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] });
    site.expect_soon_equal("after a delete");
    finish(&site, service);
}
