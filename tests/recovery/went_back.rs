//! The target's state goes back (an asynchronous failover, a restore), or the file index is lost: rows and store end equal.

use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::manner::Manner;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::Duration;

fn site(name: &str, retention: serde_json::Value) -> (Site, DocumentStore) {
    let config = Config::new(name)
        .source("store", json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" }))
        .section("queue", json!({ "max_bytes": "1GiB", "retention": retention }))
        .stream("users", "store", json!({ "select": "/users", "key": "id" }));
    let site = Site::on(config, PostgresServer::shared().database(name));
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 80, Seed::new(11));
    (site, document)
}

fn edit(document: &mut DocumentStore, times: usize) {
    (0..times).for_each(|_| document.edit());
    document.write(Manner::Atomic);
}

#[test]
fn a_target_that_lost_its_last_commits_gets_them_again_from_the_queue() {
    let (site, mut document) = site("went_back", json!({ "bytes": "1GiB", "age": "1d", "floor": "1h" }));
    site.apply_schema();
    site.catch_up();
    let mut database = site.database();
    // What a standby had that was promoted too early: table and checkpoints of before.
    database.run("CREATE TABLE users_then AS TABLE users; CREATE TABLE checkpoints_then AS TABLE landfall.checkpoints");
    let service = site.run_and_listen();
    for _ in 0..5 {
        edit(&mut document, 12);
        site.expect_soon_equal("before the target goes back");
    }
    database.run(
        "BEGIN; LOCK TABLE landfall.checkpoints; DELETE FROM users; INSERT INTO users TABLE users_then; \
         DELETE FROM landfall.checkpoints; INSERT INTO landfall.checkpoints TABLE checkpoints_then; COMMIT",
    );
    edit(&mut document, 5);
    site.expect_soon_equal("after the target went back");
    site.expect_witness("after the target went back");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_lost_file_index_is_replaced_by_the_keys_of_the_table() {
    let (site, mut document) = site("lost_index", json!({ "bytes": "0B", "age": "0s", "floor": "0s" }));
    site.apply_schema();
    // Segments so small that the first events are trimmed: the queue alone cannot give the index back.
    let run = || site.command(&["run", "--until-caught-up"]).env("LANDFALL_SEGMENT_BYTES", "4096");
    let _ = run().finish(Duration::from_secs(60)).expect(0);
    let oldest = || {
        let entries = std::fs::read_dir(site.path("state/queue/store")).unwrap().flatten();
        entries.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().ends_with(".seg")).min()
    };
    let first = oldest();
    let service = site.command(&["run"]).env("LANDFALL_SEGMENT_BYTES", "4096").start();
    for _ in 0..4 {
        edit(&mut document, 10);
        site.expect_soon_equal("while segments come and go");
    }
    wait_until(Duration::from_secs(30), "the first segments to be trimmed", || oldest() > first);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    std::fs::remove_file(site.path("state/index/store/users.index")).unwrap();
    let gone = document.keys("users")[3];
    document.remove("users", gone);
    edit(&mut document, 6);
    let service = site.command(&["run"]).env("LANDFALL_SEGMENT_BYTES", "4096").start();
    site.expect_soon_equal("after the index was lost");
    site.expect_witness("after the index was lost");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
