//! The process under test: the product's own `main`, with kill points armed from the environment.
//!
//! `LANDFALL_KILL_AT=queue::before_sync:3,sink::after_commit:1` kills the process with SIGKILL, from inside, when it reaches the
//! point for the n-th time. `FAILPOINTS` is read as well (the `fail` crate's own syntax: sleeps, errors). A word that
//! cannot be read is fatal: a kill that silently does not happen would prove nothing.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

fn main() -> ExitCode {
    let _scenario = fail::FailScenario::setup();
    if let Ok(points) = std::env::var("LANDFALL_KILL_AT") {
        for point in points.split(',').filter(|point| !point.is_empty()) {
            arm(point);
        }
    }
    landfall_pipeline::cli::main()
}

fn arm(point: &str) {
    let (name, hit) = point.rsplit_once(':').expect("LANDFALL_KILL_AT is name:n, separated by commas");
    let hit: u64 = hit.parse().expect("the n of LANDFALL_KILL_AT's name:n is a number");
    let seen = AtomicU64::new(0);
    fail::cfg_callback(name, move || {
        if seen.fetch_add(1, Ordering::SeqCst) + 1 == hit {
            die();
        }
    })
    .expect("kill points can be armed: the failpoints feature is on");
}

/// SIGKILL to ourselves: no destructor, no flush, nothing after it runs.
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is on its way to this very thread; nothing behind the kill point may run meanwhile.
    loop {
        std::thread::park();
    }
}
