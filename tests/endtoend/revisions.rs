//! The real revisions of real stores, broken ones among them, replayed in place in three manners of writing, under kills.

use landfall_tests::config::Config;
use landfall_tests::manner::Manner;
use landfall_tests::repository::shared_data;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

fn revisions(store: &str) -> Vec<PathBuf> {
    let folder = shared_data().join("stores").join(store);
    let listing = std::fs::read_to_string(folder.join("revisions.ndjson")).unwrap();
    listing
        .lines()
        .map(|line| {
            let revision: Value = serde_json::from_str(line).unwrap();
            folder.join(revision["file"].as_str().unwrap())
        })
        .collect()
}

fn replay(store: &str, manner: Manner, stream: Value) {
    let name = format!("{}_{manner:?}", store.replace('-', "_")).to_lowercase();
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site = Site::new(Config::new(&name).source("store", source).stream("records", "store", stream));
    let mut seed = Seed::new(0x5eed ^ manner as u64);
    site.apply_schema_with_audit();
    let path = site.path("store.json");
    let mut service = site.run();
    for revision in revisions(store) {
        manner.write(&path, &std::fs::read(revision).unwrap(), &mut seed);
        // Sometimes the service sees the revision in peace, sometimes it is killed over it, sometimes the next one comes at once.
        match seed.below(3) {
            0 => std::thread::sleep(Duration::from_millis(seed.range(50, 400))),
            1 => {
                std::thread::sleep(Duration::from_millis(seed.range(1, 250)));
                service.kill();
                service = site.run();
            }
            _ => {}
        }
    }
    site.expect_soon_equal("after the last revision");
    site.expect_witness("after the last revision");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn countries_replaced_atomically_end_equal() {
    replay("countries", Manner::Atomic, json!({ "key": "cca2" }));
}

#[test]
fn countries_truncated_and_rewritten_end_equal() {
    replay("countries", Manner::Truncating, json!({ "key": "cca2" }));
}

#[test]
fn countries_written_in_pieces_end_equal() {
    replay("countries", Manner::Torn, json!({ "key": "cca2" }));
}

#[test]
fn mime_types_replaced_atomically_end_equal() {
    replay("mime-db", Manner::Atomic, json!({}));
}

#[test]
fn mime_types_truncated_and_rewritten_end_equal() {
    replay("mime-db", Manner::Truncating, json!({}));
}

#[test]
fn mime_types_written_in_pieces_end_equal() {
    replay("mime-db", Manner::Torn, json!({}));
}

/// Each revision seen alone: the duplicate keys of revisions 7 and 8 are parked and settled, the broken ones waited out.
#[test]
fn every_whole_revision_of_the_countries_is_reached_in_turn() {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site = Site::new(Config::new("countries_in_turn").source("store", source).stream(
        "records",
        "store",
        json!({ "key": "cca2" }),
    ));
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    let mut seed = Seed::new(1);
    for (number, revision) in revisions("countries").into_iter().enumerate() {
        Manner::Atomic.write(&site.path("store.json"), &std::fs::read(&revision).unwrap(), &mut seed);
        if matches!(number + 1, 1 | 2 | 9..=11) {
            site.expect_stream("records", "waiting for a valid revision", |stream| stream.state().contains("wait"));
        } else {
            site.expect_soon_equal(&format!("revision {}", number + 1));
        }
    }
    site.expect_witness("after all revisions");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
