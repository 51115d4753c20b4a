//! The product as its users run it: the release program, in a process of its own.
//!
//! `LANDFALL_BIN` names it; else it is `target/release/landfall`, which the `bench` recipe builds first.

use crate::cpu::CpuReading;
use crate::measured::Measured;
use crate::memory;
use crate::run_dir::repository;
use crate::session::Session;
use crate::site::Site;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at a running process.
const LOOK: Duration = Duration::from_millis(5);
/// A stop that takes longer has failed.
const FAREWELL: Duration = Duration::from_secs(30);
/// Checkpoints that did not move for this long have settled.
const STILL: Duration = Duration::from_secs(2);
/// A run that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Sum of all checkpoints: how many events PostgreSQL has applied.
const APPLIED: &str = "SELECT coalesce(sum(next_offset), 0)::int8 FROM landfall.checkpoints";

fn binary() -> PathBuf {
    let path = match std::env::var_os("LANDFALL_BIN") {
        Some(path) => PathBuf::from(path),
        None => repository().join("target/release/landfall"),
    };
    assert!(path.exists(), "no {}: cargo build --release -p landfall-pipeline", path.display());
    path
}

fn command(pipeline: &Site, words: &[&str]) -> Command {
    let log = File::options().create(true).append(true).open(pipeline.folder().join("landfall.log"));
    let log = log.expect("a bench's own folder is writable");
    let mut command = Command::new(binary());
    command
        .arg("-c")
        .arg(pipeline.file())
        .args(pipeline.log_options())
        .args(words)
        .envs(pipeline.variables().iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

/// `landfall schema apply`.
pub fn schema_apply(pipeline: &Site) {
    let status = command(pipeline, &["schema", "apply"]).status().expect("landfall can be started");
    assert!(status.success(), "schema apply failed; see {}", pipeline.folder().join("landfall.log").display());
}

/// `landfall run --until-caught-up`, measured from the start of the process to its end. Client CPU is the child's.
pub fn run_until_caught_up(pipeline: &Site, units: u64, server: (&mut Session, u32)) -> Measured {
    let (session, postmaster) = server;
    run_beside(pipeline, units, (session, &[postmaster]))
}

/// The same with other servers beside PostgreSQL, by the first process of each.
pub fn run_beside(pipeline: &Site, units: u64, servers: (&mut Session, &[u32])) -> Measured {
    let (measured, code) = measured(pipeline, &["run", "--until-caught-up"], units, servers);
    assert_eq!(code, Some(0), "landfall failed; see {}", pipeline.folder().join("landfall.log").display());
    measured
}

/// A command to its end, and its exit code.
fn measured(pipeline: &Site, words: &[&str], units: u64, servers: (&mut Session, &[u32])) -> (Measured, Option<i32>) {
    let (session, servers) = servers;
    let wal = session.wal_position();
    let before = CpuReading::now(servers);
    let begun = Instant::now();
    let mut child = command(pipeline, words).spawn().expect("landfall can be started");
    let mut peak = None;
    let status = loop {
        peak = memory::peak_rss(child.id()).or(peak);
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "landfall does not get there");
        std::thread::sleep(LOOK);
    };
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = CpuReading::now(servers) - before;
    let wal = session.wal_position() - wal;
    (Measured { units: units as f64, seconds, cpu, wal: Some(wal), peak_rss: peak }, status.code())
}

/// What `verify` has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Equal {
    /// Exit code 0.
    Yes,
    /// Exit code 3.
    No,
}

/// `landfall verify`, measured from the start of the process to its end.
pub fn verify(pipeline: &Site, units: u64, server: (&mut Session, u32), equal: Equal) -> Measured {
    let (session, postmaster) = server;
    let (measured, code) = measured(pipeline, &["verify"], units, (session, &[postmaster]));
    let wanted = if equal == Equal::Yes { 0 } else { 3 };
    assert_eq!(code, Some(wanted), "verify; see {}", pipeline.folder().join("landfall.log").display());
    measured
}

/// `landfall verify --repair`, measured the same way; everything is equal when it ends.
pub fn repair(pipeline: &Site, units: u64, server: (&mut Session, u32)) -> Measured {
    let (session, postmaster) = server;
    let (measured, code) = measured(pipeline, &["verify", "--repair"], units, (session, &[postmaster]));
    assert_eq!(code, Some(0), "verify --repair; see {}", pipeline.folder().join("landfall.log").display());
    measured
}

/// A command that ends at once and well.
pub fn tell(pipeline: &Site, words: &[&str]) {
    let status = command(pipeline, words).status().expect("landfall can be started");
    assert!(status.success(), "{words:?} failed; see {}", pipeline.folder().join("landfall.log").display());
}

/// `landfall replay` from a named checkpoint, measured from the start of the process to its end.
pub fn replay(pipeline: &Site, from: &str, units: u64, server: (&mut Session, u32)) -> Measured {
    let (session, postmaster) = server;
    let (measured, code) = measured(pipeline, &["replay", "--from", from], units, (session, &[postmaster]));
    assert_eq!(code, Some(0), "replay; see {}", pipeline.folder().join("landfall.log").display());
    measured
}

/// `landfall run` in the background.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(pipeline: &Site) -> Self {
        Self(command(pipeline, &["run"]).spawn().expect("landfall can be started"))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until PostgreSQL has applied `events` in all; gives when that was seen.
    pub fn wait_applied(&mut self, session: &mut Session, events: u64) -> Instant {
        self.wait_for(|| session.number(APPLIED) >= events.cast_signed())
    }

    /// Waits until something is so; gives when that was seen.
    pub fn wait_for(&mut self, mut is_so: impl FnMut() -> bool) -> Instant {
        let begun = Instant::now();
        loop {
            if is_so() {
                return Instant::now();
            }
            let ended = self.0.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "landfall ended by itself: {ended:?}");
            assert!(begun.elapsed() < PATIENCE, "landfall does not get there");
            std::thread::sleep(LOOK);
        }
    }

    /// Has it stop, as a service manager would, and waits for that.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("a child of ours can be told to stop");
        let begun = Instant::now();
        while self.0.try_wait().expect("a child can be waited for").is_none() {
            assert!(begun.elapsed() < FAREWELL, "landfall does not stop");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A kill needs no goodbye: what it leaves is removed by the next bench.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many events PostgreSQL has applied.
pub fn applied(session: &mut Session) -> u64 {
    session.number(APPLIED).unsigned_abs()
}

/// Waits until a first revision is in and nothing moves any more; gives how many events that were.
pub fn settled(session: &mut Session, running: &mut Running) -> u64 {
    let live = "SELECT count(*) FROM landfall.streams WHERE phase = 'live' AND owner_nonce IS NOT NULL";
    let mut before = 0;
    let begun = Instant::now();
    loop {
        std::thread::sleep(STILL);
        let ended = running.0.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "landfall ended by itself: {ended:?}");
        assert!(begun.elapsed() < PATIENCE, "landfall does not settle");
        let now = applied(session);
        if now > 0 && now == before && session.number(live) > 0 {
            return now;
        }
        before = now;
    }
}
