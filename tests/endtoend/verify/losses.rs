//! A side that is lost half way, and a process that is killed: nothing is shown, and the next run goes on.

use super::verify;
use landfall_tests::config::Config;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::proxy::FaultProxy;
use landfall_tests::site::Site;
use serde_json::{Value, json};
use std::time::Duration;

const RECORDS: u64 = 20_000;

fn store() -> String {
    let records: Vec<Value> = (0..RECORDS).map(|id| json!({ "id": id, "text": format!("record {id}") })).collect();
    json!({ "users": records }).to_string()
}

fn config(name: &str) -> Config {
    let stream =
        json!({ "select": "/users", "key": { "from": "id", "type": "bigint" }, "columns": { "text": "text" } });
    Config::new(name).document("store", "db.json").stream("users", "store", stream)
}

fn loaded(name: &str) -> Site {
    let site = Site::new(config(name));
    std::fs::write(site.path("db.json"), store()).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    site
}

#[test]
fn a_target_lost_half_way_shows_nothing_and_is_gone_on_with() {
    let mut site = loaded("v-target-lost");
    let direct = site.login().clone();
    let proxy = FaultProxy::start(PostgresServer::shared().port());
    site.reach(direct.through(proxy.port()));
    // Slow enough that the cut comes in the middle of the rows.
    proxy.delay(Duration::from_millis(2));
    let running = site.command(&["verify", "-o", "json"]).start();
    std::thread::sleep(Duration::from_millis(700));
    proxy.refuse();
    let finished = running.finish(Duration::from_secs(60));
    proxy.heal();
    let found = super::Said::of(&finished);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    assert_eq!(found.reasons("users"), ["target_unreachable"], "{}", found.output);
    assert_eq!((found.number("equal"), found.result["accuracy"].as_f64()), (0, Some(0.0)), "{}", found.output);
    site.reach(direct);
    let found = verify(&site, &[]);
    found.expect_equal(RECORDS);
    assert_eq!(found.result["resumed"], true, "{}", found.output);
    assert_eq!(verify(&site, &[]).result["resumed"], false);
}

#[test]
fn a_source_that_goes_away_shows_nothing_and_is_gone_on_with() {
    let site = loaded("v-source-lost");
    std::fs::write(site.path("db.json"), &store()[..500_000]).unwrap();
    let running = site.command(&["verify", "-o", "json"]).start();
    let finished = running.finish(Duration::from_secs(90));
    let found = super::Said::of(&finished);
    assert_eq!((found.exit, found.verdict()), (Some(3), "unknown"), "{}", found.output);
    assert_eq!(found.reasons("users"), ["unparsable"], "{}", found.output);
    std::fs::write(site.path("db.json"), store()).unwrap();
    let found = verify(&site, &[]);
    found.expect_equal(RECORDS);
    assert_eq!(found.result["resumed"], true, "{}", found.output);
}

#[test]
fn killed_at_any_point_it_goes_on_and_comes_to_the_same() {
    let site = loaded("v-killed");
    site.database().run("update users set text = 'other' where id = 77; delete from users where id = 78");
    let points = [
        ("verify::after_target", 1),
        ("verify::before_rename", 1),
        ("verify::after_source", 1),
        ("verify::before_rename", 2),
        ("verify::mid_round", 1),
        ("verify::mid_spill", 3),
    ];
    for (name, hit) in points {
        let point = KillPoint { name, hit };
        let killed = site.command(&["verify", "-o", "json"]).kill_at(&point).finish(Duration::from_secs(60));
        assert!(killed.signal.is_some(), "{point} was not reached: {}", killed.output());
        let found = verify(&site, &[]);
        assert_eq!((found.exit, found.verdict()), (Some(3), "different"), "{point}: {}", found.output);
        let counts = ["equal", "different", "missing", "extra", "suspect"].map(|name| found.number(name));
        assert_eq!(counts, [RECORDS - 2, 1, 1, 0, 0], "{point}: {}", found.output);
    }
}

#[test]
fn a_second_run_beside_a_first_is_refused() {
    let site = loaded("v-two");
    let first = site.command(&["verify"]).start();
    first.freeze();
    let lock = site.path("state/verify/lock");
    landfall_tests::wait::wait_until(Duration::from_secs(20), "the first holds its directory", || {
        first.thaw();
        std::thread::sleep(Duration::from_millis(3));
        first.freeze();
        lock.exists()
    });
    let second = site.finish(&["verify"]);
    assert_eq!(second.code, Some(5), "{}", second.output());
    first.thaw();
    let _ = first.finish(Duration::from_secs(60)).expect(0);
}
