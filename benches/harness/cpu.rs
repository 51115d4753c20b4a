//! Accounts of processor time: the client (this process and children it has reaped), the server (postmaster, backends, and
//! backends that have ended), and everybody else on the machine.
//!
//! This process is read from its own clock, to the nanosecond; children and the server from `/proc`, in ticks of 10 ms: good for
//! runs of a second and more. No cgroup needed: backends are the postmaster's children, and a child that ended lives on in
//! the postmaster's sum of reaped children.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::ops::Sub;
use std::time::Instant;

/// `USER_HZ`: fixed in the kernel's interface to user space on every platform we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A reading, in CPU-seconds since the start of each.
#[derive(Clone, Copy, Debug)]
pub struct CpuReading {
    /// This process and its reaped children.
    pub client: f64,
    /// PostgreSQL, and whatever else serves.
    pub server: f64,
    /// All processors, not idle.
    pub machine: f64,
    at: Instant,
}

/// What was used between two readings.
#[derive(Clone, Copy, Debug)]
pub struct CpuUse {
    /// CPU-seconds of the client.
    pub client: f64,
    /// CPU-seconds of the server.
    pub server: f64,
    /// Share of the whole machine that went to others: 0 to 1.
    pub foreign: f64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl CpuReading {
    /// Reads. `servers`: the first process of each server.
    pub fn now(servers: &[u32]) -> Self {
        Self {
            client: own() + ticks(std::process::id()).map_or(0.0, |(_, reaped, _)| reaped),
            server: servers.iter().copied().map(server).sum(),
            machine: machine(),
            at: Instant::now(),
        }
    }
}

impl Sub for CpuReading {
    type Output = CpuUse;

    fn sub(self, earlier: Self) -> CpuUse {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let (client, server) = (self.client - earlier.client, self.server - earlier.server);
        let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let foreign = (self.machine - earlier.machine - client - server) / (seconds * processors);
        CpuUse { client, server, foreign: foreign.clamp(0.0, 1.0), seconds }
    }
}

/// This process without children.
fn own() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU-seconds of one process, in ticks of 10 ms.
pub fn of_process(pid: u32) -> f64 {
    ticks(pid).map_or(0.0, |(own, _, _)| own)
}

/// Seconds that the threads of a process were ready to run and had no processor, to the nanosecond.
pub fn waited(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let waits = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<f64>().ok()
    });
    waits.sum::<f64>() / 1e9
}

/// A process with its reaped children.
fn process(pid: u32) -> f64 {
    ticks(pid).map_or(0.0, |(own, reaped, _)| own + reaped)
}

/// Backends that end while they are being added up would be counted nowhere: then it is done again.
fn server(postmaster: u32) -> f64 {
    loop {
        let reaped = |pid| ticks(pid).map_or(0.0, |(_, reaped, _)| reaped);
        let before = reaped(postmaster);
        let children = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let (own, reaped, parent) = ticks(pid)?;
            (parent == postmaster).then_some(own + reaped)
        });
        let sum = children.sum::<f64>();
        if (reaped(postmaster) - before).abs() < f64::EPSILON {
            return process(postmaster) + sum;
        }
    }
}

/// Own time, time of reaped children, parent.
fn ticks(pid: u32) -> Option<(f64, f64, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows the last one is numbers.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let own = number(11)? + number(12)?;
    let reaped = number(13)? + number(14)?;
    Some((own / TICKS_PER_SECOND, reaped / TICKS_PER_SECOND, fields.get(1)?.parse().ok()?))
}

/// Time that was not idle and not waiting for a disk, all processors together; steal counts, since it was not ours.
fn machine() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let numbers: Vec<f64> = numbers.filter_map(|number| number.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guest time stands in user already.
    let busy: f64 = numbers.iter().take(8).enumerate().filter(|(at, _)| *at != 3 && *at != 4).map(|(_, n)| n).sum();
    busy / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::CpuReading;

    #[test]
    fn work_of_this_process_is_the_client_s() {
        let before = CpuReading::now(&[]);
        let begun = std::time::Instant::now();
        let mut sum = 0_u64;
        while begun.elapsed().as_millis() < 200 {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
        }
        let used = CpuReading::now(&[]) - before;
        assert!(used.client > 0.02, "{used:?}");
        assert!(used.server.abs() < f64::EPSILON);
    }
}
