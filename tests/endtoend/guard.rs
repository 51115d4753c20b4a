//! Deletion needs proof: a store that vanishes, becomes unreadable or shrinks to nothing deletes nothing and says so.

use landfall_tests::config::Config;
use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::manner::Manner;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::unprivileged::Unprivileged;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

fn document_site(name: &str) -> (Site, DocumentStore) {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site = Site::new(Config::new(name).source("store", source).stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    ));
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 50, Seed::new(1));
    site.apply_schema_with_audit();
    (site, document)
}

fn rows(site: &Site, table: &str) -> i64 {
    site.database().count(&format!("select count(*) from {table}"))
}

fn end(service: landfall_tests::landfall::Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_vanished_document_deletes_nothing_and_goes_on_when_it_is_back() {
    let (site, mut document) = document_site("vanished");
    let service = site.run();
    site.expect_soon_equal("the first revision");
    std::fs::rename(site.path("store.json"), site.path("elsewhere")).unwrap();
    let status = site.expect_stream("users", "waiting for the file", |stream| stream.state().contains("wait"));
    assert!(status.text().contains("missing"), "{status:?}");
    assert_eq!(rows(&site, "users"), 50);
    document.edit();
    document.write(Manner::Atomic);
    site.expect_soon_equal("the store is back");
    end(service);
}

#[test]
fn a_document_shrunk_to_nothing_is_held_until_it_is_accepted() {
    let (site, _document) = document_site("accepted");
    let service = site.run();
    site.expect_soon_equal("the first revision");
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    let held = site.expect_stream("users", "held", |stream| stream.state().contains("held"));
    assert_eq!(rows(&site, "users"), 50, "nothing is deleted while held");
    let subject = held.subject().to_owned();
    assert!(!subject.is_empty(), "the status names the revision: {held:?}");
    let told = site.finish(&["status"]);
    assert!(told.stdout.contains("accept") && told.stdout.contains("refuse"), "how to decide: {}", told.stdout);
    let _ = site.finish(&["accept", "users", &subject]).expect(0);
    wait_until(SOON, "the accepted revision is applied", || rows(&site, "users") == 0);
    site.expect_soon_equal("the accepted revision");
    site.expect_witness("after the accepted revision");
    end(service);
}

#[test]
fn a_refused_revision_stays_refused_and_the_next_good_one_is_taken() {
    let (site, mut document) = document_site("refused");
    let service = site.run();
    site.expect_soon_equal("the first revision");
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    let held = site.expect_stream("users", "held", |stream| stream.state().contains("held"));
    let _ = site.finish(&["refuse", "users", held.subject()]).expect(0);
    site.expect_stream("users", "refused", |stream| stream.text().contains("refused"));
    assert_eq!(rows(&site, "users"), 50);
    document.edit();
    document.write(Manner::Atomic);
    site.expect_soon_equal("the next good revision");
    end(service);
}

#[test]
fn an_acceptance_names_one_revision_and_no_other() {
    let (site, _document) = document_site("other_revision");
    let service = site.run();
    site.expect_soon_equal("the first revision");
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    site.expect_stream("users", "held", |stream| stream.state().contains("held"));
    let wrong = site.finish(&["accept", "users", "00000000000000000000000000000000"]);
    assert_ne!(wrong.code, Some(0), "nothing by that name is held: {}", wrong.output());
    assert_eq!(rows(&site, "users"), 50);
    end(service);
}

#[test]
fn a_store_halved_at_a_stroke_is_held_and_one_record_less_is_not() {
    let (site, mut document) = document_site("halved");
    let service = site.run();
    site.expect_soon_equal("the first revision");
    document.remove("users", 3);
    document.write(Manner::Atomic);
    site.expect_soon_equal("one record less");
    let whole = document.keys("users");
    for key in &whole[..whole.len() / 2] {
        document.remove("users", *key);
    }
    document.write(Manner::Atomic);
    site.expect_stream("users", "held", |stream| stream.state().contains("held"));
    assert_eq!(rows(&site, "users"), 49);
    end(service);
}

#[test]
fn a_vanished_folder_deletes_nothing_and_a_vanished_file_its_row() {
    let source = json!({ "kind": "json_directory", "path": "files", "glob": "**/*.json", "rescan": "1s" });
    let site = Site::new(Config::new("folder").source("files", source).stream("records", "files", json!({})));
    let mut files = DirectoryStore::create(&site.path("files"), 50, Seed::new(1));
    site.apply_schema_with_audit();
    let service = site.run();
    site.expect_soon_equal("the first listing");
    files.remove(1);
    site.expect_soon_equal("one file less");
    std::fs::rename(site.path("files"), site.path("unmounted")).unwrap();
    site.expect_stream("records", "waiting for the folder", |stream| stream.state().contains("wait"));
    assert_eq!(rows(&site, "records"), 49);
    // An empty mount point in its place is no proof either.
    std::fs::create_dir(site.path("files")).unwrap();
    site.expect_stream("records", "held", |stream| stream.state().contains("held"));
    assert_eq!(rows(&site, "records"), 49);
    std::fs::remove_dir(site.path("files")).unwrap();
    std::fs::rename(site.path("unmounted"), site.path("files")).unwrap();
    files.insert(Manner::Atomic);
    site.expect_soon_equal("the folder is back");
    end(service);
}

#[test]
fn an_unreadable_store_deletes_nothing() {
    let (site, mut document) = document_site("unreadable");
    // Root passes every file mode: the service runs as somebody else, in a site that is theirs.
    let user = Unprivileged::find();
    user.own_all(site.directory());
    let service = site.command(&["run"]).as_user(user).start();
    site.expect_soon_equal("the first revision");
    let mode = |bits| std::fs::set_permissions(site.path("store.json"), std::fs::Permissions::from_mode(bits)).unwrap();
    mode(0o000);
    let status = site.expect_stream("users", "unreadable", |stream| stream.state().contains("wait"));
    assert!(status.text().contains("unreadable"), "{status:?}");
    assert_eq!(rows(&site, "users"), 50);
    mode(0o644);
    document.edit();
    document.write(Manner::Truncating);
    site.expect_soon_equal("the store is readable again");
    end(service);
}
