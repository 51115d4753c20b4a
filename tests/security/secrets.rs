//! Secrets and row values stay out of everything we write: logs at the loudest level, errors, status, the state directory.

use landfall_tests::config::Config;
use landfall_tests::postgres_server::PASSWORD;
use landfall_tests::site::Site;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Stands in rows, keys and dead letters: data, which no log may show.
const VALUE: &str = "canary-row-value-7f3a";

/// Files below `folder` that hold `word`, but for those whose path has one of `allowed`.
fn holding(folder: &Path, word: &str, allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(holding(&path, word, allowed));
        } else if path.is_file() && !allowed.iter().any(|part| name.contains(part)) {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn neither_passwords_nor_row_values_are_written_anywhere() {
    let site = Site::new(
        Config::new("secrets")
            .lines("log", "log.ndjson")
            .document("store", "store.json")
            .stream("events", "log", json!({ "key": "id", "columns": { "n": { "type": "integer" } }, "rest": "extra" }))
            .stream("all", "store", json!({ "key": "id" })),
    );
    let lines = [
        format!(r#"{{"id":"{VALUE}-key","n":1}}"#),
        format!(r#"{{"id":"a","n":"{VALUE}"}}"#),
        format!(r#"{{"id":"b","n":1,"x":"{VALUE}""#),
        format!(r#"{{"id":"c","n":1,"x":"{VALUE} \u0000"}}"#),
        VALUE.to_owned(),
    ];
    std::fs::write(site.path("log.ndjson"), lines.join("\n") + "\n").unwrap();
    std::fs::write(site.path("store.json"), format!(r#"[{{"id":"{VALUE}"}},{{"id":"{VALUE}"}}]"#)).unwrap();
    for words in [&["check"][..], &["schema", "plan"], &["schema", "apply"], &["status"], &["status", "-o", "json"]] {
        let _ = site.command(words).env("LANDFALL_VERBOSE", "2").finish(Duration::from_secs(60));
    }
    // A constraint of somebody else's makes PostgreSQL name the row in its error.
    site.database().run(&format!(r#"alter table "all" add check (doc->>'id' <> '{VALUE}')"#));
    let service = site.command(&["run"]).env("LANDFALL_VERBOSE", "2").env("RUST_BACKTRACE", "full").start();
    let mut database = site.database();
    landfall_tests::wait::wait_until(Duration::from_secs(60), "rows and dead letters are there", || {
        database.count("select count(*) from landfall.dead_letters") >= 4
    });
    std::fs::write(site.path("store.json"), format!(r#"[{{"id":"{VALUE}"#)).unwrap();
    site.expect_stream("all", "waiting, halted or parked", |stream| !stream.text().is_empty());
    // Ended connections make errors with connection parameters in them.
    database.run("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()");
    let _ = site.finish(&["status", "-o", "json"]);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", service.id())).unwrap();
    service.terminate();
    let finished = service.finish(Duration::from_secs(30));
    assert!(finished.stderr.len() + finished.stdout.len() > 200, "the log was loud enough to prove something");
    assert_eq!(holding(site.directory(), PASSWORD, &[]), Vec::<String>::new(), "files that hold the password");
    assert!(!String::from_utf8_lossy(&arguments).contains(PASSWORD));
    // The store itself and the queue hold rows, of course; logs and the rest must not.
    let rows_in = holding(site.directory(), VALUE, &["/log.ndjson", "/store.json", "/state/"]);
    assert_eq!(rows_in, Vec::<String>::new(), "files that hold a row value");
}
