//! Logs that are rotated, truncated and completed, while the service runs and while it does not.

use landfall_tests::config::Config;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

fn site(name: &str) -> (Site, LinesStore) {
    let source = json!({ "kind": "json_lines", "path": "log/app.ndjson", "rescan": "1s" });
    let mut site = Site::new(Config::new(name).source("log", source).stream("events", "log", json!({ "key": "id" })));
    let store = LinesStore::create(&site.path("log/app.ndjson"), &site.path("ledger"), (200, 60), Seed::new(17));
    site.note_ledger("log", &site.path("ledger"));
    site.apply_schema_with_audit();
    (site, store)
}

fn end(service: landfall_tests::landfall::Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_log_renamed_while_it_is_followed_loses_nothing() {
    let (site, mut store) = site("renamed_live");
    let service = site.run();
    site.expect_soon_equal("the first lines");
    for _ in 0..5 {
        store.append_records(40);
        store.rotate_by_rename();
        store.append_records(40);
    }
    site.expect_soon_equal("after five rotations");
    site.expect_witness("after five rotations");
    end(service);
}

#[test]
fn a_writer_that_keeps_the_renamed_file_open_is_read_to_the_end() {
    let (site, mut store) = site("kept_open");
    let service = site.run();
    site.expect_soon_equal("the first lines");
    let mut old = OpenOptions::new().append(true).open(store.path()).unwrap();
    store.rotate_by_rename();
    let mut ledger = OpenOptions::new().append(true).open(store.ledger()).unwrap();
    for number in 0..50 {
        let line = format!("{{\"id\":\"late {number}\"}}\n");
        old.write_all(line.as_bytes()).unwrap();
        ledger.write_all(line.as_bytes()).unwrap();
    }
    site.expect_soon_equal("the old file's late lines");
    store.append_records(20);
    site.expect_soon_equal("the new file's lines");
    end(service);
}

#[test]
fn a_log_renamed_while_stopped_is_picked_up_where_it_was() {
    let (site, mut store) = site("renamed_stopped");
    site.catch_up();
    site.expect_equal("the first lines");
    store.append_records(30);
    store.rotate_by_rename();
    store.append_records(30);
    store.rotate_by_rename();
    store.append_records(30);
    site.catch_up();
    site.expect_equal("after two rotations while stopped");
    site.expect_witness("after two rotations while stopped");
}

#[test]
fn a_log_copied_and_truncated_loses_nothing() {
    let (site, mut store) = site("copied");
    let service = site.run();
    site.expect_soon_equal("the first lines");
    for _ in 0..4 {
        store.append_records(25);
        site.expect_soon_equal("before the copy");
        store.rotate_by_copy();
        store.append_records(25);
        site.expect_soon_equal("after the copy");
    }
    site.expect_witness("after four copies");
    end(service);
}

#[test]
fn a_log_copied_and_truncated_while_stopped_loses_nothing() {
    let (site, mut store) = site("copied_stopped");
    site.catch_up();
    store.append_records(30);
    store.rotate_by_copy();
    store.append_records(10);
    site.catch_up();
    site.expect_equal("after the copy while stopped");
    site.expect_witness("after the copy while stopped");
}

#[test]
fn a_chain_compressed_while_stopped_is_read_from_where_it_was() {
    let (site, mut store) = site("compressed");
    site.catch_up();
    store.append_records(30);
    store.rotate_by_rename();
    store.compress_last();
    store.append_records(30);
    store.rotate_by_rename();
    store.append_records(30);
    site.catch_up();
    site.expect_equal("after rotation and compression while stopped");
    site.expect_witness("after rotation and compression while stopped");
}

#[test]
fn a_log_that_shrank_without_explanation_halts_its_stream() {
    let (site, mut store) = site("shrank");
    let service = site.run();
    site.expect_soon_equal("the first lines");
    let before = site.database().count("select count(*) from events");
    OpenOptions::new().write(true).open(store.path()).unwrap().set_len(100).unwrap();
    let halted = site.expect_stream("events", "halted", |stream| stream.state().contains("halt"));
    assert!(halted.text().contains("file_shrank"), "{halted:?}");
    let rows = site.database().count("select count(*) from events");
    assert_eq!(rows, before, "nothing is deleted and nothing read again");
    store.append_records(1);
    end_halted(service);
}

/// A halted stream needs a decision: the exit code may say so.
fn end_halted(service: landfall_tests::landfall::Landfall) {
    service.terminate();
    let finished = service.finish(Duration::from_secs(30));
    assert!(matches!(finished.code, Some(0 | 4)), "{}", finished.output());
}

#[test]
fn a_line_without_its_newline_waits_for_the_rest() {
    let (site, store) = site("partial");
    let service = site.run();
    site.expect_soon_equal("the first lines");
    let mut log = OpenOptions::new().append(true).open(store.path()).unwrap();
    let mut ledger = OpenOptions::new().append(true).open(store.ledger()).unwrap();
    let line = "{\"id\":\"slow\",\"a\":\"one byte at a time\"}\n";
    for (number, byte) in line.bytes().enumerate() {
        log.write_all(&[byte]).unwrap();
        if number == 20 {
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(site.database().count("select count(*) from events where key = 's:slow'"), 0);
            assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
        }
    }
    ledger.write_all(line.as_bytes()).unwrap();
    site.expect_soon_equal("the completed line");
    end(service);
}
