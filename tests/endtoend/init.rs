//! `init`: a store that nobody described becomes tables, with nothing parked and nothing common left over.

use landfall_tests::config::Config;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::mongo_stores;
use landfall_tests::repository::shared_data;
use landfall_tests::site::Site;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// Proposes, loads, and looks at what was parked and at what is in the rests. Gives the rows of all streams' own tables.
fn propose_and_load(site: &Site, sources: &[&str], moment: &str) -> BTreeMap<String, i64> {
    let run = |words: &[&str]| site.command(words).env("MONGODB_URI", sources[0]).finish(PATIENCE);
    let mut words = vec!["init"];
    words.extend(sources);
    words.extend(["-o", "landfall.yaml", "--force"]);
    let proposed = run(&words).expect(0);
    let _ = run(&["check"]).expect(0);
    let _ = run(&["schema", "apply"]).expect(0);
    let _ = run(&["run", "--until-caught-up"]).expect(0);
    let parked = site.database().rows(
        "select stream, code, path, expected, found, count(*)::text from landfall.dead_letters group by 1, 2, 3, 4, 5",
    );
    assert!(parked.is_empty(), "{moment}: {parked:?}\n{}", std::fs::read_to_string(site.config_file()).unwrap());
    expect_clean_rests(site, moment);
    let tables = site.database().rows("select stream, target_table from landfall.streams");
    let count = |row: &Vec<Option<String>>| {
        let (stream, table) = (row[0].clone().unwrap(), row[1].clone().unwrap());
        (stream, site.database().count(&format!("select count(*) from public.\"{table}\"")))
    };
    assert!(proposed.stdout.contains("records looked at"), "{}", proposed.stdout);
    tables.iter().map(count).collect()
}

/// No member stands in the rest of more than one of a hundred rows of its table.
fn expect_clean_rests(site: &Site, moment: &str) {
    let rests = site.database().rows(
        "select table_name from information_schema.columns where table_schema = 'public' and column_name = 'rest' and data_type = 'jsonb'",
    );
    assert!(!rests.is_empty(), "{moment}: no table has a rest");
    for table in rests.iter().map(|row| row[0].clone().unwrap()) {
        let left = site.database().rows(&format!(
            "select k.name, count(*)::text, (select count(*) from public.\"{table}\")::text from public.\"{table}\" t, \
             jsonb_object_keys(t.rest) k(name) group by k.name having count(*) * 100 > (select count(*) from public.\"{table}\")"
        ));
        assert!(
            left.is_empty(),
            "{moment}: {table} leaves {left:?}\n{}",
            std::fs::read_to_string(site.config_file()).unwrap()
        );
    }
}

fn newest(revisions: &Path) -> PathBuf {
    let names = std::fs::read_dir(revisions).unwrap().map(|entry| entry.unwrap().path());
    names.max().expect("a revision")
}

#[test]
fn every_real_store_of_files_is_held_by_what_is_proposed_for_it() {
    let data = shared_data();
    let cases = [
        ("jsonplaceholder", data.join("stores/jsonplaceholder/db.json"), 5_910),
        ("countries", newest(&data.join("stores/countries/revisions")), 250),
        ("mime", newest(&data.join("stores/mime-db/revisions")), 2_601),
        ("artists", data.join("directories/tate-artists/records"), 3_538),
        ("features", data.join("directories/caniuse-features/records"), 16),
    ];
    for (name, path, records) in cases {
        let site = Site::new(Config::new(&format!("init_{name}")));
        let rows = propose_and_load(&site, &[path.to_str().unwrap()], name);
        assert_eq!(rows.values().sum::<i64>(), records, "{name}: {rows:?}");
    }
}

#[test]
fn every_real_collection_is_held_as_lines_and_as_documents() {
    let stored = mongo_stores::all();
    let database = MongoServer::shared().database("init");
    let mut documents = 0;
    for collection in &stored {
        database.insert_raw(&collection.name, &collection.documents());
        documents += collection.documents().len() as i64;
    }
    let uri = format!(
        "{}/{}?directConnection=true",
        database.uri().trim_end_matches('/').split("/?").next().unwrap(),
        database.name()
    );
    let site = Site::new(Config::new("init_mongo")).mongo(database.uri());
    let rows = propose_and_load(&site, &[&uri], "MongoDB");
    assert_eq!(rows.values().sum::<i64>(), documents, "{rows:?}");
    let lines = shared_data().join("mongo/sample_training/zips.ndjson");
    let site = Site::new(Config::new("init_lines"));
    let rows = propose_and_load(&site, &[lines.to_str().unwrap()], "lines");
    assert_eq!(rows.values().sum::<i64>(), 10_000, "{rows:?}");
}

#[test]
fn a_proposal_does_not_write_over_a_configuration_and_says_what_it_cannot_read() {
    let site = Site::new(Config::new("init_refused"));
    std::fs::write(site.path("db.json"), r#"{"users":[{"id":1,"name":"Ann"}],"version":3}"#).unwrap();
    let before = std::fs::read(site.config_file()).unwrap();
    let there = site.finish(&["init", "db.json"]).expect(2);
    assert!(there.stderr.contains("--force"), "{}", there.stderr);
    assert_eq!(std::fs::read(site.config_file()).unwrap(), before);
    std::fs::write(site.path("broken.json"), "{\"users\": [{").unwrap();
    for (store, words) in [("nowhere.json", "not found"), ("broken.json", "not JSON at line 1")] {
        let refused = site.finish(&["init", store, "-o", "new.yaml"]).expect(1);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(!site.path("new.yaml").exists());
    }
    let misplaced = site.finish(&["status", "-o", "new.yaml"]).expect(2);
    assert!(misplaced.stderr.contains("-o text or -o json"), "{}", misplaced.stderr);
    let done = site.finish(&["init", "db.json", "-o", "new.yaml"]).expect(0);
    assert!(done.stdout.contains("`version` is no array"), "{}", done.stdout);
    let _: Value =
        serde_json::from_str(&site.finish(&["init", "db.json", "-o", "json", "-c", "other.yaml"]).expect(0).stdout)
            .unwrap();
}

#[test]
fn a_database_of_sqlite_is_held_by_what_is_proposed_for_it() {
    let site = Site::new(Config::new("init_sqlite"));
    let mut writer = Connection::open(site.path("app.db")).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = wal;
             CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, score REAL, odd, photo BLOB, \"last seen\" TEXT);
             CREATE TABLE shares (owner TEXT, fund TEXT, units, PRIMARY KEY (owner, fund)) WITHOUT ROWID;
             CREATE TABLE events (what TEXT, rest TEXT);
             CREATE TABLE empty (id INTEGER PRIMARY KEY);",
        )
        .unwrap();
    let transaction = writer.transaction().unwrap();
    for n in 0..12_000_i64 {
        let odd: rusqlite::types::Value = if n % 3 == 0 { n.into() } else { format!("text {n}").into() };
        let photo = (n % 5 == 0).then(|| vec![1_u8, (n % 251) as u8]);
        let row = rusqlite::params![
            n,
            format!("u{n}@example.org"),
            n as f64 / 4.0,
            odd,
            photo,
            (n % 2 == 0).then_some("now")
        ];
        transaction.execute("insert into users values (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
        transaction.execute("insert into shares values (?1, 'F', ?2)", rusqlite::params![format!("o{n}"), n]).unwrap();
        transaction.execute("insert into events values (?1, 'r')", [format!("e{n}")]).unwrap();
    }
    transaction.commit().unwrap();
    let rows = propose_and_load(&site, &["app.db"], "SQLite");
    assert_eq!(rows, BTreeMap::from([("events".into(), 12_000), ("shares".into(), 12_000), ("users".into(), 12_000)]));
    let types = site.database().rows("select column_name, data_type from information_schema.columns where table_name = 'users' order by ordinal_position");
    let types: Vec<String> =
        types.iter().map(|row| format!("{} {}", row[0].as_deref().unwrap(), row[1].as_deref().unwrap())).collect();
    assert_eq!(
        types[..7],
        [
            "id bigint",
            "email text",
            "score double precision",
            "odd jsonb",
            "photo bytea",
            "last_seen text",
            "rest jsonb"
        ]
    );
}

#[test]
fn records_of_a_key_and_lists_alone_are_held_too() {
    let site = Site::new(Config::new("init_lists_alone"));
    let records: Vec<Value> = (0..40)
        .map(|n| serde_json::json!({ "id": n, "items": [{ "sku": "a", "count": n }, { "sku": "b", "count": 1 }] }))
        .collect();
    std::fs::write(site.path("carts.json"), Value::from(records).to_string()).unwrap();
    let rows = propose_and_load(&site, &["carts.json"], "a key and a list");
    assert_eq!(rows.values().copied().collect::<Vec<_>>(), [40]);
}
