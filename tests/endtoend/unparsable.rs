//! A document that does not parse waits, not ready, with the byte offset; healed, it goes on. It is never parked.

use landfall_tests::config::Config;
use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::manner::Manner;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_half_written_document_waits_with_its_byte_offset_and_heals() {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site = Site::new(Config::new("half").source("store", source).stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    ));
    let mut document = DocumentStore::create(&site.path("store.json"), &["users"], 50, Seed::new(1));
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    site.expect_soon_equal("the first revision");
    document.edit();
    let whole = document.text();
    let cut = whole.len() / 2;
    std::fs::write(site.path("store.json"), &whole[..cut]).unwrap();
    let waiting = site.expect_stream("users", "waiting for a whole document", |stream| {
        stream.state().contains("wait") && stream.text().contains("unparsable")
    });
    assert!(waiting.text().contains(&cut.to_string()), "the byte offset {cut} is shown: {waiting:?}");
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from users"), 50);
    assert_eq!(
        database.count("select count(*) from landfall.dead_letters"),
        0,
        "an unparsable document is never parked"
    );
    std::fs::write(site.path("store.json"), whole).unwrap();
    site.expect_soon_equal("the document is whole");
    site.expect_witness("the document is whole");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_document_broken_from_the_start_is_waited_for() {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site =
        Site::new(Config::new("broken_start").source("store", source).stream("all", "store", json!({ "key": "id" })));
    std::fs::write(site.path("store.json"), b"[{\"id\":1},{\"id\":2,\"name\":\"caf\xe9\"}]").unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    let waiting = site.expect_stream("all", "waiting", |stream| stream.state().contains("wait"));
    assert!(waiting.text().contains("unparsable"), "{waiting:?}");
    std::fs::write(site.path("store.json"), "[{\"id\":1},{\"id\":2,\"name\":\"café\"}]").unwrap();
    site.expect_soon_equal("the document is UTF-8");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn one_broken_file_of_a_folder_waits_and_the_others_go_on() {
    let source = json!({ "kind": "json_directory", "path": "files", "glob": "**/*.json", "rescan": "1s" });
    let site = Site::new(Config::new("broken_file").source("files", source).stream("records", "files", json!({})));
    let mut files = DirectoryStore::create(&site.path("files"), 20, Seed::new(1));
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    site.expect_soon_equal("the first listing");
    let broken = files.file(5);
    let whole = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    site.expect_stream("records", "naming the broken file", |stream| stream.text().contains("record-5"));
    let key = files.insert(Manner::Atomic);
    let mut database = site.database();
    landfall_tests::wait::wait_until(Duration::from_secs(45), "the other file is a row", || {
        database.count(&format!("select count(*) from records where key = 's:group-{}/record-{key}'", key % 8)) == 1
    });
    assert_eq!(database.count("select count(*) from records"), 21, "the broken file's old row stands");
    std::fs::write(&broken, &whole).unwrap();
    site.expect_soon_equal("the file is whole");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
