//! The target misbehaves while the service runs: restarts, ended backends, connections cut around COMMIT. It resumes by itself.

use crate::arena::Arena;
use landfall_tests::landfall::Landfall;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::proxy::{Fault, FaultProxy};
use landfall_tests::wait::wait_until;
use std::time::Duration;

/// L2: committing resumes in 30 s after a fault ends; and a margin for a busy machine.
const RESUMES: Duration = Duration::from_secs(45);

fn applied(arena: &Arena) -> i64 {
    let mut database = landfall_tests::database::Database::connect(&arena.direct).expect("the target answers");
    database.count("select coalesce(sum(next_offset), 0)::bigint from landfall.checkpoints")
}

/// Applied events grow beyond what they were when the fault ended.
fn resumes(arena: &Arena, service: &mut Landfall, fault: &str) {
    let before = applied(arena);
    wait_until(RESUMES, &format!("it goes on after {fault}"), || applied(arena) > before);
    assert!(service.is_running(), "{fault}: {}", service.stderr());
}

fn end(arena: &Arena, writers: &crate::writers::Writers, service: Landfall, moment: &str) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    arena.check(writers, moment);
}

#[test]
fn postgres_restarted_again_and_again() {
    let server = PostgresServer::start("restarts");
    let mut arena = Arena::new("restarts", server.database("restarts"), 21);
    let writers = arena.start();
    let mut service = arena.service().start();
    wait_until(RESUMES, "the first rows are there", || applied(&arena) > 100);
    let mut seed = arena.seed();
    for round in 0..4 {
        if round % 2 == 0 {
            server.stop_immediate()
        } else {
            server.stop_fast()
        }
        std::thread::sleep(Duration::from_millis(seed.range(50, 800)));
        server.resume();
        resumes(&arena, &mut service, "a restart of PostgreSQL");
    }
    end(&arena, &writers, service, "after four restarts of PostgreSQL");
}

#[test]
fn backends_ended_by_the_operator() {
    let mut arena = Arena::new("terminated", PostgresServer::shared().database("terminated"), 22);
    let writers = arena.start();
    let mut service = arena.service().start();
    wait_until(RESUMES, "the first rows are there", || applied(&arena) > 100);
    let mut database = arena.site.database();
    let mut seed = arena.seed();
    let mut ended = 0;
    for _ in 0..40 {
        ended += database.count(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        );
        std::thread::sleep(Duration::from_millis(seed.range(20, 250)));
    }
    assert!(ended >= 20, "only {ended} backends were there to be ended");
    resumes(&arena, &mut service, "ended backends");
    end(&arena, &writers, service, "after ended backends");
}

#[test]
fn connections_cut_around_commit_and_inside_copy() {
    let server = PostgresServer::shared();
    let mut arena = Arena::new("cut", server.database("cut"), 23);
    let writers = arena.start();
    let proxy = FaultProxy::start(server.port());
    arena.site.reach(arena.direct.through(proxy.port()));
    let mut service = arena.service().start();
    wait_until(RESUMES, "the first rows are there", || applied(&arena) > 100);
    let faults =
        [Fault::CutAfterCommit, Fault::CutBeforeCommit, Fault::CutInCommit, Fault::CutAfterCommit, Fault::CutInCopy];
    for round in 0..15 {
        let fault = faults[round % faults.len()];
        let fired = proxy.fired().len();
        proxy.once(fault);
        // Small batches may go without COPY: a fault that has no occasion is taken back, and counted below.
        let occasion =
            landfall_tests::wait::wait_for(Duration::from_secs(10), || (proxy.fired().len() > fired).then_some(()));
        if occasion.is_none() {
            proxy.heal();
        }
        resumes(&arena, &mut service, &format!("{fault:?}"));
    }
    let fired = proxy.fired();
    for fault in [Fault::CutAfterCommit, Fault::CutBeforeCommit, Fault::CutInCommit] {
        assert!(fired.contains(&fault), "not tested: {fault:?} found no occasion; fired: {fired:?}");
    }
    end(&arena, &writers, service, "after cuts around COMMIT");
}

#[test]
fn a_copy_cut_in_half_during_the_first_load() {
    let server = PostgresServer::shared();
    let mut arena = Arena::new("cut_copy", server.database("cut_copy"), 24);
    let writers = arena.start();
    let proxy = FaultProxy::start(server.port());
    arena.site.reach(arena.direct.through(proxy.port()));
    for _ in 0..3 {
        proxy.once(Fault::CutInCopy);
    }
    let mut service = arena.service().start();
    wait_until(RESUMES, "all three cuts have happened", || proxy.fired().len() == 3);
    resumes(&arena, &mut service, "half a COPY frame");
    end(&arena, &writers, service, "after COPY was cut");
}

#[test]
fn a_slow_target_and_a_black_hole() {
    let server = PostgresServer::shared();
    let mut arena = Arena::new("slow", server.database("slow"), 25);
    let writers = arena.start();
    let proxy = FaultProxy::start(server.port());
    arena.site.reach(arena.direct.through(proxy.port()));
    let mut service = arena.service().start();
    wait_until(RESUMES, "the first rows are there", || applied(&arena) > 100);
    proxy.delay(Duration::from_millis(20));
    resumes(&arena, &mut service, "a slow network");
    proxy.swallow();
    std::thread::sleep(Duration::from_secs(5));
    proxy.heal();
    resumes(&arena, &mut service, "a black hole");
    end(&arena, &writers, service, "after a slow network and a black hole");
}

#[test]
fn a_target_that_hangs_does_not_keep_a_stopping_service() {
    let server = PostgresServer::shared();
    let mut arena = Arena::new("hanging", server.database("hanging"), 26);
    let writers = arena.start();
    let proxy = FaultProxy::start(server.port());
    arena.site.reach(arena.direct.through(proxy.port()));
    let service = arena.service().start();
    wait_until(RESUMES, "the first rows are there", || applied(&arena) > 100);
    proxy.swallow();
    std::thread::sleep(Duration::from_secs(1));
    // While nobody captures, the store must not lose so much that the deletion guard has to ask.
    let still = writers.hold_still();
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    proxy.heal();
    arena.check_still("after a service was stopped while its target hung");
    drop(still);
}
