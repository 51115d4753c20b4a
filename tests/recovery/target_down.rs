//! The target is away at full input: capture goes on, the queue holds it, status says what is waited for, and it resumes by itself.

use crate::arena::Arena;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::wait::wait_until;
use std::time::{Duration, Instant};

/// The default run is short for the machine's sake; `LANDFALL_DOWN_SECONDS=60` is the minute of the promise (the soak sets it).
const DOWN: Duration = Duration::from_secs(15);
/// Memory is bounded whatever the source does meanwhile.
const MEMORY_KIB: u64 = 256 * 1024;

#[test]
fn a_target_down_at_full_input_loses_nothing() {
    let seconds = std::env::var("LANDFALL_DOWN_SECONDS").ok().and_then(|text| text.parse().ok());
    down(seconds.map_or(DOWN, Duration::from_secs));
}

fn down(outage: Duration) {
    let server = PostgresServer::start("down");
    let mut arena = Arena::new("down", server.database("down"), 31);
    let (document, mut lines, files) = arena.fill();
    let mut service = arena.service().start();
    arena.site.expect_soon_equal("the first load");
    server.stop_immediate();
    let stopped = Instant::now();
    let mut appended = 0;
    while stopped.elapsed() < outage {
        lines.append_records(500);
        appended += 500;
        // Full input for the reader is a writer that never waits long.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(service.is_running(), "{}", service.stderr());
    let status = arena.site.status().expect("a service whose target is down still has a status");
    let target = &status.json()["target"];
    assert_eq!(target["reachable"], false, "{target}");
    let waits_for = target["waiting_for"]["code"].as_str().unwrap_or_default();
    assert!(!waits_for.is_empty(), "it says what it waits for: {target}");
    server.resume();
    let resumed = Instant::now();
    let mut database = arena.site.database();
    let before = database.count("select sum(next_offset)::bigint from landfall.checkpoints");
    wait_until(Duration::from_secs(30), "it commits again by itself", || {
        database.count("select sum(next_offset)::bigint from landfall.checkpoints") > before
    });
    crate::kill_rounds::say(&format!(
        "{appended} lines while down for {outage:?}; resumed after {:?}",
        resumed.elapsed()
    ));
    let verdict = arena.site.soon_equal(Duration::from_secs(120));
    verdict.expect("after the outage");
    arena.judge("after the outage");
    let peak = service.peak_kib();
    assert!(peak.is_some_and(|peak| peak < MEMORY_KIB), "peak memory {peak:?} KiB");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    drop((document, files));
}
