//! Verify beside writers: what is in flight is never called a difference, and once it has settled everything is equal.

use super::{Said, verify};
use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use rusqlite::Connection;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Runs beside the writers, at least; `LANDFALL_LOAD_SECONDS=600` goes on for ten minutes.
const RUNS: u32 = 4;

fn load() -> Duration {
    let seconds = std::env::var("LANDFALL_LOAD_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

fn write_on(stop: &Arc<AtomicBool>, mut step: impl FnMut() + Send + 'static) -> thread::JoinHandle<()> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            step();
            thread::sleep(Duration::from_millis(5));
        }
    })
}

/// What is found once capture has come to the end of what was written: it may have some way to go on a busy machine, and no look on that way may
/// call anything a difference.
fn settled(site: &Site) -> Said {
    for _ in 0..20 {
        let found = verify(site, &[]);
        assert_ne!(found.verdict(), "different", "{}", found.output);
        if found.verdict() == "equal" {
            return found;
        }
    }
    verify(site, &[])
}

#[test]
fn nothing_that_is_in_flight_is_called_a_difference() {
    let config = Config::new("v-load")
        .document("store", "db.json")
        .lines("log", "log/events.ndjson")
        .sqlite("app", "app.db")
        .stream("users", "store", json!({ "select": "/users", "key": "id" }))
        .stream("orders", "store", json!({ "select": "/orders", "key": "id" }))
        .stream("events", "log", json!({ "key": "id" }))
        .stream("items", "app", json!({ "key": { "from": "id", "type": "bigint" }, "columns": { "v": "integer" } }));
    let site = Site::new(config);
    let mut document = DocumentStore::create(&site.path("db.json"), &["users", "orders"], 300, Seed::new(1));
    let ledger = site.path("ledger.ndjson");
    let mut lines = LinesStore::create(&site.path("log/events.ndjson"), &ledger, (400, 100), Seed::new(2));
    let database = Connection::open(site.path("app.db")).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE items (id INTEGER PRIMARY KEY, v INTEGER)")
        .unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    let stop = Arc::new(AtomicBool::new(false));
    let mut seed = Seed::new(3);
    let writers = [
        write_on(&stop, move || document.live()),
        write_on(&stop, move || lines.live()),
        write_on(&stop, move || {
            let id = seed.below(200).cast_signed();
            let sql = "INSERT INTO items VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET v = excluded.v";
            let value = seed.below(1_000).cast_signed();
            let _ = if seed.one_in(4) {
                database.execute("DELETE FROM items WHERE id = ?1", [id])
            } else {
                database.execute(sql, [id, value])
            };
        }),
    ];
    let mut settled = 0;
    let (began, mut run) = (Instant::now(), 0);
    while run < RUNS || began.elapsed() < load() {
        run += 1;
        let found = verify(&site, &["--patience", "2s"]);
        assert_ne!(found.verdict(), "different", "run {run}: {}", found.output);
        let alarms = found.number("missing") + found.number("extra") + found.number("different");
        assert_eq!(alarms, 0, "run {run}: {}", found.output);
        settled += found.number("equal");
    }
    assert!(settled > 0);
    let said = format!("{run} runs in {:?}, {settled} records called equal\n", began.elapsed());
    let _ = std::io::stderr().write_all(said.as_bytes());
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let found = settled(&site);
    assert_eq!((found.exit, found.verdict()), (Some(0), "equal"), "{}", found.output);
    assert_eq!(found.result["service"], "running");
    // And what is really wrong is found while everything goes on.
    site.database().run("update items set v = -1 where id = (select min(id) from items)");
    let found = verify(&site, &[]);
    assert_eq!((found.verdict(), found.number("different")), ("different", 1), "{}", found.output);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn what_cannot_settle_is_suspect_and_neither_equal_nor_different() {
    let config = Config::new("v-paused").document("store", "db.json").stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    );
    let site = Site::new(config);
    std::fs::write(site.path("db.json"), r#"{"users":[{"id":1},{"id":2}]}"#).unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    site.expect_soon_equal("loaded");
    let _ = site.finish(&["pause", "users"]).expect(0);
    std::fs::write(site.path("db.json"), r#"{"users":[{"id":1},{"id":2,"v":1}]}"#).unwrap();
    let found = verify(&site, &["--patience", "1s"]);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    assert_eq!((found.number("suspect"), found.number("equal")), (1, 1), "{}", found.output);
    assert_eq!(found.reasons("users"), ["paused"]);
    let _ = site.finish(&["resume", "users"]).expect(0);
    let found = verify(&site, &[]);
    found.expect_equal(2);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
