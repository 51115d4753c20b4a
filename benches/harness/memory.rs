//! Memory and processor time of one process, from `/proc`.

/// Largest resident set so far, in bytes; `None` once the process is gone.
pub fn peak_rss(pid: u32) -> Option<u64> {
    status_kib(pid, "VmHWM:")
}

/// Resident set now, in bytes.
pub fn rss(pid: u32) -> Option<u64> {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory_and_no_other_has_its_number() {
        assert!(super::peak_rss(std::process::id()) >= super::rss(std::process::id()).map(|rss| rss.min(1)));
        assert_eq!(super::rss(u32::MAX), None);
    }
}
