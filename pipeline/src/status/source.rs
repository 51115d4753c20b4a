//! Sources in a report: their queues, how they learn of changes, and what is known of their logs.

use crate::queue::{FullReason, Usage};
use landfall_connectors::source::{Noticing, SourceGauges};
use serde::{Deserialize, Serialize};

/// One source.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// `json_document`, …
    pub kind: String,
    /// Its queue.
    pub queue: QueueReport,
    /// How it learns of changes; `None` while nothing watches.
    pub watch: Option<WatchMode>,
    /// Why it polls: `missing`, `network_file_system`, `watch_limit`, `watch_failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polls_because: Option<String>,
    /// What is known of its log, for sources that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
    /// Collections that a pattern wants and that cannot be streams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutReport>,
}

impl SourceReport {
    /// With how changes are noticed.
    #[must_use]
    pub fn noticing(mut self, noticing: Option<Noticing>) -> Self {
        (self.watch, self.polls_because) = match noticing {
            None => (None, None),
            Some(Noticing::Events) => (Some(WatchMode::Events), None),
            Some(Noticing::Polling { because }) => (Some(WatchMode::Polling), Some(because.to_owned())),
        };
        self
    }
}

/// A collection that a pattern wants and that is no stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftOutReport {
    /// Its name.
    pub name: String,
    /// What stands in the way.
    pub why: String,
}

/// The log of a source, as capture sees it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LogReport {
    /// Seconds of log between its oldest entry and where capture stands; `None`: the role may not look.
    pub headroom_seconds: Option<f64>,
    /// Seconds until capture falls off the log at the present trend; `None`: not in sight.
    pub seconds_to_loss: Option<f64>,
    /// Seconds between the source's newest change and what is captured.
    pub read_lag_seconds: Option<f64>,
    /// Changes of collections that no stream takes.
    pub ignored: u64,
    /// Changes of kinds this version does not know.
    pub unknown: u64,
    /// Times the log was opened anew after an error.
    pub reopened: u64,
}

impl From<&SourceGauges> for LogReport {
    fn from(gauges: &SourceGauges) -> Self {
        Self {
            headroom_seconds: gauges.headroom_seconds,
            seconds_to_loss: gauges.seconds_to_loss,
            read_lag_seconds: gauges.read_lag_seconds,
            ignored: gauges.ignored,
            unknown: gauges.unknown.values().sum(),
            reopened: gauges.reopened,
        }
    }
}

/// A queue.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QueueReport {
    /// Bytes on disk.
    pub bytes: u64,
    /// Events retained.
    pub events: u64,
    /// Segments.
    pub segments: u64,
    /// Why it takes nothing, when it does not.
    pub full: Option<QueueFull>,
    /// Bytes that are free on the file system under it.
    #[serde(default)]
    pub disk_free_bytes: Option<u64>,
    /// Bytes of them that events leave alone.
    #[serde(default)]
    pub disk_reserve_bytes: Option<u64>,
}

impl QueueReport {
    /// What a queue takes up and what there is beside it. One whose disk has nothing but its reserve takes nothing, tried or not.
    pub fn of(usage: Usage, refused: Option<FullReason>) -> Self {
        let Usage { bytes, segments, events, disk } = usage;
        let short = disk.filter(|room| room.is_short()).map(|_| FullReason::Disk);
        let full = refused.or(short).map(|reason| match reason {
            FullReason::Cap => QueueFull::Cap,
            FullReason::Disk => QueueFull::Disk,
        });
        let (disk_free_bytes, disk_reserve_bytes) = disk.map(|room| (room.free, room.reserve)).unzip();
        Self { bytes, events, segments, full, disk_free_bytes, disk_reserve_bytes }
    }
}

/// Why a queue takes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueFull {
    /// `queue.max_bytes` is reached.
    Cap,
    /// The file system has no room but `queue.disk_reserve`, or none at all.
    Disk,
}

/// How a source learns of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchMode {
    /// Events of the file system, and a scan now and then.
    Events,
    /// Polling: watching is impossible here.
    Polling,
}
