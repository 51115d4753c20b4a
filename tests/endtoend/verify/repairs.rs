//! `verify --repair`: what differs is captured again through the running service, and what the source lacks goes.

use super::verify;
use bson::doc;
use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use landfall_tests::status::StreamStatus;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;

/// Live, and nothing waits.
fn calm(stream: &StreamStatus) -> bool {
    let text = stream.text();
    stream.state() == "following" && text.contains("\"queued\":0") && !text.contains("\"captured\":0,")
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

fn document(name: &str, records: u64) -> Site {
    let stream = json!({
        "select": "/projects", "key": { "from": "id", "type": "bigint" }, "columns": { "name": "text" }, "rest": "rest",
        "children": { "tasks": { "key": { "from": "id", "type": "text" }, "table": "tasks", "parent": "project_id",
                                 "columns": { "title": "text" } } },
    });
    let site = Site::new(Config::new(name).document("store", "db.json").stream("projects", "store", stream));
    let project = |id| {
        json!({ "id": id, "name": format!("project {id}"), "more": id,
                            "tasks": [{ "id": "a", "title": "one" }, { "id": "b", "title": "two" }] })
    };
    let projects: Vec<Value> = (0..records).map(project).collect();
    std::fs::write(site.path("db.json"), json!({ "projects": projects }).to_string()).unwrap();
    site.apply_schema();
    site
}

#[test]
fn records_of_a_document_are_repaired_with_all_their_rows() {
    let site = document("v-repair", 200);
    let service = site.run_and_listen();
    site.expect_stream("projects", "live", calm);
    verify(&site, &[]).expect_equal(200);
    site.database().run(
        "update projects set name = 'x' where id = 1; delete from projects where id = 2; delete from tasks where project_id = 3; \
         insert into projects (id, name, _lf_version) values (1000, 'extra', 1); \
         insert into tasks (project_id, id, title, _lf_version) values (4, 'c', 'extra', 1), (2000, 'a', 'orphan', 1); \
         update projects set rest = null where id = 5",
    );
    let would = verify(&site, &["--repair", "--dry-run"]);
    assert_eq!((would.exit, would.verdict()), (Some(3), "different"), "{}", would.output);
    assert_eq!(
        would.stream("projects")["repair"],
        json!({ "asked": 7, "repaired": 0, "not_nameable": 0, "dry_run": true })
    );
    assert_eq!(verify(&site, &[]).verdict(), "different", "nothing was done");
    let repaired = verify(&site, &["--repair"]);
    assert_eq!(repaired.stream("projects")["repair"]["repaired"], 7, "{}", repaired.output);
    repaired.expect_equal(200);
    verify(&site, &["--fresh"]).expect_equal(200);
    end(service);
    // The same index goes on with the next revision.
    let _ = site.catch_up();
    verify(&site, &[]).expect_equal(200);
}

#[test]
fn more_extra_rows_than_the_guard_lets_go_wait_for_a_decision() {
    let site = document("v-repair-held", 40);
    let service = site.run_and_listen();
    site.expect_stream("projects", "live", calm);
    site.database()
        .run("insert into projects (id, name, _lf_version) select 1000 + n, 'extra', 1 from generate_series(1, 60) n");
    let held = verify(&site, &["--repair", "--patience", "5s"]);
    assert_eq!(held.exit, Some(3), "{}", held.output);
    assert_eq!(
        site.database().count("select count(*) from projects where id > 1000"),
        60,
        "nothing is deleted unasked"
    );
    let status = site.expect_stream("projects", "held", |stream| stream.state() == "held");
    let _ = site.finish(&["accept", "projects", status.subject()]).expect(0);
    site.expect_stream("projects", "following", calm);
    verify(&site, &["--fresh"]).expect_equal(40);
    end(service);
}

#[test]
fn rows_of_sqlite_lines_and_collections_are_repaired_too() {
    let store = MongoServer::shared().database("repair");
    let all: Vec<bson::Document> = (0..50).map(|n| doc! { "_id": n, "v": n }).collect();
    store.run(doc! { "insert": "things", "documents": all });
    let config = Config::new("v-repair-kinds")
        .mongo("docs", store.name())
        .collection("things", "docs", "things")
        .sqlite("app", "app.db")
        .stream("items", "app", json!({ "key": { "from": "id", "type": "bigint" }, "columns": { "v": "integer" } }))
        .lines("log", "log.ndjson")
        .stream("events", "log", json!({ "key": "id" }))
        .directory("kyc", "kyc", "*.json")
        .stream("files", "kyc", json!({}));
    let site = Site::new(config).mongo(store.uri());
    let db = Connection::open(site.path("app.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO items VALUES (1, 1), (2, 2), (3, 3)",
    )
    .unwrap();
    std::fs::write(site.path("log.ndjson"), "{\"id\":1,\"v\":0}\n{\"id\":2}\n{\"id\":1,\"v\":1}\n").unwrap();
    std::fs::create_dir(site.path("kyc")).unwrap();
    std::fs::write(site.path("kyc/a.json"), "{\"n\":1}").unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    for stream in ["things", "items", "events", "files"] {
        site.expect_stream(stream, "live", calm);
    }
    verify(&site, &[]).expect_equal(50 + 3 + 2 + 1);
    let mut database = site.database();
    database.run("update things set doc = '{}' where key = 'n:7'; delete from things where key = 'n:8'");
    database.run("insert into things (key, doc, _lf_raw, _lf_version) select 'n:99', doc, _lf_raw, 1 from things where key = 'n:9'");
    database.run("update items set v = 9 where id = 1; insert into items (id, v, _lf_version) values (77, 1, 1)");
    database.run("update events set doc = '{\"id\": 1}' where key = 'n:1'; update files set doc = '{}'");
    let found = verify(&site, &[]);
    assert_eq!(
        (found.number("different"), found.number("missing"), found.number("extra")),
        (4, 1, 2),
        "{}",
        found.output
    );
    verify(&site, &["--repair"]).expect_equal(50 + 3 + 2 + 1);
    end(service);
}

#[test]
fn without_a_service_nothing_is_repaired_and_that_is_said() {
    let site = document("v-repair-none", 3);
    let _ = site.catch_up();
    site.database().run("update projects set name = 'x' where id = 1");
    let found = verify(&site, &["--repair"]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "different"), "{}", found.output);
    assert_eq!(found.reasons("projects"), ["no_service"], "{}", found.output);
}
