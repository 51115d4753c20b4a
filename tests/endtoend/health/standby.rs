//! A real standby that stops replaying: its lag holds the service back, in seconds and in bytes.

use super::{SOON, config, expect_measure, expect_nothing_written, holds, prepared};
use crate::http::{end, ready, start};
use landfall_tests::database::Database;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};

fn lagging(name: &str, measure: &str, limit: &Value) {
    let server = PostgresServer::start(name);
    let site = Site::on(config(&name.replace('-', "_"), &json!({ measure: limit })), server.database("db"));
    let mut document = prepared(&site);
    let standby = server.standby(&format!("{name}-standby"));
    let mut follower = Database::connect(&standby.login("db")).unwrap();
    let (service, http) = start(&site);
    ready(&http);
    document.add("users", 5);
    site.expect_soon_equal("while the standby follows");
    expect_measure(&site, measure, "looked at", |seen| seen["trouble"].is_null() && seen["holds"] == false);
    follower.run("select pg_wal_replay_pause()");
    // Nothing lags behind a server that nobody writes to.
    let held = std::cell::RefCell::new(Value::Null);
    wait_until(SOON, "the standby's lag to hold", || {
        document.add("users", 5);
        *held.borrow_mut() = super::measure(&site, measure);
        holds(&held.borrow())
    });
    assert!(held.borrow()["words"].as_str().unwrap().contains("a standby"), "{}", held.borrow());
    expect_nothing_written(&site, &mut document, measure);
    follower.run("select pg_wal_replay_resume()");
    site.expect_soon_equal("the standby follows again");
    site.expect_witness("the standby follows again");
    end(service);
}

#[test]
fn a_standby_that_is_seconds_behind_holds_it() {
    lagging("health-standby", "standby_lag", &json!("2s"));
}

#[test]
fn a_standby_that_is_bytes_behind_holds_it() {
    lagging("health-standby-bytes", "standby_lag_bytes", &json!("16KiB"));
}
