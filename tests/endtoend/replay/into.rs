//! `replay --into`: another mapping beside the live one, compared, put in its place, and back.

mod lines;
mod lives;
mod refused;
mod traffic;

use super::{SOON, result};
use bson::doc;
use landfall_tests::config::Config;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// Three kinds of stores, each with one stream; `shout` is the other mapping.
fn config(name: &str, shout: bool) -> Config {
    let text = if shout {
        json!({ "type": "text", "normalize": ["upper"], "keep": false })
    } else {
        json!({ "type": "text" })
    };
    let children = json!({ "tasks": { "from": "tasks", "key": "id", "columns": { "title": text } } });
    Config::new(name)
        .document("store", "db.json")
        .source("log", json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "1s" }))
        .sqlite("app", "app.db")
        .stream(
            "projects",
            "store",
            json!({ "select": "/projects", "key": "id", "columns": { "name": text }, "children": children }),
        )
        .stream("events", "log", json!({ "key": "id", "columns": { "t": text } }))
        .stream("items", "app", json!({ "key": { "from": "id", "type": "bigint" }, "columns": { "t": text } }))
}

fn put(site: &Site, projects: std::ops::Range<u64>, word: &str) {
    let project = |id: u64| {
        let tasks: Vec<Value> = (0..id % 4).map(|n| json!({ "id": n, "title": format!("{word} {n}") })).collect();
        json!({ "id": id, "name": format!("{word} {id}"), "tasks": tasks, "more": id })
    };
    let all: Vec<Value> = projects.map(project).collect();
    std::fs::write(site.path("db.new"), json!({ "projects": all }).to_string()).unwrap();
    std::fs::rename(site.path("db.new"), site.path("db.json")).unwrap();
}

fn log(site: &Site, ids: std::ops::Range<u64>, word: &str) {
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(site.path("log.ndjson")).unwrap();
    let lines: String = ids.map(|id| format!("{{\"id\":{id},\"t\":\"{word} {id}\"}}\n")).collect();
    log.write_all(lines.as_bytes()).unwrap();
}

fn items(site: &Site, ids: std::ops::Range<u64>, word: &str) {
    let mut database = Connection::open(site.path("app.db")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let writing = database.transaction().unwrap();
    writing.execute_batch("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, t TEXT)").unwrap();
    writing.execute_batch("DELETE FROM items WHERE id % 11 = 3").unwrap();
    for id in ids {
        writing
            .execute("INSERT OR REPLACE INTO items VALUES (?1, ?2)", (id.cast_signed(), format!("{word} {id}")))
            .unwrap();
    }
    writing.commit().unwrap();
}

fn write_all(site: &Site, from: u64, word: &str) {
    put(site, from..from + 80, word);
    log(site, from..from + 120, word);
    items(site, from..from + 60, word);
}

/// The rows of a schema, without versions.
fn rows(site: &Site, schema: &str) -> Vec<Vec<Vec<Option<String>>>> {
    let queries = [
        "select id, name, coalesce(rest::text, '') from {}.projects order by 1",
        "select projects_id, id, title, coalesce(rest::text, '') from {}.projects_tasks order by 1, 2",
        "select id, t, coalesce(rest::text, '') from {}.events order by 1",
        "select id::text, t, coalesce(rest::text, '') from {}.items order by 1",
    ];
    queries.iter().map(|query| site.database().rows(&query.replace("{}", schema))).collect()
}

/// What a migration from nothing makes of the same stores.
fn fresh(site: &Site, name: &str, shout: bool) -> Vec<Vec<Vec<Option<String>>>> {
    let other = Site::on(config(name, shout), PostgresServer::shared().database(name));
    for file in ["db.json", "log.ndjson", "app.db"] {
        std::fs::copy(site.path(file), other.path(file)).unwrap();
    }
    other.apply_schema();
    other.catch_up();
    rows(&other, "public")
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

/// The service can be talked to; before, `status` tells what stands on the disk.
#[track_caller]
fn expect_listening(site: &Site) {
    wait_until(SOON, "the service to listen", || site.path("state/control.sock").exists());
}

/// The live tables are what the stores are: `verify` says so, once everything is captured and applied.
#[track_caller]
fn expect_equal(site: &Site, moment: &str) {
    let verified = site.finish(&["verify"]);
    assert_eq!(verified.code, Some(0), "{moment}: {}", verified.output());
}

/// Everything that stands in the sources is applied in the schema beside.
#[track_caller]
fn expect_followed(site: &Site, schema: &str) {
    let what = format!("schema {schema} to be followed");
    wait_until(SOON, &what, || {
        let status = site.status().map(|status| status.json().clone()).unwrap_or_default();
        let beside = status["beside"].as_array().cloned().unwrap_or_default();
        beside.iter().any(|one| {
            let streams = one["streams"].as_array().cloned().unwrap_or_default();
            one["schema"] == schema
                && !streams.is_empty()
                && streams.iter().all(|stream| stream["ready"] == true && stream["queued"] == 0)
        })
    });
}

/// The sums of all checkpoints, of both pipelines, and that each letter that waits is counted.
#[track_caller]
fn expect_sums(site: &Site) {
    super::expect_sum(site);
}

fn next(site: &Site, config: &Config) {
    std::fs::write(site.path("next.yaml"), config.text()).unwrap();
}

#[test]
fn another_mapping_is_filled_followed_compared_and_put_in_place_and_back_while_stores_are_written_to() {
    let mut site = Site::on(config("replay_into", false), PostgresServer::shared().database("replay_into"));
    write_all(&site, 0, "first");
    site.apply_schema();
    let service = site.run_and_listen();
    expect_equal(&site, "the first mapping");
    let reader =
        "create role into_reader; grant select on projects to into_reader; grant update (t) on events to into_reader";
    site.database().run(reader);
    next(&site, &config("replay_into", true));
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    write_all(&site, 20, "second");
    expect_followed(&site, "next");
    let refused = site.finish(&["replay", "swap", "next"]);
    assert!(refused.code == Some(1) && refused.output().contains("replay compare next"), "{}", refused.output());
    let compared = site.finish(&["replay", "compare", "next"]).expect(0);
    assert!(compared.output().contains("OK"), "{}", compared.output());
    write_all(&site, 30, "third");
    let _ = site.finish(&["replay", "swap", "next"]).expect(0);
    site.reconfigure(config("replay_into", true));
    write_all(&site, 40, "fourth");
    expect_equal(&site, "the second mapping");
    expect_followed(&site, "next");
    assert_eq!(rows(&site, "public"), fresh(&site, "replay_into_fresh", true), "what is live is the new mapping's");
    assert_eq!(rows(&site, "next"), fresh(&site, "replay_into_old", false), "what was live is followed with its own");
    let may = "select has_table_privilege('into_reader', 'public.projects', 'select')::int \
        + has_column_privilege('into_reader', 'public.events', 't', 'update')::int";
    assert_eq!(site.database().count(may), 2, "rights stay with the name");
    expect_sums(&site);
    let _ = site.finish(&["replay", "compare", "next"]).expect(0);
    let _ = site.finish(&["replay", "swap", "next"]).expect(0);
    site.reconfigure(config("replay_into", false));
    write_all(&site, 50, "fifth");
    expect_equal(&site, "back at the first mapping");
    end(service);
    let service = site.run_and_listen();
    write_all(&site, 60, "sixth");
    expect_equal(&site, "after a restart");
    expect_followed(&site, "next");
    assert_eq!(rows(&site, "next"), fresh(&site, "replay_into_again", true));
    let _ = site.finish(&["verify"]).expect(0);
    let _ = site.finish(&["replay", "drop", "next"]).expect(0);
    let left = "select count(*) from landfall.streams where pipeline like '%@%'";
    assert_eq!(site.database().count(left), 0);
    assert_eq!(site.database().count("select count(*) from pg_namespace where nspname = 'next'"), 0);
    assert!(!site.path("state/into/next").exists() && !site.path("state/base/into-next").exists());
    write_all(&site, 70, "seventh");
    expect_equal(&site, "without the other");
    site.database().run("drop owned by into_reader; drop role into_reader");
    end(service);
    expect_sums(&site);
}

#[test]
fn a_replay_from_a_checkpoint_with_its_base_equals_a_fresh_migration_with_that_mapping() {
    let plain = |shout| {
        let full = config("replay_base", shout).text();
        let mut written: Value = serde_json::from_str(&full).unwrap();
        written["streams"].as_object_mut().unwrap().remove("events");
        written["sources"].as_object_mut().unwrap().remove("log");
        written.to_string()
    };
    let site = Site::on(config("replay_base", false), PostgresServer::shared().database("replay_base"));
    std::fs::write(site.config_file(), plain(false)).unwrap();
    write_all(&site, 0, "first");
    site.apply_schema();
    let service = site.run_and_listen();
    expect_equal(&site, "before the checkpoint");
    let made = result(&site, &["checkpoint", "create", "here", "--with-base"]);
    assert!(made["checkpoints"][0]["base_bytes"].as_u64().is_some_and(|bytes| bytes > 1_000), "{made}");
    write_all(&site, 20, "second");
    expect_equal(&site, "behind the checkpoint");
    // The base holds what is gone since: only the events behind it take it away again.
    std::fs::write(site.path("next.yaml"), plain(true)).unwrap();
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next", "--from", "here"]).expect(0);
    expect_followed(&site, "next");
    let fresh = fresh(&site, "replay_base_fresh", true);
    let ours = |query: &str| site.database().rows(query);
    assert_eq!(ours("select id, name, coalesce(rest::text, '') from next.projects order by 1"), fresh[0]);
    assert_eq!(
        ours("select projects_id, id, title, coalesce(rest::text, '') from next.projects_tasks order by 1, 2"),
        fresh[1]
    );
    assert_eq!(ours("select id::text, t, coalesce(rest::text, '') from next.items order by 1"), fresh[3]);
    let listed = result(&site, &["checkpoint", "list"]);
    assert_eq!(listed["checkpoints"][0]["name"], "here", "a checkpoint of one's own stays: {listed}");
    let _ = site.finish(&["checkpoint", "delete", "here"]).expect(0);
    assert!(!site.path("state/base/here").exists());
    let _ = site.finish(&["replay", "compare", "next"]).expect(0);
    end(service);
    expect_sums(&site);
}

#[test]
fn collections_are_based_on_a_reading_of_their_own_and_followed_through_the_one_change_stream() {
    let store = MongoServer::shared().database("replay_into");
    let config = |shout: bool| {
        let rule = if shout { json!({ "type": "text", "normalize": ["upper"], "keep": false }) } else { json!("text") };
        Config::new("replay_into_mongo").mongo("app", store.name()).stream(
            "people",
            "app",
            json!({ "columns": { "name": rule } }),
        )
    };
    let people = |ids: std::ops::Range<i32>, word: &str| {
        let documents: Vec<_> = ids.map(|id| doc! { "_id": id, "name": format!("{word} {id}") }).collect();
        store.run(doc! { "insert": "people", "documents": documents });
    };
    people(0..3_000, "first");
    let mut site = Site::on(config(false), PostgresServer::shared().database("replay_into_mongo")).mongo(store.uri());
    site.apply_schema();
    let service = site.run_and_listen();
    site.expect_stream("people", "live", |stream| stream.text().contains("\"phase\":\"live\""));
    store.run(doc! { "delete": "people", "deletes": [{ "q": { "_id": { "$lt": 20 } }, "limit": 0 }] });
    next(&site, &config(true));
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    people(3_000..3_100, "second");
    store.run(doc! { "update": "people", "updates": [{ "q": { "_id": 50 }, "u": { "$set": { "name": "changed" } } }] });
    store.run(doc! { "delete": "people", "deletes": [{ "q": { "_id": { "$gte": 60, "$lt": 70 } }, "limit": 0 }] });
    expect_followed(&site, "next");
    let _ = site.finish(&["replay", "compare", "next"]).expect(0);
    let _ = site.finish(&["replay", "swap", "next"]).expect(0);
    site.reconfigure(config(true));
    people(3_100..3_150, "third");
    expect_equal(&site, "the other mapping");
    let count = |sql: &str| site.database().count(sql);
    assert_eq!(count("select count(*) from people"), 3_120);
    assert_eq!(count("select count(*) from people where name = 'CHANGED'"), 1);
    assert_eq!(count("select count(*) from people where name <> upper(name)"), 0);
    end(service);
    expect_sums(&site);
}

#[test]
fn a_service_killed_anywhere_goes_on_with_what_it_follows_and_a_swap_is_whole_or_not_at_all() {
    for (at, (point, hit)) in [
        ("copy::before_chunk", 1),
        ("copy::after_chunk", 2),
        ("sink::after_finish_bulk", 1),
        ("barrier::before_pass", 2),
        ("swap::before_commit", 1),
        ("swap::after_commit", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("replay_into_killed_{at}");
        let mut site = Site::on(config(&name, false), PostgresServer::shared().database(&name));
        write_all(&site, 0, "first");
        site.apply_schema();
        site.catch_up();
        let kill = KillPoint { name: point, hit };
        let mut service = site.command(&["run"]).kill_at(&kill).start();
        expect_listening(&site);
        for stream in ["events", "items", "projects"] {
            site.expect_stream(stream, "live", |stream| stream.text().contains("\"phase\":\"live\""));
        }
        next(&site, &config(&name, true));
        let begun = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]);
        let swapped = point.starts_with("swap");
        if swapped {
            let _ = begun.expect(0);
            expect_followed(&site, "next");
            let _ = site.finish(&["replay", "compare", "next"]).expect(0);
            let _ = site.finish(&["replay", "swap", "next"]);
        }
        assert!(service.ends_within(SOON), "{point} was not reached");
        write_all(&site, 20, "second");
        let is_live = point == "swap::after_commit";
        if is_live {
            site.reconfigure(config(&name, true));
        }
        let service = site.run_and_listen();
        expect_equal(&site, point);
        expect_followed(&site, "next");
        assert_eq!(rows(&site, "public"), fresh(&site, &format!("{name}_live"), is_live), "{point}");
        assert_eq!(rows(&site, "next"), fresh(&site, &format!("{name}_beside"), !is_live), "{point}");
        let _ = site.finish(&["replay", "compare", "next"]).expect(0);
        end(service);
        expect_sums(&site);
    }
}
