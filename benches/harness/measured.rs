//! One run, measured.

use crate::cpu::{CpuReading, CpuUse};
use crate::session::Session;
use std::time::Instant;

/// What one run did and cost.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Units of work: events, rows, records or bytes, as the bench says.
    pub units: f64,
    /// Wall-clock seconds of the work.
    pub seconds: f64,
    /// Processor time over the same span.
    pub cpu: CpuUse,
    /// WAL written by the server.
    pub wal: Option<u64>,
    /// Largest resident set of the process under test.
    pub peak_rss: Option<u64>,
}

impl Measured {
    /// Measures `work`, which does `units`.
    pub fn of(units: u64, work: impl FnOnce()) -> Self {
        let before = CpuReading::now(&[]);
        let begun = Instant::now();
        work();
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = CpuReading::now(&[]) - before;
        Self { units: units as f64, seconds, cpu, wal: None, peak_rss: None }
    }

    /// Measures `work` against a server. What `work` returns is given back: checks belong behind the clock.
    pub fn with_server<T>(units: u64, server: (&mut Session, u32), work: impl FnOnce() -> T) -> (Self, T) {
        let (session, postmaster) = server;
        Self::with_servers(units, (session, &[postmaster]), work)
    }

    /// Measures `work` against a PostgreSQL and other servers, by the first process of each.
    pub fn with_servers<T>(units: u64, servers: (&mut Session, &[u32]), work: impl FnOnce() -> T) -> (Self, T) {
        let (session, servers) = servers;
        let wal = session.wal_position();
        let before = CpuReading::now(servers);
        let begun = Instant::now();
        let outcome = work();
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = CpuReading::now(servers) - before;
        let wal = session.wal_position() - wal;
        (Self { units: units as f64, seconds, cpu, wal: Some(wal), peak_rss: None }, outcome)
    }

    /// Units per second.
    pub fn rate(&self) -> f64 {
        self.units / self.seconds
    }

    /// CPU-seconds per million units: client, server.
    pub fn cpu_per_million(&self) -> (f64, f64) {
        let millions = self.units / 1e6;
        (self.cpu.client / millions, self.cpu.server / millions)
    }

    /// WAL bytes per unit.
    pub fn wal_per_unit(&self) -> Option<f64> {
        self.wal.map(|bytes| bytes as f64 / self.units)
    }
}
