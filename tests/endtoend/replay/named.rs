//! Named checkpoints: what they keep, what they cost, and that they let it go.

use super::{SOON, append, line, log, result};
use landfall_tests::landfall::Landfall;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// The oldest segment of a source's queue.
fn oldest(site: &Site, source: &str) -> Option<std::ffi::OsString> {
    let entries = std::fs::read_dir(site.path("state/queue").join(source)).unwrap().flatten();
    entries.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().ends_with(".seg")).min()
}

/// Two logs that are fed the same lines; applied events are dropped within moments, since segments are small.
struct Logs(Site);

impl Logs {
    fn new(name: &str) -> Self {
        let other = json!({ "kind": "json_lines", "path": "other.ndjson", "rescan": "1s" });
        let config = log(name, json!({ "n": "integer", "t": "text" }))
            .source("other", other)
            .stream("others", "other", json!({ "key": "id" }))
            .section(
                "queue",
                json!({ "max_bytes": "1GiB", "retention": { "bytes": "0B", "age": "0s", "floor": "0s" } }),
            );
        Self(Site::on(config, PostgresServer::shared().database(name)))
    }

    fn start(&self) -> Landfall {
        let service = self.0.command(&["run"]).env("LANDFALL_SEGMENT_BYTES", "16384").start();
        self.0.expect_stream("things", "up", |stream| stream.state() == "following");
        service
    }

    fn feed(&self, numbers: std::ops::Range<u64>) {
        let lines: Vec<String> = numbers.map(|n| line(n, n)).collect();
        let mut other =
            std::fs::OpenOptions::new().create(true).append(true).open(self.0.path("other.ndjson")).unwrap();
        other.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        append(&self.0, &lines);
    }

    fn expect_rows(&self, count: i64) {
        wait_until(SOON, "the rows are there", || self.0.database().count("select count(*) from things") == count);
    }
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_named_checkpoint_keeps_its_events_over_retention_and_restarts_and_costs_what_it_says() {
    let logs = Logs::new("replay_named");
    let site = &logs.0;
    logs.feed(0..100);
    site.apply_schema();
    let service = logs.start();
    logs.expect_rows(100);
    let made = result(site, &["checkpoint", "create", "here", "--stream", "things", "--actor", "ada"]);
    assert_eq!(made["checkpoints"][0]["actor"], "ada");
    assert_eq!(site.finish(&["checkpoint", "create", "here"]).code, Some(1), "the name is taken");
    assert_eq!(site.finish(&["checkpoint", "create", "a/b"]).code, Some(1), "no name");
    end(service);
    let mut free = oldest(site, "other");
    for numbers in [100..3_000, 3_000..6_000, 6_000..9_000] {
        let service = logs.start();
        logs.feed(numbers);
        wait_until(SOON, "retention to have its way where nothing is pinned", || oldest(site, "other") > free);
        free = oldest(site, "other");
        assert!(oldest(site, "log") < free, "what the checkpoint needs stays: both are fed the same lines");
        end(service);
    }
    let service = logs.start();
    logs.expect_rows(9_000);
    let listed = result(site, &["checkpoint", "list"]);
    let source = &listed["checkpoints"][0]["sources"][0];
    assert_eq!((&source["usable"], &source["events"]), (&json!(true), &json!(8_900)), "{listed}");
    assert!(source["bytes"].as_u64().unwrap() > 50_000, "{listed}");
    let done = result(site, &["replay", "--from", "here", "--stream", "things"]);
    let one = &done["streams"][0];
    let counts = (&one["events"], &one["replayed"], &one["rows_before"]);
    assert_eq!(counts, (&json!(8_900), &json!(8_900), &json!(100)), "{done}");
    let early = site.finish(&["replay", "--from", "here", "--stream", "others"]);
    assert_eq!(early.code, Some(1), "the checkpoint does not hold it: {}", early.output());
    let held = oldest(site, "log");
    let gone = result(site, &["checkpoint", "delete", "here"]);
    assert_eq!(gone["checkpoints"], json!([]));
    wait_until(SOON, "what only the checkpoint held to go", || oldest(site, "log") > held);
    assert_eq!(site.finish(&["replay", "--from", "here"]).code, Some(1), "there is no such checkpoint");
    end(service);
}

#[test]
fn a_checkpoint_that_could_not_be_made_holds_nothing() {
    let logs = Logs::new("replay_unmade");
    let site = &logs.0;
    site.apply_schema();
    let _ = site.finish(&["pause"]).expect(0);
    logs.feed(0..2_000);
    let service = logs.start();
    wait_until(SOON, "the lines are captured", || {
        site.status()
            .and_then(|status| status.stream("things"))
            .is_some_and(|stream| stream.text().contains("\"captured\":2000"))
    });
    site.database().run("update landfall.streams set phase = 'bulk'");
    let refused = site.finish(&["checkpoint", "create", "early"]).expect(1);
    assert!(refused.output().contains("nothing_to_cut"), "{}", refused.output());
    site.database().run("update landfall.streams set phase = 'live'");
    let before = oldest(site, "log");
    let _ = site.finish(&["resume"]).expect(0);
    logs.expect_rows(2_000);
    wait_until(SOON, "applied events to go", || oldest(site, "log") > before);
    end(service);
}
