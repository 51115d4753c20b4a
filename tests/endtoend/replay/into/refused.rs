//! What is not replayed into another schema, and what is not swapped.

use super::{config, end, expect_equal, expect_followed, next, write_all};
use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use serde_json::{Value, json};

fn started(name: &str) -> (Site, Landfall) {
    let site = Site::on(config(name, false), PostgresServer::shared().database(name));
    write_all(&site, 0, "first");
    site.apply_schema();
    let service = site.run_and_listen();
    expect_equal(&site, "the first mapping");
    (site, service)
}

fn written(config: &Config) -> Value {
    serde_json::from_str(&config.text()).unwrap()
}

#[test]
fn other_records_the_live_schema_and_beginnings_that_are_nowhere_are_refused_and_leave_nothing() {
    let (site, service) = started("replay_into_refused");
    let into = |changed: &Value, more: &[&str]| {
        std::fs::write(site.path("next.yaml"), changed.to_string()).unwrap();
        let words: Vec<&str> = ["-c", "next.yaml", "replay", "--into"].iter().chain(more).copied().collect();
        site.finish(&words)
    };
    let same = written(&config("replay_into_refused", true));
    let with = |path: &str, value: Value| {
        let mut changed = same.clone();
        *changed.pointer_mut(path).unwrap() = value;
        changed
    };
    let cases = [
        (with("/streams/items/key", json!({ "from": "other", "type": "text" })), vec!["next"], "not_the_same_records"),
        (with("/streams/projects/select", json!("/others")), vec!["next"], "not_the_same_records"),
        (with("/sources/log/path", json!("other.ndjson")), vec!["next"], "not_the_same_records"),
        (with("/name", json!("another")), vec!["next"], "not_the_same_records"),
        (same.clone(), vec!["public"], "bad_name"),
        (same.clone(), vec!["landfall"], "bad_name"),
        (same.clone(), vec!["a/b"], "bad_name"),
        (same.clone(), vec!["next", "--from", "nowhere"], "no_base"),
        (same.clone(), vec!["next", "--from", "2026-11-27T10:00:00Z"], "usage"),
    ];
    for (changed, words, code) in cases {
        let refused = into(&changed, &words);
        let output = refused.output();
        assert!(matches!(refused.code, Some(1 | 2)) && output.contains(code), "{words:?} {code}: {output}");
        assert!(!site.path("state/into/next/places.json").exists(), "{code}");
    }
    assert_eq!(site.database().count("select count(*) from landfall.streams where pipeline like '%@%'"), 0);
    for words in [["replay", "swap", "next"], ["replay", "compare", "next"]] {
        assert_eq!(site.finish(&words).code, Some(1), "{words:?}");
    }
    end(service);
    let refused = into(&same, &["next"]);
    assert!(refused.code == Some(1) && refused.output().contains("no_service"), "{}", refused.output());
}

#[test]
fn a_swap_names_all_that_hangs_on_the_live_tables_and_changes_nothing() {
    let (mut site, service) = started("replay_into_hung");
    next(&site, &config("replay_into_hung", true));
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    expect_followed(&site, "next");
    let again = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]);
    assert!(again.code == Some(1) && again.output().contains("already_there"), "{}", again.output());
    site.database().run(
        "create view loud as select name from projects; create table notes (item bigint references items (id)); \
         create publication everything for table events; \
         create function nothing() returns trigger language plpgsql as $$ begin return null; end $$; \
         create trigger watched after insert on projects_tasks for each row execute function nothing()",
    );
    let refused = site.finish(&["replay", "swap", "next", "--uncompared"]);
    assert_eq!(refused.code, Some(1), "{}", refused.output());
    for named in ["view public.loud", "notes", "publication everything", "trigger watched"] {
        assert!(refused.output().contains(named), "{named}: {}", refused.output());
    }
    write_all(&site, 20, "second");
    expect_equal(&site, "nothing was changed");
    expect_followed(&site, "next");
    site.database()
        .run("drop view loud; drop table notes; drop publication everything; drop trigger watched on projects_tasks");
    let mut holder = site.database();
    holder.run("begin; lock table projects in access share mode");
    let held = site.finish(&["replay", "swap", "next", "--uncompared"]);
    assert!(held.code == Some(1) && held.output().contains("lock_wait"), "{}", held.output());
    holder.run("rollback");
    write_all(&site, 40, "third");
    expect_equal(&site, "a held table is not waited for");
    let _ = site.finish(&["replay", "swap", "next", "--uncompared"]).expect(0);
    site.reconfigure(config("replay_into_hung", true));
    write_all(&site, 60, "fourth");
    expect_equal(&site, "the other mapping");
    end(service);
}

#[test]
fn a_run_until_caught_up_brings_both_sides_along_and_a_drop_needs_no_service() {
    let (site, service) = started("replay_into_stopped");
    next(&site, &config("replay_into_stopped", true));
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    end(service);
    write_all(&site, 15, "second");
    let _ = site.catch_up();
    let behind = "select (select count(*) from public.projects where name like 'second%') - (select count(*) from next.projects where name like 'SECOND%')";
    assert_eq!(site.database().count(behind), 0, "what was captured is applied on both sides");
    assert_eq!(site.database().count("select count(*) from next.projects where name like 'SECOND%'"), 80);
    let _ = site.finish(&["replay", "drop", "next"]).expect(0);
    assert_eq!(site.database().count("select count(*) from landfall.streams where pipeline like '%@%'"), 0);
    assert!(!site.path("state/into/next").exists());
    let listed = site.finish(&["checkpoint", "list"]).expect(0);
    assert!(!listed.output().contains("into-next"), "{}", listed.output());
    let _ = site.finish(&["replay", "drop", "next"]).expect(0);
    let _ = site.catch_up();
}
