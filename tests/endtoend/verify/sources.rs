//! Every kind of source compared: equal as it stands, and each side's own ways to differ.

use super::verify;
use bson::doc;
use flate2::Compression;
use flate2::write::GzEncoder;
use landfall_tests::config::Config;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use rusqlite::Connection;
use serde_json::json;
use std::io::Write;

fn loaded(config: Config, fill: impl FnOnce(&Site)) -> Site {
    let site = Site::new(config);
    fill(&site);
    site.apply_schema();
    let _ = site.catch_up();
    site
}

#[test]
fn a_directory_is_compared_file_by_file() {
    let config = Config::new("v-directory").directory("kyc", "kyc", "**/*.json").stream("kyc", "kyc", json!({}));
    let site = loaded(config, |site| {
        std::fs::create_dir_all(site.path("kyc/deep")).unwrap();
        for n in 0..20 {
            std::fs::write(site.path(&format!("kyc/deep/f{n}.json")), format!("{{\"n\":{n}, \"s\":\"é\"}}")).unwrap();
        }
    });
    verify(&site, &[]).expect_equal(20);
    site.database()
        .run("update kyc set doc = '{\"n\": 4}' where key = 's:deep/f3'; delete from kyc where key = 's:deep/f9'");
    let found = verify(&site, &[]);
    assert_eq!(found.verdict(), "different");
    assert_eq!((found.number("different"), found.number("missing"), found.number("equal")), (1, 1, 18));
    // A file that is half written hides nothing and is no difference: its record cannot be told.
    std::fs::write(site.path("kyc/deep/f5.json"), "{\"n\":").unwrap();
    assert_eq!(verify(&site, &[]).number("not_compared"), 1);
}

#[test]
fn lines_are_compared_by_their_last_word_over_all_files() {
    let config = Config::new("v-lines")
        .source("log", json!({ "kind": "json_lines", "path": "log.ndjson*", "operation": { "from": "op", "delete": "del", "upsert": "put" } }))
        .stream("events", "log", json!({ "key": "id" }));
    let site = loaded(config, |site| {
        let mut old = GzEncoder::new(Vec::new(), Compression::fast());
        for n in 0..30 {
            writeln!(old, "{{\"op\":\"put\",\"id\":{n},\"v\":1}}").unwrap();
        }
        std::fs::write(site.path("log.ndjson.2.gz"), old.finish().unwrap()).unwrap();
        let middle: String = (10..20).map(|n| format!("{{\"op\":\"put\",\"id\":{n},\"v\":2}}\n")).collect();
        std::fs::write(site.path("log.ndjson.1"), middle).unwrap();
        std::fs::write(site.path("log.ndjson"), "{\"op\":\"del\",\"id\":5}\r\n\n{\"op\":\"put\",\"id\":31}\n{\"op\":")
            .unwrap();
    });
    verify(&site, &[]).expect_equal(30);
    let mut database = site.database();
    database.run("insert into events (key, doc, _lf_version) values ('n:5', '{}', 1), ('n:77', '{}', 1)");
    let found = verify(&site, &[]);
    assert_eq!((found.verdict(), found.number("extra")), ("different", 2), "{}", found.output);
    // Once a file is gone, lines of it may have named the key: nobody can tell.
    database.run("delete from events where key = 'n:5'");
    std::fs::remove_file(site.path("log.ndjson.2.gz")).unwrap();
    let found = verify(&site, &[]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    assert_eq!((found.number("equal"), found.number("not_compared")), (11, 20), "{}", found.output);
    assert_eq!(found.reasons("events"), ["lines_gone"]);
}

#[test]
fn lines_that_are_told_by_their_place_are_compared_without_knowing_what_capture_called_their_file() {
    let config = Config::new("v-places").lines("log", "*.ndjson").stream("events", "log", json!({ "key": "position" }));
    let site = loaded(config, |site| {
        for name in ["a", "b"] {
            let lines: String = (0..40).map(|n| format!("{{\"n\":{n},\"of\":\"{name}\"}}\n")).collect();
            std::fs::write(site.path(&format!("{name}.ndjson")), lines).unwrap();
        }
    });
    assert_eq!(verify(&site, &[]).verdict(), "equal");
    site.database().run("update events set doc = doc || '{\"n\": 99}' where doc @> '{\"n\": 7, \"of\": \"b\"}'");
    let found = verify(&site, &[]);
    assert_eq!((found.verdict(), found.number("different")), ("different", 1), "{}", found.output);
}

#[test]
fn tables_of_sqlite_are_compared_in_one_snapshot() {
    let stream = json!({ "key": { "from": "id", "type": "bigint" }, "columns": { "name": "text", "price": "numeric(12,2)", "raw": "bytea" }, "rest": "rest" });
    let config = Config::new("v-sqlite").sqlite("app", "app.db").stream("items", "app", stream).stream(
        "shares",
        "app",
        json!({ "key": ["owner", "fund"], "columns": { "units": "integer" } }),
    );
    let site = loaded(config, |site| {
        let db = Connection::open(site.path("app.db")).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = wal; CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL, raw BLOB, odd);
             CREATE TABLE shares (owner TEXT, fund TEXT, units INTEGER, PRIMARY KEY (owner, fund)) WITHOUT ROWID;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO items SELECT i, 'item ' || i, i + 0.25, x'00ff', CASE i % 3 WHEN 0 THEN 1 WHEN 1 THEN 'x' END FROM n;
             INSERT INTO shares VALUES ('ada', 'x', 1), ('ada', 'y', 2), ('bob', 'x', 3)",
        )
        .unwrap();
    });
    verify(&site, &[]).expect_equal(6_003);
    site.database().run("update items set raw = '\\x00fe' where id = 5000; delete from shares where units = 2");
    let found = verify(&site, &[]);
    assert_eq!(found.verdict(), "different", "{}", found.output);
    assert_eq!(found.stream("items")["findings"][0]["columns"][0]["column"], "raw");
    assert_eq!(found.stream("shares")["missing"], 1, "{}", found.output);
    std::fs::remove_file(site.path("app.db")).unwrap();
    let found = verify(&site, &["--stream", "items"]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"));
    assert_eq!(found.reasons("items"), ["missing"], "{}", found.output);
}

#[test]
fn collections_are_compared_with_every_kind_of_key() {
    let store = MongoServer::shared().database("verify");
    let ids = [
        bson::Bson::Int32(5),
        "5".into(),
        bson::oid::ObjectId::new().into(),
        bson::Bson::Double(0.5),
        doc! { "a": 1 }.into(),
    ];
    let all: Vec<bson::Document> = ids.iter().map(|id| doc! { "_id": id.clone(), "v": 1_i64, "d": 1.0 }).collect();
    store.run(doc! { "insert": "things", "documents": all });
    let config = Config::new("v-mongo").mongo("app", store.name()).collection("things", "app", "things");
    let site = Site::new(config).mongo(store.uri());
    site.apply_schema();
    let _ = site.catch_up();
    verify(&site, &[]).expect_equal(5);
    site.database().run("update things set doc = doc || '{\"v\": 2}' where key = 's:5'");
    let found = verify(&site, &[]);
    assert_eq!((found.verdict(), found.number("different")), ("different", 1), "{}", found.output);
}

#[test]
fn streams_of_one_table_and_one_file_are_told_apart() {
    let stream = |value: &str| {
        json!({ "select": format!("/{value}"), "table": "tasks", "discriminator": { "column": "project", "value": value },
                "key": "id", "columns": { "title": "text" } })
    };
    let config = Config::new("v-shared").document("store", "db.json").stream("red", "store", stream("red")).stream(
        "blue",
        "store",
        stream("blue"),
    );
    let site = loaded(config, |site| {
        let tasks =
            |colour: &str| -> Vec<_> { (0..9).map(|n| json!({ "id": n, "title": format!("{colour} {n}") })).collect() };
        std::fs::write(site.path("db.json"), json!({ "red": tasks("red"), "blue": tasks("blue") }).to_string())
            .unwrap();
    });
    verify(&site, &[]).expect_equal(18);
    site.database().run("update tasks set project = 'blue', id = 'n:77' where project = 'red' and id = 'n:3'");
    let found = verify(&site, &[]);
    assert_eq!((found.number("missing"), found.number("extra")), (1, 1), "{}", found.output);
    assert_eq!(found.stream("red")["missing"], 1);
    assert_eq!(found.stream("blue")["extra"], 1);
}

#[test]
fn what_is_parked_is_told_apart_and_what_is_left_out_is_no_difference() {
    let config = Config::new("v-parked").document("store", "db.json").stream(
        "items",
        "store",
        json!({ "select": "/items", "key": { "from": "id", "type": "integer" }, "filter": ".v != 3", "columns": { "v": "integer" } }),
    );
    let site = loaded(config, |site| {
        let items = r#"[{"id":1,"v":1},{"id":2,"v":"two"},{"id":3,"v":3},{"id":"x","v":4},{"v":5},{"id":1,"v":6},7]"#;
        std::fs::write(site.path("db.json"), format!("{{\"items\":{items}}}")).unwrap();
    });
    let found = verify(&site, &[]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    assert_eq!((found.number("equal"), found.number("parked")), (1, 5), "{}", found.output);
    assert_eq!(found.number("suspect") + found.number("not_compared"), 0, "{}", found.output);
    // A record that neither stands nor is parked is lost.
    site.tampers();
    site.database().run("delete from landfall.dead_letters where code in ('column_type', 'duplicate_key')");
    let found = verify(&site, &[]);
    assert_eq!(found.verdict(), "different", "{}", found.output);
    assert_eq!((found.number("missing"), found.number("parked")), (2, 3), "{}", found.output);
}
