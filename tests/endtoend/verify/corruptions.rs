//! Every kind of corruption, on records drawn by a seed: all are found and named, and nothing else is.
//!
//! One target takes all kinds at once, each on records of its own, so that every one of them must be named for itself.

use super::kinds::{KINDS, Wanted};
use super::verify;
use landfall_tests::config::Config;
use landfall_tests::database::Database;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Records of the store: two for each kind, and some that nobody touches.
const RECORDS: u64 = 120;
/// Seeds: `LANDFALL_SEEDS=50` for all of them.
const SEEDS: u64 = 20;
const TABLES: [&str; 3] = ["projects", "tasks", "tags"];

fn project(id: u64, seed: &mut Seed) -> Value {
    let task = |letter: &str, n: u64| json!({ "id": format!("{letter}{id}"), "title": format!("task {n} of {id}") });
    json!({
        "id": id,
        "name": format!("projét {id}"), "label": format!("label {}", seed.below(1_000)),
        "size": seed.range(1, 1_000), "price": 5 + seed.below(90), "rate": 1.5, "ratio": 0.1, "zero": 0.0,
        "done": seed.one_in(2), "made": "2026-03-29T01:59:59.123456+01:00", "due": "2024-02-29",
        "token": format!("00000000-0000-4000-8000-{:012}", seed.below(1_000_000)),
        "words": ["one", "two"],
        "doc": { "n": seed.below(100), "list": [1, 2], "none": null, "s": "text", "deep": { "er": [{}] } },
        "more": seed.below(100),
        "tasks": [task("a", seed.below(9)), task("b", 10 + seed.below(9))],
        "tags": ["first", "second"],
    })
}

fn config(name: &str) -> Config {
    let columns = json!({
        "name": { "type": "text", "required": true }, "label": "text", "note": "text", "size": "integer", "price": "numeric(12,2)",
        "rate": "numeric", "ratio": "double precision", "zero": "double precision", "done": "boolean",
        "made": "timestamptz", "due": "date", "token": "uuid", "words": "text[]", "doc": "jsonb",
    });
    let children = json!({
        "tasks": { "key": { "from": "id", "type": "text" }, "table": "tasks", "parent": "project_id", "order": "place",
                   "columns": { "title": "text" } },
        "tags": { "value": "text", "table": "tags", "parent": "project_id" },
    });
    let key = json!({ "from": "id", "type": "bigint" });
    let stream = json!({ "select": "/projects", "key": key, "columns": columns, "rest": "rest", "children": children });
    Config::new(name).document("store", "db.json").stream("projects", "store", stream)
}

/// The tables as they were, to be put back.
fn put_back(database: &mut Database) {
    for table in TABLES {
        database.run(&format!("truncate {table}; insert into {table} select * from kept.{table}"));
    }
}

/// What was said, as what was wanted.
fn said(stream: &Value) -> BTreeSet<String> {
    let findings = stream["findings"].as_array().cloned().unwrap_or_default();
    let line = |finding: &Value| {
        let columns = finding["columns"].as_array().cloned().unwrap_or_default();
        let names: BTreeSet<&str> = columns.iter().filter_map(|column| column["column"].as_str()).collect();
        let (kind, table) = (finding["kind"].as_str().unwrap_or(""), finding["table"].as_str().unwrap_or(""));
        format!("{kind} {table} {} {names:?}", finding["key"])
    };
    findings.iter().map(line).collect()
}

fn wanted((kind, table, key, columns): &Wanted) -> String {
    let names: BTreeSet<&str> = columns.iter().copied().collect();
    format!("{kind} {table} {key} {names:?}")
}

#[test]
fn every_kind_of_corruption_is_found_and_named_and_nothing_else_is() {
    let site = Site::new(config("v-all"));
    let mut seed = Seed::new(4_711);
    let projects: Vec<Value> = (1..=RECORDS).map(|id| project(id, &mut seed)).collect();
    std::fs::write(site.path("db.json"), json!({ "projects": projects }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    verify(&site, &[]).expect_equal(RECORDS);
    let mut database = site.database();
    database.run("create schema kept");
    TABLES.iter().for_each(|table| database.run(&format!("create table kept.{table} as select * from {table}")));
    assert!(KINDS.len() >= 30);
    let seeds = std::env::var("LANDFALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    for round in 0..seeds {
        let mut seed = Seed::new(round);
        let mut free: Vec<u64> = (1..=RECORDS).collect();
        let mut draw = || free.swap_remove(seed.below(free.len() as u64) as usize);
        let mut expected = BTreeSet::new();
        for kind in KINDS {
            let (p, q) = (draw(), draw());
            let sql = kind.sql.replace("$p", &p.to_string()).replace("$q", &q.to_string());
            database.try_rows(&sql).unwrap_or_else(|error| panic!("{}: {error:?}", kind.name));
            expected.extend((kind.wanted)(p, q).iter().map(wanted));
        }
        let found = verify(&site, &[]);
        assert_eq!((found.exit, found.verdict()), (Some(3), "different"), "seed {round}: {}", found.output);
        let said = said(found.stream("projects"));
        let unnamed: Vec<_> = expected.difference(&said).collect();
        let invented: Vec<_> = said.difference(&expected).collect();
        assert!(
            unnamed.is_empty() && invented.is_empty(),
            "seed {round}: not named {unnamed:#?}, invented {invented:#?}"
        );
        put_back(&mut database);
    }
    verify(&site, &[]).expect_equal(RECORDS);
}

#[test]
fn each_kind_alone_is_never_called_equal() {
    let site = Site::new(config("v-each"));
    let mut seed = Seed::new(9);
    let projects: Vec<Value> = (1..=8).map(|id| project(id, &mut seed)).collect();
    std::fs::write(site.path("db.json"), json!({ "projects": projects }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    let mut database = site.database();
    database.run("create schema kept");
    TABLES.iter().for_each(|table| database.run(&format!("create table kept.{table} as select * from {table}")));
    for kind in KINDS {
        database.run(&kind.sql.replace("$p", "3").replace("$q", "5"));
        let found = verify(&site, &[]);
        assert_eq!((found.exit, found.verdict()), (Some(3), "different"), "{}: {}", kind.name, found.output);
        put_back(&mut database);
    }
    verify(&site, &[]).expect_equal(8);
}

#[test]
fn values_are_told_only_where_they_were_asked_for() {
    let site = Site::new(config("v-values"));
    let record = project(1, &mut Seed::new(1));
    std::fs::write(site.path("db.json"), json!({ "projects": [record] }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    site.database().run("update projects set name = 'canary', doc = jsonb_set(doc, '{deep,er}', '[1]')");
    let quiet = verify(&site, &[]);
    assert!(!quiet.output.contains("canary"), "{}", quiet.output);
    let columns = &quiet.stream("projects")["findings"][0]["columns"];
    assert_eq!(columns, &json!([{ "at": "/deep/er/0", "column": "doc" }, { "column": "name" }]));
    let told = verify(&site, &["--show-values"]);
    let first = &told.stream("projects")["findings"][0]["columns"][1];
    assert_eq!(first, &json!({ "column": "name", "source": "projét 1", "target": "canary" }));
    let text = site.finish(&["verify", "--show-values"]).expect(3);
    assert!(text.stdout.contains("canary") && text.stdout.contains("DIFFERENT"), "{}", text.output());
}

#[test]
fn a_column_of_another_type_is_named_and_nothing_is_called_equal() {
    let site = Site::new(config("v-type"));
    let record = project(1, &mut Seed::new(1));
    std::fs::write(site.path("db.json"), json!({ "projects": [record] }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    site.database().run("alter table projects alter column size type text");
    let found = verify(&site, &[]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    assert_eq!(found.reasons("projects"), ["schema_drift"]);
    assert!(found.output.contains("size"), "{}", found.output);
}

#[test]
fn a_sample_gives_an_interval_and_never_says_that_all_are_equal() {
    let config = Config::new("v-sample").document("store", "db.json").stream(
        "users",
        "store",
        json!({ "select": "/users", "key": { "from": "id", "type": "bigint" }, "columns": { "v": "integer" } }),
    );
    let site = Site::new(config);
    let users: Vec<Value> = (0..5_000).map(|id| json!({ "id": id, "v": id })).collect();
    std::fs::write(site.path("db.json"), json!({ "users": users }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    let found = verify(&site, &["--sample", "10"]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    let drawn = found.number("equal");
    assert!((400..600).contains(&drawn), "{drawn}");
    assert!(found.stream("users")["sample"]["differing_high"].as_f64().unwrap() < 0.01);
    // A tenth of all are spoilt: the interval holds that share.
    site.database().run("update users set v = -1 where id % 10 = 3");
    let found = verify(&site, &["--sample", "10"]);
    assert_eq!(found.verdict(), "different");
    let bound = |name: &str| found.stream("users")["sample"][name].as_f64().unwrap();
    assert!(bound("differing_low") < 0.1 && 0.1 < bound("differing_high"), "{}", found.output);
    assert_eq!(verify(&site, &[]).number("different"), 500);
}

#[test]
fn an_auditor_gets_a_page_that_stands_for_itself() {
    let site = Site::new(config("v-page"));
    let record = project(1, &mut Seed::new(1));
    std::fs::write(site.path("db.json"), json!({ "projects": [record] }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    let said = verify(&site, &["--html", "report.html"]);
    said.expect_equal(1);
    let page = std::fs::read_to_string(site.path("report.html")).unwrap();
    let side = said.stream("projects")["read_source"]["digest"].as_str().unwrap();
    assert_eq!(page.matches(side).count(), 2, "both sides have the same digest");
    assert!(page.contains(said.stream("projects")["mapping"].as_str().unwrap()));
    for never in ["<script", "http:", "https:", "projét"] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn again_and_again_what_was_verified_moves_on() {
    let site = Site::new(config("v-continuous"));
    let record = project(1, &mut Seed::new(1));
    std::fs::write(site.path("db.json"), json!({ "projects": [record] }).to_string()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    let running = site.command(&["verify", "-o", "json", "--continuous", "--cost", "50"]).start();
    let lines =
        || -> Vec<Value> { running.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect() };
    wait_until(Duration::from_secs(60), "three runs have ended", || lines().len() >= 3);
    site.database().run("update projects set name = 'x'");
    wait_until(Duration::from_secs(60), "the difference is told", || {
        lines().last().is_some_and(|line| line["result"]["verdict"] == "different")
    });
    let through: Vec<u64> = lines().iter().filter_map(|line| line["result"]["verified_through_ms"].as_u64()).collect();
    assert!(through.windows(2).all(|pair| pair[0] < pair[1]), "{through:?}");
    running.signal(rustix::process::Signal::INT);
    let _ = running.finish(Duration::from_secs(30)).expect(3);
}
