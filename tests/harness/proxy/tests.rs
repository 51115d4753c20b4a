//! The proxy against a real server.

use super::{Fault, FaultProxy};
use crate::database::{Database, Login};
use crate::postgres_server::PostgresServer;
use crate::wait::wait_until;
use std::time::{Duration, Instant};

fn target(name: &str) -> (FaultProxy, Login, Login) {
    let server = PostgresServer::shared();
    let direct = server.database(name);
    let proxy = FaultProxy::start(server.port());
    let through = direct.through(proxy.port());
    Database::connect(&direct).unwrap().run("create table t (a int)");
    (proxy, direct, through)
}

fn rows(direct: &Login) -> i64 {
    Database::connect(direct).unwrap().count("select count(*) from t")
}

#[test]
fn without_a_fault_everything_passes() {
    let (proxy, direct, through) = target("proxy_passes");
    Database::connect(&through).unwrap().run("begin; insert into t values (1); commit");
    assert_eq!(rows(&direct), 1);
    assert!(proxy.fired().is_empty());
}

#[test]
fn a_cut_after_commit_leaves_the_row_and_an_error() {
    let (proxy, direct, through) = target("proxy_after");
    let mut client = Database::connect(&through).unwrap();
    client.run("begin; insert into t values (1)");
    proxy.once(Fault::CutAfterCommit);
    assert!(client.try_rows("commit").is_err(), "the answer was swallowed");
    assert_eq!(proxy.fired(), [Fault::CutAfterCommit]);
    assert_eq!(rows(&direct), 1, "the proxy waited for the server's answer, so the commit is done");
    Database::connect(&through).unwrap().run("insert into t values (2)");
}

#[test]
fn a_cut_before_commit_leaves_nothing() {
    let (proxy, direct, through) = target("proxy_before");
    let mut client = Database::connect(&through).unwrap();
    client.run("begin; insert into t values (1)");
    proxy.once(Fault::CutBeforeCommit);
    assert!(client.try_rows("commit").is_err());
    assert_eq!(rows(&direct), 0);
}

#[test]
fn while_refusing_nobody_gets_in_and_afterwards_everybody() {
    let (proxy, _direct, through) = target("proxy_refuses");
    let mut client = Database::connect(&through).unwrap();
    proxy.refuse();
    assert!(client.try_rows("select 1").is_err(), "open connections are cut");
    assert!(Database::connect(&through).is_err());
    proxy.heal();
    wait_until(Duration::from_secs(5), "the proxy lets us in", || Database::connect(&through).is_ok());
}

#[test]
fn a_delay_slows_every_answer() {
    let (proxy, _direct, through) = target("proxy_delays");
    let mut client = Database::connect(&through).unwrap();
    proxy.delay(Duration::from_millis(50));
    let started = Instant::now();
    client.run("select 1");
    assert!(started.elapsed() >= Duration::from_millis(100), "a pause each way");
}
