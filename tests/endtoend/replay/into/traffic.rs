//! A replay into another schema under traffic: the queue keeps what it needs and no more, and no change is lost on either side.

use super::{expect_followed, expect_listening, expect_sums, next};
use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::manner::Manner;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn config(other: bool) -> Config {
    // The other mapping lands records whole; the oracle knows both.
    let columns = if other { json!({}) } else { json!({ "n": { "from": "n", "type": "jsonb" } }) };
    let stream = |select: Option<&str>| {
        let mut stream = json!({ "key": "id" });
        if !other {
            stream["columns"] = columns.clone();
        }
        if let Some(select) = select {
            stream["select"] = json!(select);
        }
        stream
    };
    Config::new("replay_into_traffic")
        .document("store", "db.json")
        .lines("log", "log/events.ndjson")
        .stream("users", "store", stream(Some("/users")))
        .stream("events", "log", stream(None))
        .section("queue", json!({ "max_bytes": "1GiB", "retention": { "bytes": "0B", "age": "0s", "floor": "0s" } }))
}

/// Events that the queue of a source keeps.
fn kept(site: &Site, source: &str) -> u64 {
    let status = site.status().map(|status| status.json().clone()).unwrap_or_default();
    let sources = status["sources"].as_array().cloned().unwrap_or_default();
    let found = sources.iter().find(|one| one["name"] == source);
    found.and_then(|one| one["queue"]["events"].as_u64()).unwrap_or_default()
}

#[test]
fn swapped_there_and_back_under_traffic_and_without_retention_both_sides_stay_what_the_stores_are() {
    let mut site = Site::on(config(false), PostgresServer::shared().database("replay_into_traffic"));
    let mut document = DocumentStore::create(&site.path("db.json"), &["users"], 12_000, Seed::new(17));
    let ledger = site.path("ledger.ndjson");
    let mut lines = LinesStore::create(&site.path("log/events.ndjson"), &ledger, (0, 100), Seed::new(18));
    site.note_ledger("log", &ledger);
    site.apply_schema();
    let service = site.command(&["run"]).env("LANDFALL_SEGMENT_BYTES", "65536").start();
    expect_listening(&site);
    site.expect_stream("users", "up", |stream| stream.text().contains("\"phase\":\"live\""));
    site.expect_stream("events", "up", |stream| stream.text().contains("\"phase\":\"live\""));
    // Lines can only be replayed from their first event, which stands behind this.
    let made = site.finish(&["checkpoint", "create", "start"]).expect(0);
    assert!(made.output().contains("start"), "{}", made.output());
    next(&site, &config(true));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let live = &stop;
        scope.spawn(move || {
            while !live.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    document.edit();
                }
                document.write(Manner::Atomic);
                lines.live();
                std::thread::sleep(Duration::from_millis(600));
            }
        });
        let done = std::panic::catch_unwind(|| {
            let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
            let _ = site.finish(&["checkpoint", "delete", "start"]).expect(0);
            for swap in 0..3 {
                if swap == 1 {
                    // What was live stands still, and nothing else keeps what it will need.
                    let mut holder = site.database();
                    holder.run("begin; lock table next.users, next.events in access exclusive mode");
                    std::thread::sleep(Duration::from_secs(6));
                    holder.run("rollback");
                }
                wait_until(Duration::from_secs(60), "the schema beside is live", || {
                    let compared = site.finish(&["replay", "compare", "next", "--patience", "10s"]);
                    assert!(
                        compared.code == Some(0) || !compared.output().contains("DIFFERENT"),
                        "{}",
                        compared.output()
                    );
                    compared.code == Some(0)
                });
                let _ = site.finish(&["replay", "swap", "next"]).expect(0);
            }
        });
        // The writer ends whatever became of it.
        stop.store(true, Ordering::Relaxed);
        done.unwrap();
    });
    site.reconfigure(config(true));
    site.expect_soon_equal("after three swaps");
    expect_followed(&site, "next");
    let _ = site.finish(&["replay", "compare", "next"]).expect(0);
    wait_until(Duration::from_secs(30), "what nobody needs any more to go", || kept(&site, "store") < 12_000);
    let _ = site.finish(&["replay", "drop", "next"]).expect(0);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    expect_sums(&site);
}
