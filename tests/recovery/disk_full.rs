//! The queue's file system is full: back-pressure, told in status, nothing lost; room comes back, it goes on by itself.

use crate::arena::Arena;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::small_disk::SmallDisk;
use landfall_tests::wait::wait_until;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_full_disk_under_the_queue_presses_back_and_loses_nothing() {
    let server = PostgresServer::start("disk_full");
    let mut arena = Arena::new("disk_full", server.database("disk_full"), 41);
    // To the last byte: what a reserve keeps free is not asked here.
    let config = arena.site.config().clone().section("queue", serde_json::json!({ "disk_reserve": "0B" }));
    arena.site.reconfigure(config);
    let disk = SmallDisk::mount(&arena.site.path("state"), "24m");
    let (_document, mut lines, _files) = arena.fill();
    let mut service = arena.service().start();
    arena.site.expect_soon_equal("the first load");
    // While the target is down nothing can be trimmed, so the queue takes all the room there is.
    server.stop_immediate();
    let ballast = disk.ballast(16 << 20);
    wait_until(Duration::from_secs(90), "the disk is full and status says so", || {
        lines.append_bulky(500);
        assert!(service.is_running(), "{}", service.stderr());
        is_full(&arena, "disk")
    });
    server.resume();
    std::fs::remove_file(&ballast).expect("the ballast can be removed");
    arena.site.soon_equal(Duration::from_secs(120)).expect("after there is room again");
    arena.judge("after there is room again");
    assert!(service.is_running(), "{}", service.stderr());
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    // And a start on a disk that is full again stops or waits in a named way, and loses nothing.
    let ballast = disk.ballast(12 << 20);
    lines.append_records(500);
    let mut service = arena.service().start();
    std::thread::sleep(Duration::from_millis(500));
    service.kill();
    std::fs::remove_file(&ballast).expect("the ballast can be removed");
    arena.check_still("after a kill on a nearly full disk");
    drop(disk);
}

#[test]
fn a_queue_at_its_cap_presses_back_and_goes_on() {
    let server = PostgresServer::start("cap");
    let mut arena = Arena::new("cap", server.database("cap"), 42);
    let config = arena.site.config().clone().section(
        "queue",
        serde_json::json!({ "max_bytes": "64MiB", "retention": { "bytes": "0B", "age": "0s", "floor": "0s" } }),
    );
    arena.site.reconfigure(config);
    let (_document, mut lines, _files) = arena.fill();
    let mut service = arena.service().start();
    arena.site.expect_soon_equal("the first load");
    server.stop_immediate();
    wait_until(Duration::from_secs(90), "the cap is reached and status says so", || {
        lines.append_bulky(500);
        is_full(&arena, "cap")
    });
    let size = size_of(&arena.site.path("state"));
    assert!(size < 80 << 20, "a queue capped at 64 MiB and two small ones take {size} bytes");
    server.resume();
    arena.site.soon_equal(Duration::from_secs(120)).expect("after the target is back");
    arena.judge("after the target is back");
    assert!(service.is_running(), "{}", service.stderr());
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

/// Whether status says that the log's queue takes nothing, and why.
fn is_full(arena: &Arena, why: &str) -> bool {
    let Some(status) = arena.site.status() else { return false };
    let sources = status.json()["sources"].as_array().cloned().unwrap_or_default();
    sources.iter().any(|source| source["queue"]["full"] == why)
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() {
                    size_of(&entry.path())
                } else {
                    entry.metadata().map_or(0, |meta| meta.len())
                }
            },
        )
        .sum()
}
