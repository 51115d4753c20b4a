//! Progress on stderr while the service runs.
//!
//! On a terminal: one bar while first revisions are read (bytes, records a second, time left once 1 % is done), then one status
//! line. Elsewhere: a plain line now and then, at growing intervals. With --quiet: nothing. The numbers are those of the
//! published report; this file counts nothing but the time between two of them.

use super::console::Console;
use crate::status::{StatusReport, StreamCondition, measure, render};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The first plain lines come this often …
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// … and later ones this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a terminal is drawn at most.
const DRAW: Duration = Duration::from_millis(250);

/// Shows reports until the caller drops this future.
pub(super) async fn show(reports: &mut watch::Receiver<Arc<StatusReport>>, console: &Console) -> Infallible {
    match (console.shows_progress(), console.is_terminal()) {
        (false, _) => std::future::pending().await,
        (true, true) => bars(reports).await,
        (true, false) => lines(reports, console).await,
    }
}

async fn lines(reports: &mut watch::Receiver<Arc<StatusReport>>, console: &Console) -> Infallible {
    let mut pause = FIRST_PAUSE;
    let mut before = Copied::default();
    loop {
        tokio::time::sleep(pause).await;
        let report = reports.borrow_and_update().clone();
        if report.running {
            before = before.next(&report);
            console.note(&format!("{}: {}", report.pipeline, before.text(&report)));
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn bars(reports: &mut watch::Receiver<Arc<StatusReport>>) -> Infallible {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let mut copied = Copied::default();
    loop {
        tokio::time::sleep(DRAW).await;
        if reports.has_changed().is_err() {
            // The service is gone and its outcome is on the way.
            bar.finish_and_clear();
            return std::future::pending().await;
        }
        let report = reports.borrow_and_update().clone();
        if !report.running {
            continue;
        }
        copied = copied.next(&report);
        if copied.total > 0 {
            bar.set_style(style("{wide_bar} {msg}"));
            bar.set_length(copied.total);
            bar.set_position(copied.bytes.min(copied.total));
        } else {
            bar.set_style(style("{msg}"));
        }
        bar.set_message(copied.text(&report));
        bar.tick();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How far first revisions are, and since when.
#[derive(Clone, Copy, Debug, Default)]
struct Copied {
    since: Option<Instant>,
    bytes: u64,
    total: u64,
    records: u64,
}

impl Copied {
    fn next(self, report: &StatusReport) -> Self {
        let mut next = Self { since: self.since.or_else(|| Some(Instant::now())), ..Self::default() };
        for stream in &report.streams {
            if let StreamCondition::Copying { records, bytes, total } = stream.condition {
                next.records += records;
                next.bytes += bytes;
                next.total += total;
            }
        }
        next
    }

    fn text(&self, report: &StatusReport) -> String {
        match (self.total, self.since) {
            (0, _) | (_, None) => render::line(report),
            (total, Some(since)) => copying(self, total, since.elapsed()),
        }
    }
}

/// `430 B of 1.0 MiB · 1,200 records · 300/s · 2m 10s left`
fn copying(copied: &Copied, total: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = copied.records as f64 / seconds;
    let mut text = format!(
        "{} of {} · {} records · {rate:.0}/s",
        measure::bytes(copied.bytes),
        measure::bytes(total),
        measure::count(copied.records),
    );
    // Before 1 % a forecast says more about the start than about the rest.
    if copied.bytes.saturating_mul(100) >= total && copied.bytes > 0 {
        let left = seconds * (total.saturating_sub(copied.bytes)) as f64 / copied.bytes as f64;
        text.push_str(&format!(" · {} left", measure::span((left * 1_000.0) as u64)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_promised_before_one_percent() {
        let copied = Copied { since: None, bytes: 9_999, total: 1_000_000, records: 10 };
        let early = copying(&copied, 1_000_000, Duration::from_secs(1));
        assert_eq!(early, "9.8 KiB of 976.6 KiB · 10 records · 10/s");
        let copied = Copied { bytes: 500_000, ..copied };
        let half = copying(&copied, 1_000_000, Duration::from_secs(60));
        assert_eq!(half, "488.3 KiB of 976.6 KiB · 10 records · 0/s · 1m 0s left");
    }
}
