//! The metrics that every process has, by the names that every Prometheus client gives them, read from `/proc/self`.

use super::sheet::{Sheet, Value};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fs;

/// Reads the process it is in. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut sheet = Sheet::new(encoder);
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let (ticks, boot) = (rustix::param::clock_ticks_per_second() as f64, boot_seconds());
        let cpu = cpu_ticks(&stat).map(|used| Value::Real(used as f64 / ticks));
        sheet.counter("process_cpu_seconds", "Processor time used, user and system", &one(cpu))?;
        let resident = resident_pages().map(|pages| Value::Whole(pages * rustix::param::page_size() as u64));
        sheet.gauge("process_resident_memory_bytes", "Memory in use", &one(resident))?;
        // The directory that is being read is one of them.
        let open = fs::read_dir("/proc/self/fd").ok().map(|found| Value::Whole(found.count() as u64));
        sheet.gauge("process_open_fds", "Open file descriptors", &one(open))?;
        sheet.gauge("process_max_fds", "Most file descriptors", &one(most_files().map(Value::Whole)))?;
        let started = boot.zip(start_ticks(&stat)).map(|(boot, start)| Value::Real(boot as f64 + start as f64 / ticks));
        sheet.gauge("process_start_time_seconds", "When the process began, Unix time", &one(started))
    }
}

fn one(value: Option<Value>) -> Vec<(Vec<(&'static str, &'static str)>, Value)> {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

/// Field `number` of `/proc/self/stat`, as its manual counts them. The second one is a name in brackets that may hold anything.
fn field(stat: &str, number: usize) -> Option<u64> {
    let behind = stat.rsplit_once(')')?.1;
    behind.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    Some(field(stat, 14)? + field(stat, 15)?)
}

fn start_ticks(stat: &str) -> Option<u64> {
    field(stat, 22)
}

fn resident_pages() -> Option<u64> {
    fs::read_to_string("/proc/self/statm").ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn boot_seconds() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn most_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_moves_no_field() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 700 30 0 0 20 0 9 0 123456 1 2";
        assert_eq!((cpu_ticks(stat), start_ticks(stat)), (Some(730), Some(123_456)));
        assert_eq!(cpu_ticks("nothing"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(resident_pages().is_some_and(|pages| pages > 0));
        assert!(boot_seconds().is_some() && most_files().is_some());
    }
}
