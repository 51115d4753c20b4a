//! Sessions of others: who waits for a lock, who works, and who may look. On a server of its own, where nobody else works.

use super::{SOON, config, expect_measure, expect_nothing_written, holds, measure, prepared, rows, told};
use crate::http::{end, ready, start};
use landfall_tests::database::{Database, Login};
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::thread::JoinHandle;

/// A session that works on a statement.
fn session(login: &Login, sql: &'static str) -> JoinHandle<()> {
    let login = login.clone();
    std::thread::spawn(move || {
        // Its end is the statement's, or somebody ends it.
        let _ = Database::connect(&login).unwrap().try_rows(sql);
    })
}

const END_SLEEPERS: &str =
    "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()";

#[test]
fn sessions_of_others_that_wait_for_a_lock_hold_it_and_our_own_do_not() {
    let server = PostgresServer::start("health-locks");
    let site =
        Site::on(config("health_locks", &json!({ "lock_waits": 0, "commit_time": "700ms" })), server.database("db"));
    let mut document = prepared(&site);
    site.database().run("create table other (a int)");
    let (service, http) = start(&site);
    ready(&http);
    site.expect_soon_equal("while it is well");
    // Our own writer waits for a lock: that is a slow batch, and no other session's wait.
    let mut holder = site.database();
    holder.run("begin; lock table users in access exclusive mode");
    document.add("users", 5);
    let waits =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query_start < now() - interval '1 s'";
    wait_until(SOON, "our writer to wait for a second", || site.database().count(waits) > 0);
    assert!(!holds(&measure(&site, "lock_waits")), "{}", measure(&site, "lock_waits"));
    holder.run("rollback");
    let slow = expect_measure(&site, "commit_time", "holding", holds);
    assert!(slow["words"].as_str().unwrap().contains("(limit 700ms"), "{slow}");
    expect_measure(&site, "commit_time", "well again by itself", |seen| seen["holds"] == false);
    site.expect_soon_equal("after the slow batch");

    holder.run("begin; lock table other in access exclusive mode");
    let waiter = session(site.login(), "select * from other");
    expect_nothing_written(&site, &mut document, "lock_waits");
    let seen = measure(&site, "lock_waits");
    assert_eq!(seen["words"], "sessions of others that wait for a lock: 1 (limit 0)");
    holder.run("rollback");
    waiter.join().unwrap();
    site.expect_soon_equal("well again");
    site.expect_witness("well again");
    told(&http, "lock_waits: sessions of others");
    end(service);
}

#[test]
fn sessions_of_others_at_work_hold_it() {
    let server = PostgresServer::start("health-active");
    let site = Site::on(config("health_active", &json!({ "active_sessions": 2 })), server.database("db"));
    let mut document = prepared(&site);
    let (service, http) = start(&site);
    ready(&http);
    document.add("users", 5);
    site.expect_soon_equal("while it is well");
    // In another database: it is one server.
    let sleepers: Vec<_> = (0..3).map(|_| session(&server.login("postgres"), "select pg_sleep(120)")).collect();
    expect_nothing_written(&site, &mut document, "active_sessions");
    site.database().run(END_SLEEPERS);
    sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    site.expect_soon_equal("well again");
    end(service);
}

#[test]
fn a_role_that_may_not_look_is_told_and_writes_until_it_may() {
    let server = PostgresServer::start("health-rights");
    let admin = server.database("db");
    let mut site =
        Site::on(config("health_rights", &json!({ "active_sessions": 1, "standby_lag": "5s" })), admin.clone());
    site.database().run(
        "create role looker login password 'canary-looker-pw'; grant create on database db to looker; \
         grant all on schema public to looker",
    );
    site.reach(admin.as_role("looker", "canary-looker-pw"));
    let mut document = super::prepared_plainly(&site);
    let said = site.finish(&["check"]).expect(0).stdout;
    assert!(said.contains("active_sessions cannot be read") && said.contains("GRANT pg_monitor"), "{said}");
    let sleepers: Vec<_> = (0..3).map(|_| session(&admin, "select pg_sleep(120)")).collect();
    let (service, http) = start(&site);
    ready(&http);
    for name in ["active_sessions", "standby_lag"] {
        let blind = expect_measure(&site, name, "unreadable", |seen| seen["trouble"]["code"] == "health_unreadable");
        assert!(!holds(&blind) && blind["value"].is_null(), "{blind}");
    }
    document.add("users", 5);
    wait_until(SOON, "rows come all the same", || rows(&site) == super::ROWS + 5);
    told(&http, "may not see sessions");
    // Granted while it runs.
    Database::connect(&admin).unwrap().run("grant pg_monitor to looker");
    expect_nothing_written(&site, &mut document, "active_sessions");
    assert!(measure(&site, "standby_lag")["words"].as_str().unwrap().contains("nothing to measure"));
    Database::connect(&admin).unwrap().run(END_SLEEPERS);
    sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    site.expect_soon_equal("well again");
    let said = site.finish(&["check"]).expect(0).stdout;
    assert!(said.contains("active_sessions can be read"), "{said}");
    end(service);
}
