//! How far the source's log reaches back, measured now and then.
//!
//! Owns the figures only: they decide nothing. The oldest entry is read from the log itself, or from the server's status where only that
//! is permitted; where neither is, that is said once and there are no figures. On a sharded cluster there is no one log, and none either.

use bson::{Document, RawDocumentBuf, Timestamp, doc};
use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Measuring costs the source a read.
const EVERY: Duration = Duration::from_secs(30);
/// Longest the source may take to say it.
const LIMIT: Duration = Duration::from_secs(2);
/// The trend is that of the last five minutes.
const SAMPLES: usize = 10;
/// Less than this share of the log between its oldest entry and where capture stands is warned of.
const LOW_SHARE: f64 = 0.25;

/// Oldest entry and capture, in the source's seconds.
#[derive(Clone, Copy, Debug)]
struct Sample {
    taken: Instant,
    oldest: f64,
    captured: f64,
}

/// The figures.
#[derive(Debug)]
pub(super) struct LogWindow {
    due: Instant,
    samples: VecDeque<Sample>,
    refused: bool,
    /// That it was refused has been said: once is enough for a life.
    warned: bool,
    low: bool,
}

impl LogWindow {
    pub(super) fn new() -> Self {
        Self { due: Instant::now(), samples: VecDeque::new(), refused: false, warned: false, low: false }
    }

    /// It is time to measure.
    pub(super) fn is_due(&self) -> bool {
        !self.refused && Instant::now() >= self.due
    }

    /// Measures; `captured` is where capture stands, `newest` the end of the log.
    pub(super) async fn measure(&mut self, client: &Client, captured: Timestamp, newest: Timestamp) {
        self.due = Instant::now() + EVERY;
        match oldest(client).await {
            Ok(Some(oldest)) => self.add(Instant::now(), oldest, (captured, newest)),
            Ok(None) => self.refuse(),
            Err(error) if matches!(*error.kind, ErrorKind::Command(_)) => self.refuse(),
            // The stream itself will say so.
            Err(_) => {}
        }
    }

    /// Asks again: the source may be another member, and we may have another role.
    pub(super) fn reopened(&mut self) {
        self.due = Instant::now();
        self.refused = false;
    }

    fn refuse(&mut self) {
        self.refused = true;
        if std::mem::replace(&mut self.warned, true) {
            return;
        }
        tracing::warn!(
            "how far the log of the source reaches back is not known here: grant find on local.oplog.rs (or clusterMonitor) to be \
             warned before capture falls off its end"
        );
    }

    fn add(&mut self, taken: Instant, oldest: Timestamp, (captured, newest): (Timestamp, Timestamp)) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { taken, oldest: f64::from(oldest.time), captured: f64::from(captured.time) });
        let window = f64::from(newest.time) - f64::from(oldest.time);
        let headroom = self.headroom().unwrap_or_default();
        let low = window > 0.0 && headroom < window * LOW_SHARE;
        if low && !self.low {
            tracing::warn!(
                headroom_seconds = headroom,
                window_seconds = window,
                "capture is about to fall off the log of the source"
            );
        }
        self.low = low;
    }

    /// Seconds of log between its oldest entry and where capture stands.
    pub(super) fn headroom(&self) -> Option<f64> {
        self.samples.back().map(|last| last.captured - last.oldest)
    }

    /// Seconds until none are left, if they become fewer.
    pub(super) fn seconds_to_loss(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let elapsed = (last.taken - first.taken).as_secs_f64();
        let shrinking = ((last.oldest - first.oldest) - (last.captured - first.captured)) / elapsed.max(1.0);
        (elapsed > 0.0 && shrinking > 0.0).then(|| self.headroom().unwrap_or_default().max(0.0) / shrinking)
    }
}

async fn oldest(client: &Client) -> Result<Option<Timestamp>, Error> {
    let log = client.database("local").collection::<RawDocumentBuf>("oplog.rs");
    let first = log.find_one(doc! {}).sort(doc! { "$natural": 1 }).projection(doc! { "ts": 1 }).max_time(LIMIT).await;
    match first {
        Ok(first) => Ok(first.and_then(|entry| entry.get_timestamp("ts").ok())),
        Err(error) if matches!(*error.kind, ErrorKind::Command(_)) => of_status(client).await,
        Err(error) => Err(error),
    }
}

async fn of_status(client: &Client) -> Result<Option<Timestamp>, Error> {
    let status = client.database("admin").run_command(doc! { "serverStatus": 1, "oplog": 1, "metrics": 0 }).await?;
    let earliest = |oplog: &Document| {
        let nested = oplog.get_document("earliestOptime").and_then(|optime| optime.get_timestamp("ts"));
        nested.or_else(|_| oplog.get_timestamp("earliestOptime")).ok()
    };
    Ok(status.get_document("oplog").ok().and_then(earliest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> Timestamp {
        Timestamp { time: seconds, increment: 1 }
    }

    #[test]
    fn the_time_to_loss_is_what_is_left_by_how_fast_it_shrinks() {
        let mut window = LogWindow::new();
        let start = Instant::now();
        assert_eq!((window.headroom(), window.seconds_to_loss()), (None, None));
        window.add(start, at(1_000), (at(5_000), at(5_000)));
        assert_eq!((window.headroom(), window.seconds_to_loss()), (Some(4_000.0), None));
        // In 30 s the log lost 300 s and capture gained 100.
        window.add(start + EVERY, at(1_300), (at(5_100), at(9_000)));
        assert_eq!(window.headroom(), Some(3_800.0));
        assert_eq!(window.seconds_to_loss(), Some(3_800.0 / (200.0 / 30.0)));
    }

    #[test]
    fn capture_that_keeps_up_is_not_about_to_lose_anything() {
        let mut window = LogWindow::new();
        let start = Instant::now();
        for n in 0..20 {
            window.add(start + EVERY * n, at(1_000 + 30 * n), (at(5_000 + 30 * n), at(5_000 + 30 * n)));
        }
        assert_eq!((window.headroom(), window.seconds_to_loss()), (Some(4_000.0), None));
        assert!(!window.low);
    }

    #[test]
    fn little_headroom_is_low() {
        let mut window = LogWindow::new();
        window.add(Instant::now(), at(1_000), (at(1_900), at(5_000)));
        assert!(window.low);
        window.add(Instant::now(), at(1_000), (at(2_100), at(5_000)));
        assert!(!window.low);
    }
}
