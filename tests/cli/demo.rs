//! The demo is a promise too: it ends by itself, in time, and both sides agree.

use landfall_tests::repository;
use landfall_tests::run_dir;
use std::process::Command;
use std::time::{Duration, Instant};

/// The promise is two minutes after the build.
const PROMISED: Duration = Duration::from_secs(120);

#[test]
fn the_demo_ends_by_itself_and_both_sides_agree() {
    let started = Instant::now();
    let done = Command::new(repository::root().join("deploy/demo/demo.sh"))
        .env("LANDFALL_BIN", repository::program())
        .env("LANDFALL_DEMO_DIR", run_dir::fresh("demo"))
        .output()
        .expect("the demo can be run");
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    assert!(started.elapsed() < PROMISED, "it took {:?}", started.elapsed());
    assert!(said.contains("agree"), "{said}");
}
