//! A running service follows its stores: inserts, changes and deletes of all three kinds, in every manner of writing.

use landfall_tests::config::Config;
use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::manner::Manner;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::{Duration, Instant};

/// Beyond the default rescan this would not prove that hints work.
const HINTED: Duration = Duration::from_secs(10);

fn three_kinds(name: &str) -> Site {
    Site::new(
        Config::new(name)
            .document("store", "store.json")
            .lines("log", "log/events.ndjson")
            .directory("files", "files", "**/*.json")
            .stream("users", "store", json!({ "select": "/users", "key": "id" }))
            .stream("orders", "store", json!({ "select": "/orders", "key": "id" }))
            .stream("events", "log", json!({ "key": "id" }))
            .stream("records", "files", json!({})),
    )
}

#[test]
fn inserts_changes_and_deletes_of_all_three_kinds_arrive() {
    let mut site = three_kinds("live");
    let mut seed = Seed::new(42);
    let mut document = DocumentStore::create(&site.path("store.json"), &["users", "orders"], 60, seed.fork());
    let mut lines =
        LinesStore::create(&site.path("log/events.ndjson"), &site.path("events.ledger"), (100, 40), seed.fork());
    let mut files = DirectoryStore::create(&site.path("files"), 60, seed.fork());
    site.note_ledger("log", &site.path("events.ledger"));
    site.apply_schema_with_audit();
    let service = site.run();
    site.expect_soon_equal("the first revision");
    for manner in Manner::ALL {
        for _ in 0..10 {
            document.edit();
        }
        document.write(manner);
        let key = files.insert(manner);
        files.put(key - 1, manner);
        files.remove(key - 2);
        lines.append_records(30);
        let verdict = site.soon_equal(HINTED);
        verdict.expect(&format!("after edits written in the manner {manner:?}, by hints alone"));
    }
    site.expect_witness("after live edits");
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.stderr.contains("panic"), "{}", finished.stderr);
    site.expect_equal("after the service ended");
}

#[test]
fn a_change_undone_between_a_crash_and_the_next_scan_does_not_stay() {
    let site = Site::new(Config::new("undone").document("store", "store.json").stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    ));
    let mut document = DocumentStore::create(&site.path("store.json"), &["users"], 50, Seed::new(5));
    site.apply_schema_with_audit();
    site.catch_up();
    let before = document.text();
    // The change reaches the queue, the process dies before PostgreSQL has it, and the change is undone meanwhile.
    document.put("users", 7);
    document.write(Manner::Atomic);
    let point = landfall_tests::kill_point::KillPoint { name: "sink::before_begin", hit: 1 };
    let died = site.command(&["run"]).kill_at(&point).finish(Duration::from_secs(60));
    assert_eq!(died.signal, Some(9), "{}", died.output());
    std::fs::write(document.path(), before).unwrap();
    site.catch_up();
    site.expect_equal("after the change was undone");
    site.expect_witness("after the change was undone");
}

#[test]
fn a_small_change_is_visible_within_moments() {
    let site =
        Site::new(Config::new("prompt").lines("log", "log.ndjson").stream("events", "log", json!({ "key": "id" })));
    std::fs::write(site.path("log.ndjson"), "{\"id\":0}\n").unwrap();
    site.apply_schema();
    let service = site.run();
    site.expect_soon_equal("the first line");
    let mut database = site.database();
    let mut slowest = Duration::ZERO;
    for number in 1..=20 {
        let started = Instant::now();
        append(&site, &format!("{{\"id\":{number}}}\n"));
        wait_until(HINTED, "the line is a row", || {
            database.count(&format!("select count(*) from events where key = 'n:{number}'")) == 1
        });
        slowest = slowest.max(started.elapsed());
    }
    // The numbers are the benches' business; this only tells a hint from a poll.
    assert!(slowest < Duration::from_secs(5), "slowest of twenty: {slowest:?}");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

fn append(site: &Site, line: &str) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

#[test]
fn sigterm_under_load_drains_and_exits_zero() {
    let mut site = three_kinds("sigterm");
    let mut seed = Seed::new(9);
    let _document = DocumentStore::create(&site.path("store.json"), &["users", "orders"], 2_000, seed.fork());
    let mut lines =
        LinesStore::create(&site.path("log/events.ndjson"), &site.path("events.ledger"), (20_000, 500), seed.fork());
    let _files = DirectoryStore::create(&site.path("files"), 200, seed.fork());
    site.note_ledger("log", &site.path("events.ledger"));
    site.apply_schema_with_audit();
    let service = site.run();
    let mut database = site.database();
    wait_until(Duration::from_secs(60), "rows arrive", || database.count("select count(*) from events") > 0);
    lines.append_records(1_000);
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(finished.took < Duration::from_secs(90), "{finished:?}");
    site.expect_witness("after SIGTERM");
    site.catch_up();
    site.expect_equal("after the next start");
}

#[test]
fn restarting_when_nothing_changed_writes_nothing() {
    let site = three_kinds("idle");
    let mut seed = Seed::new(3);
    let _document = DocumentStore::create(&site.path("store.json"), &["users", "orders"], 50, seed.fork());
    let _lines = LinesStore::create(&site.path("log/events.ndjson"), &site.path("ledger"), (50, 20), seed.fork());
    let _files = DirectoryStore::create(&site.path("files"), 50, seed.fork());
    site.apply_schema_with_audit();
    site.catch_up();
    let mut database = site.database();
    let writes = database.count("select count(*) from audit.writes");
    site.catch_up();
    site.catch_up();
    assert_eq!(database.count("select count(*) from audit.writes"), writes, "a row was written again");
    assert!(writes >= 50 + 50 + 50, "{writes}");
}
