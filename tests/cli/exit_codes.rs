//! 0 done · 1 failed · 2 usage or config · 4 halted and needs a decision · 5 another owner runs (endtoend/ownership).

use landfall_tests::config::Config;
use landfall_tests::landfall::Launch;
use landfall_tests::postgres_server::{PostgresServer, free_port};
use landfall_tests::run_dir;
use landfall_tests::site::Site;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn site(name: &str) -> Site {
    let site = Site::new(Config::new(name).document("store", "store.json").stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    ));
    std::fs::write(site.path("store.json"), r#"{"users":[{"id":1},{"id":2}]}"#).unwrap();
    site
}

#[test]
fn each_step_of_a_first_run_exits_zero() {
    let site = site("first_run");
    for words in [
        &["check"][..],
        &["schema", "plan"],
        &["schema", "apply"],
        &["schema", "apply"],
        &["run", "--until-caught-up"],
        &["status"],
    ] {
        let _ = site.finish(words).expect(0);
    }
    site.expect_equal("after the first run");
}

#[test]
fn unknown_words_are_usage_errors() {
    let site = site("unknown_words");
    for words in [
        &["fly"][..],
        &["run", "--until-the-cows-come-home"],
        &["schema", "sideways"],
        &["accept", "users"],
        &["status", "-o", "xml"],
    ] {
        let finished = site.finish(words).expect(2);
        assert!(!finished.stderr.is_empty(), "a usage error says something: {words:?}");
    }
}

#[test]
fn a_missing_configuration_is_a_config_error() {
    let folder = run_dir::fresh("no-config");
    let finished = Launch::new(&folder, &["check"]).finish(SOON).expect(2);
    assert!(finished.stderr.contains("landfall.yaml"), "it names the file it looked for: {}", finished.stderr);
    let finished = Launch::new(&folder, &["-c", "elsewhere.yaml", "check"]).finish(SOON).expect(2);
    assert!(finished.stderr.contains("elsewhere.yaml"), "{}", finished.stderr);
}

#[test]
fn a_missing_environment_variable_is_a_config_error() {
    let site = site("no_variable");
    let finished = Launch::new(site.directory(), &["check"]).finish(SOON).expect(2);
    assert!(finished.stderr.contains("DATABASE_URL"), "{}", finished.stderr);
}

#[test]
fn an_unreachable_target_fails_the_check() {
    let mut site = site("unreachable");
    let nobody = site.login().through(free_port());
    site.reach(nobody);
    let finished = site.finish(&["check"]).expect(1);
    assert!(finished.output().contains("connection refused"), "{}", finished.output());
}

#[test]
fn a_wrong_password_fails_the_check_and_is_not_shown() {
    let mut site = site("wrong_password");
    let stranger = site.login().as_role("postgres", "not-the-password-at-all");
    site.reach(stranger);
    let finished = site.finish(&["check"]).expect(1);
    assert!(!finished.output().contains("not-the-password-at-all"), "{}", finished.output());
}

#[test]
fn running_without_tables_says_what_to_run_first() {
    let site = site("no_tables");
    let finished = site.finish(&["run", "--until-caught-up"]);
    assert!(matches!(finished.code, Some(1 | 4)), "{}", finished.output());
    assert!(format!("{}{}", finished.stdout, finished.stderr).contains("schema apply"), "{}", finished.output());
}

#[test]
fn a_changed_mapping_needs_a_decision() {
    let mut site = site("changed_mapping");
    site.apply_schema();
    site.catch_up();
    let config = site.config().clone().stream(
        "users",
        "store",
        json!({ "select": "/users", "key": { "from": "id", "type": "bigint" } }),
    );
    site.reconfigure(config);
    let finished = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert!(format!("{}{}", finished.stdout, finished.stderr).contains("mapping"), "{}", finished.output());
}

#[test]
fn a_held_revision_needs_a_decision() {
    let mut site = site("held");
    site.reconfigure(site.config().clone());
    let users: Vec<_> = (0..30).map(|id| json!({ "id": id })).collect();
    std::fs::write(site.path("store.json"), json!({ "users": users }).to_string()).unwrap();
    site.apply_schema();
    site.catch_up();
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    let finished = site.finish(&["run", "--until-caught-up"]).expect(4);
    let said = finished.output();
    let words = said.split_once("landfall accept users ").map(|(_, words)| words);
    let revision = words.and_then(|words| words.split_whitespace().next());
    let revision = revision.unwrap_or_else(|| panic!("it says how to decide: {said}"));
    assert_eq!(site.database().count("select count(*) from users"), 30);
    let service = site.run_and_listen();
    site.expect_stream("users", "held", |stream| stream.state() == "held");
    let _ = site.finish(&["accept", "users", revision]).expect(0);
    site.expect_soon_equal("the accepted revision");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn an_interrupt_ends_the_service() {
    let site = site("interrupted");
    site.apply_schema();
    let service = site.run();
    site.expect_soon_equal("the service runs");
    service.signal(rustix::process::Signal::INT);
    let finished = service.finish(Duration::from_secs(30));
    assert!(matches!(finished.code, Some(0 | 130)), "{}", finished.output());
    site.expect_witness("after an interrupt");
}

#[test]
fn the_shared_server_was_never_written_to_outside_its_databases() {
    let mut database =
        landfall_tests::database::Database::connect(&PostgresServer::shared().login("postgres")).unwrap();
    assert_eq!(database.count("select count(*) from pg_namespace where nspname = 'landfall'"), 0);
}
