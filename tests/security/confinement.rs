//! Reads are confined to the configured root: links, pipes, devices and `..` lead nowhere, and hang nothing.

use landfall_tests::config::Config;
use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::landfall::Landfall;
use landfall_tests::manner::Manner;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

const OUTSIDE: &str = r#"{"id":666,"canary":"outside-the-root"}"#;

fn site(name: &str) -> (Site, DirectoryStore) {
    let source = json!({ "kind": "json_directory", "path": "files", "glob": "**/*.json", "rescan": "1s" });
    let site = Site::new(Config::new(name).source("files", source).stream("records", "files", json!({})));
    let files = DirectoryStore::create(&site.path("files"), 20, Seed::new(1));
    std::fs::create_dir(site.path("outside")).unwrap();
    std::fs::write(site.path("outside/secret.json"), OUTSIDE).unwrap();
    site.apply_schema_with_audit();
    (site, files)
}

/// The stream still follows: a file written after the hostile ones arrives.
fn still_follows(site: &Site, files: &mut DirectoryStore) {
    let key = files.insert(Manner::Atomic);
    let mut database = site.database();
    wait_until(Duration::from_secs(45), "a good file still arrives", || {
        database.count(&format!("select count(*) from records where key like '%record-{key}'")) == 1
    });
}

fn nothing_leaked(site: &Site) {
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from records where doc::text like '%outside-the-root%'"), 0);
    let letters =
        "select count(*) from landfall.dead_letters where convert_from(payload, 'SQL_ASCII') like '%outside-the-root%'";
    assert_eq!(database.count(letters), 0);
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn links_that_are_followed_stay_inside_the_root() {
    let source =
        json!({ "kind": "json_directory", "path": "files", "glob": "**/*.json", "rescan": "1s", "symlinks": "follow" });
    let site = Site::new(Config::new("followed").source("files", source).stream("records", "files", json!({})));
    let mut files = DirectoryStore::create(&site.path("files"), 20, Seed::new(1));
    let root = site.path("files");
    std::fs::create_dir(site.path("outside")).unwrap();
    std::fs::write(site.path("outside/secret.json"), OUTSIDE).unwrap();
    std::fs::write(root.join("kept-elsewhere"), r#"{"id":"inside"}"#).unwrap();
    site.apply_schema();
    symlink("kept-elsewhere", root.join("inner.json")).unwrap();
    symlink(site.path("outside/secret.json"), root.join("link.json")).unwrap();
    symlink("../outside/secret.json", root.join("relative.json")).unwrap();
    symlink(site.path("outside"), root.join("folder-link")).unwrap();
    symlink("loop.json", root.join("loop.json")).unwrap();
    let service = site.run_and_listen();
    still_follows(&site, &mut files);
    nothing_leaked(&site);
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from records where doc->>'id' = 'inside'"), 1);
    assert_eq!(database.count("select count(*) from records"), 22);
    end(service);
}

#[test]
fn links_lead_nowhere() {
    let (site, mut files) = site("links");
    let root = site.path("files");
    symlink(site.path("outside/secret.json"), root.join("link.json")).unwrap();
    symlink("../outside/secret.json", root.join("relative.json")).unwrap();
    symlink(site.path("outside"), root.join("folder-link")).unwrap();
    symlink("loop.json", root.join("loop.json")).unwrap();
    symlink("/proc/self/environ", root.join("environ.json")).unwrap();
    let service = site.run_and_listen();
    still_follows(&site, &mut files);
    nothing_leaked(&site);
    assert_eq!(site.database().count("select count(*) from records"), 21);
    end(service);
}

#[test]
fn a_file_swapped_for_a_link_again_and_again_never_leaks() {
    let (site, mut files) = site("swapped");
    let root = site.path("files");
    let service = site.run_and_listen();
    site.expect_soon_equal("the first listing");
    let (file, link, spare) = (root.join("swap.json"), root.join("swap.link"), root.join("swap.spare"));
    for round in 0..3_000 {
        std::fs::write(&spare, format!("{{\"id\":1,\"round\":{round}}}")).unwrap();
        std::fs::rename(&spare, &file).unwrap();
        symlink(site.path("outside/secret.json"), &link).unwrap();
        std::fs::rename(&link, &file).unwrap();
    }
    std::fs::remove_file(&file).unwrap();
    // The folder itself swapped for a link, with a file of the same name behind it.
    for _ in 0..300 {
        let (folder, away) = (root.join("group-1"), root.join("group-1-away"));
        std::fs::rename(&folder, &away).unwrap();
        symlink(site.path("outside"), &folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
    }
    still_follows(&site, &mut files);
    nothing_leaked(&site);
    site.expect_soon_equal("after all swaps");
    end(service);
}

#[test]
fn pipes_sockets_and_devices_hang_nothing() {
    let (site, mut files) = site("pipes");
    let root = site.path("files");
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe.json")).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(short_socket(&root)).unwrap();
    symlink("/dev/zero", root.join("zero.json")).unwrap();
    std::fs::create_dir(root.join("folder.json")).unwrap();
    let service = site.run_and_listen();
    still_follows(&site, &mut files);
    assert_eq!(site.database().count("select count(*) from records"), 21);
    end(service);
}

/// Socket paths have at most 107 bytes: bound by a short relative name, then moved to its place.
fn short_socket(root: &Path) -> std::path::PathBuf {
    let path = root.join("s.json");
    if path.as_os_str().len() < 100 {
        path
    } else {
        std::env::temp_dir().join(format!("lf-{}.json", std::process::id()))
    }
}

#[test]
fn a_document_that_is_a_link_is_not_followed() {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site = Site::new(Config::new("linked_document").source("store", source).stream(
        "all",
        "store",
        json!({ "key": "id" }),
    ));
    std::fs::create_dir(site.path("outside")).unwrap();
    std::fs::write(site.path("outside/secret.json"), format!("[{OUTSIDE}]")).unwrap();
    symlink(site.path("outside/secret.json"), site.path("store.json")).unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    site.expect_stream("all", "waiting", |stream| stream.state().contains("wait") || stream.state().contains("halt"));
    assert_eq!(site.database().count(r#"select count(*) from "all""#), 0);
    std::fs::remove_file(site.path("store.json")).unwrap();
    std::fs::write(site.path("store.json"), r#"[{"id":1}]"#).unwrap();
    site.expect_soon_equal("a regular file in its place");
    end(service);
}
