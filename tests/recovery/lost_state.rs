//! The state directory is lost while the store goes on: nothing happens without a word, and with it store and table end equal.

use landfall_tests::config::Config;
use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::landfall::Landfall;
use landfall_tests::manner::Manner;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

fn site(name: &str) -> (Site, DocumentStore) {
    let config = Config::new(name)
        .source("store", json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" }))
        .stream("users", "store", json!({ "select": "/users", "key": "id" }));
    let site = Site::on(config, PostgresServer::shared().database(name));
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 80, Seed::new(23));
    site.apply_schema_with_audit();
    (site, document)
}

fn edit(document: &mut DocumentStore, times: usize) {
    (0..times).for_each(|_| document.edit());
    document.write(Manner::Atomic);
}

/// Changes, additions, and records that vanish while nothing knows of them.
fn lose_state_and_edit(site: &Site, document: &mut DocumentStore) {
    std::fs::remove_dir_all(site.path("state")).unwrap();
    for key in document.keys("users").into_iter().take(5) {
        document.remove("users", key);
    }
    edit(document, 25);
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

/// Everything in the table, versions included.
fn rows(site: &Site) -> Vec<Vec<Option<String>>> {
    site.database().rows("select * from users order by 1")
}

fn expect_halted(site: &Site) {
    let halted = site.expect_stream("users", "halted", |stream| stream.state().contains("halted"));
    assert!(halted.text().contains("queue_changed"), "{halted:?}");
    assert!(
        halted.text().contains("landfall accept users queue_changed"),
        "the status says what can be done: {halted:?}"
    );
}

#[test]
fn a_lost_state_directory_is_accepted_on_the_running_service_and_all_ends_equal() {
    let (site, mut document) = site("lost_state");
    site.catch_up();
    let service = site.run_and_listen();
    edit(&mut document, 10);
    site.expect_soon_equal("before the state is lost");
    end(service);
    lose_state_and_edit(&site, &mut document);
    let before = rows(&site);
    let service = site.run_and_listen();
    expect_halted(&site);
    let _ = site.finish(&["refuse", "users", "queue_changed"]).expect(0);
    edit(&mut document, 3);
    expect_halted(&site);
    assert_eq!(rows(&site), before, "without an acceptance nothing is touched");
    let _ = site.finish(&["accept", "users", "queue_changed", "--actor", "ada"]).expect(0);
    site.expect_soon_equal("after the acceptance");
    edit(&mut document, 10);
    site.expect_soon_equal("and it goes on");
    site.expect_witness("after the acceptance");
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from landfall.generations"), 2, "later versions stand above all before");
    assert_eq!(database.value("select actor from landfall.history where event = 'rebound'").as_deref(), Some("ada"));
    wait_until(SOON, "what vanished to be looked for", || {
        site.database().count("select count(*) from landfall.streams where resync") == 0
    });
    end(service);
    edit(&mut document, 5);
    site.catch_up();
    site.expect_equal("after another start");
    site.expect_witness("after another start");
}

#[test]
fn a_word_given_while_no_service_runs_is_good_for_one_loss_and_not_for_the_next() {
    let (site, mut document) = site("lost_state_offline");
    site.catch_up();
    lose_state_and_edit(&site, &mut document);
    let halted = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert!(halted.output().contains("landfall accept users queue_changed"), "{}", halted.output());
    let _ = site.finish(&["accept", "users", "queue_changed"]).expect(0);
    site.catch_up();
    site.expect_equal("accepted for the next service");
    site.expect_witness("accepted for the next service");
    // The same word again, for a loss that nobody has looked at.
    lose_state_and_edit(&site, &mut document);
    let before = rows(&site);
    let _ = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert_eq!(rows(&site), before);
}

#[test]
fn a_word_on_a_loss_that_did_not_happen_is_void() {
    let (site, mut document) = site("lost_state_void");
    site.catch_up();
    let _ = site.finish(&["accept", "users", "queue_changed"]).expect(0);
    site.catch_up();
    lose_state_and_edit(&site, &mut document);
    let before = rows(&site);
    let _ = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert_eq!(rows(&site), before);
}

#[test]
fn files_that_vanished_with_the_state_directory_are_deleted_under_the_guard() {
    let source = json!({ "kind": "json_directory", "path": "files", "glob": "**/*.json", "rescan": "1s" });
    let site = Site::new(Config::new("lost_state_guard").source("files", source).stream("records", "files", json!({})));
    let mut files = DirectoryStore::create(&site.path("files"), 60, Seed::new(5));
    site.apply_schema_with_audit();
    site.catch_up();
    std::fs::remove_dir_all(site.path("state")).unwrap();
    for key in files.keys().into_iter().take(30) {
        files.remove(key);
    }
    let service = site.run_and_listen();
    site.expect_stream("records", "halted", |stream| stream.state().contains("halted"));
    let _ = site.finish(&["accept", "records", "queue_changed"]).expect(0);
    let held = site.expect_stream("records", "held", |stream| stream.state().contains("held"));
    assert_eq!(site.database().count("select count(*) from records"), 60);
    let _ = site.finish(&["accept", "records", held.subject()]).expect(0);
    site.expect_soon_equal("after both acceptances");
    site.expect_witness("after both acceptances");
    end(service);
}
