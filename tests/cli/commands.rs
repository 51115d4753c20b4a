//! What the commands print: help, plans, status for people and for machines.

use landfall_tests::config::Config;
use landfall_tests::landfall::Launch;
use landfall_tests::run_dir;
use landfall_tests::site::Site;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn help_names_every_command() {
    let folder = run_dir::fresh("help");
    let finished = Launch::new(&folder, &["--help"]).finish(SOON).expect(0);
    for word in ["check", "schema", "run", "status", "accept", "refuse"] {
        assert!(finished.stdout.contains(word), "{word}: {}", finished.stdout);
    }
    for words in [
        &["check", "--help"][..],
        &["schema", "plan", "--help"],
        &["schema", "apply", "--help"],
        &["run", "--help"],
        &["status", "--help"],
        &["accept", "--help"],
        &["refuse", "--help"],
    ] {
        let finished = Launch::new(&folder, words).finish(SOON).expect(0);
        assert!(finished.stdout.contains("Usage"), "{words:?}");
    }
    let version = Launch::new(&folder, &["--version"]).finish(SOON).expect(0);
    assert!(version.stdout.contains("landfall"), "{}", version.stdout);
}

#[test]
fn a_plan_shows_the_ddl_and_changes_nothing() {
    let site = Site::new(Config::new("plan").lines("log", "log.ndjson").stream(
        "events",
        "log",
        json!({ "key": "id", "table": "odd \"name" }),
    ));
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    let finished = site.finish(&["schema", "plan"]).expect(0);
    assert!(finished.stdout.contains(r#""odd ""name""#), "identifiers are quoted: {}", finished.stdout);
    assert!(finished.stdout.to_lowercase().contains("create table"), "{}", finished.stdout);
    let made = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(site.database().count(made), 0, "a plan changes nothing");
    site.apply_schema();
    assert!(site.database().count(made) >= 1);
}

#[test]
fn status_is_for_people_and_for_machines() {
    let site =
        Site::new(Config::new("status").lines("log", "log.ndjson").stream("events", "log", json!({ "key": "id" })));
    std::fs::write(site.path("log.ndjson"), "{\"id\":1}\n{\"id\":2}\nbroken\n").unwrap();
    site.apply_schema();
    let service = site.run();
    site.expect_soon_equal("two rows and a dead letter");
    let people = site.finish(&["status"]).expect(0);
    assert!(people.stdout.contains("events"), "{}", people.stdout);
    assert!(!people.stdout.contains('\u{1b}'), "no colour where no terminal is");
    let stream = site.expect_stream("events", "following", |stream| stream.state().contains("follow"));
    assert!(stream.text().contains('1'), "{stream:?}");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    assert!(site.status().and_then(|status| status.stream("events")).is_some(), "status works without a service");
}

#[test]
fn shells_and_manuals_know_every_command() {
    let site = Site::new(Config::new("words"));
    let commands = ["verify", "deadletter", "checkpoint", "replay", "throttle"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = site.finish(&["completions", shell]).expect(0).stdout;
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}: {script}");
    }
    let page = site.finish(&["man"]).expect(0).stdout;
    assert!(page.starts_with(".ie") || page.starts_with(".TH") || page.contains(".SH NAME"), "{page}");
    let dir = site.path("man");
    std::fs::create_dir(&dir).unwrap();
    let _ = site.finish(&["man", "--dir", dir.to_str().unwrap()]).expect(0);
    let pages = std::fs::read_dir(&dir).unwrap().count();
    assert!(pages > commands.len() * 2, "a page for each command: {pages}");
    assert_eq!(site.finish(&["man", "--dir", "/nowhere/at/all"]).code, Some(1));
    assert_eq!(site.finish(&["completions", "abacus"]).code, Some(2));
}
