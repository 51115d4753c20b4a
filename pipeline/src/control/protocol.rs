//! The lines on the control socket.
//!
//! ```text
//! → {"op":"ping"}
//! ← {"ok":{"pong":{"pipeline":"flux","pid":4711}}}
//! → {"op":"decide","stream":"users","subject":"9f2c…","accept":true,"actor":"ada"}
//! ← {"ok":"decided"}
//! ← {"refused":{"code":"unknown_subject","detail":"…"}}
//! ```

use crate::log_dial::LogLevel;
use crate::redress::{Order, Tally};
use crate::replay::into::IntoVerb;
use crate::replay::{self, cut::CutReport};
use crate::status::StatusReport;
use landfall_connectors::control::{Change, Heeding};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest request. A decision is a few hundred bytes.
pub const MAX_REQUEST: u64 = 16 * 1024;
/// Longest answer: a report of thousands of streams.
pub const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Is anybody there?
    Ping,
    /// The report of now.
    Status,
    /// An operator's word about something held or halted.
    Decide {
        /// Which stream.
        stream: String,
        /// Hash of the held revision, or code of the halted state.
        subject: String,
        /// Accept or refuse.
        accept: bool,
        /// Who says so, for the history.
        actor: String,
    },
    /// Go on from now where a place in the source's log is lost, and copy nothing: a comparison finds what changed in between.
    GoOn {
        /// Which stream; all of its source go on with it.
        stream: String,
        /// Code of the halted state.
        subject: String,
        /// Who says so, for the history.
        actor: String,
    },
    /// A comparison has shown these streams to be equal; each with the doubt that stood when it began.
    Shown {
        /// Stream and doubt.
        streams: Vec<(String, String)>,
    },
    /// Look at the sources of these streams once more, and say how many events there are then.
    Mark {
        /// Which streams.
        streams: Vec<String>,
    },
    /// Capture the records again whose keys stand in the state directory (`verify/STREAM.repair`).
    Repair {
        /// Which stream.
        stream: String,
    },
    /// Take up dead letters again: one piece, behind the head with this number.
    Redress {
        /// Which letters, and what for.
        order: Order,
        /// Number of the last head that was looked at, or 0.
        after: i64,
    },
    /// Do the next turn of a replay.
    Replay {
        /// Which.
        order: replay::Order,
    },
    /// Do something about a schema beside the live one.
    Into {
        /// What to do.
        what: IntoVerb,
    },
    /// Make, list or delete named checkpoints.
    Checkpoint {
        /// What to do.
        what: CheckpointVerb,
    },
    /// Where the capture of a source stands.
    Positions {
        /// Which source.
        source: String,
    },
    /// Turn how much the service's log says, until it ends.
    LogLevel {
        /// How much.
        level: LogLevel,
        /// Who says so.
        actor: String,
    },
    /// Pause, resume or throttle.
    Control {
        /// Which streams.
        streams: Vec<String>,
        /// What changes.
        change: ControlChange,
        /// Who says so, for the history.
        actor: String,
        /// And why.
        reason: String,
    },
}

/// Longest reason, in characters: a sentence, and thousands of streams still fit in a report.
pub const MAX_REASON: usize = 200;

/// What is done about named checkpoints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum CheckpointVerb {
    /// Make one.
    Create {
        /// Its name.
        name: String,
        /// Of these streams; all when empty.
        streams: Vec<String>,
        /// Who says so.
        actor: String,
    },
    /// List them.
    List,
    /// Delete one.
    Delete {
        /// Its name.
        name: String,
        /// Who says so.
        actor: String,
    },
}

/// A change of pause, throttle or heeding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum ControlChange {
    /// Apply nothing.
    Pause,
    /// Apply again.
    Resume,
    /// At most so many rows a second, or as fast as it goes.
    Throttle {
        /// The rate.
        rows_per_second: Option<NonZeroU64>,
    },
    /// Heed the target's health, or ignore it.
    TargetHealth {
        /// Which.
        heeding: HealthHeeding,
    },
}

/// What the target's health means to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum HealthHeeding {
    /// A limit of `target.health` that is passed holds it back.
    Heed,
    /// It writes whatever the target's health is.
    Ignore,
}

impl ControlChange {
    /// What it comes to, for people.
    pub fn word(self) -> String {
        match self {
            Self::Pause => "paused".to_owned(),
            Self::Resume => "resumed".to_owned(),
            Self::Throttle { rows_per_second: Some(rate) } => format!("throttled to {rate} rows a second"),
            Self::Throttle { rows_per_second: None } => "no longer throttled".to_owned(),
            Self::TargetHealth { heeding: HealthHeeding::Heed } => "heeding the target's health".to_owned(),
            Self::TargetHealth { heeding: HealthHeeding::Ignore } => "ignoring the target's health".to_owned(),
        }
    }
}

impl From<ControlChange> for Change {
    fn from(change: ControlChange) -> Self {
        match change {
            ControlChange::Pause => Self::Pause,
            ControlChange::Resume => Self::Resume,
            ControlChange::Throttle { rows_per_second } => Self::Throttle(rows_per_second),
            ControlChange::TargetHealth { heeding: HealthHeeding::Heed } => Self::TargetHealth(Heeding::Heed),
            ControlChange::TargetHealth { heeding: HealthHeeding::Ignore } => Self::TargetHealth(Heeding::Ignore),
        }
    }
}

/// What is answered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Ok(Content),
    /// Not done.
    Refused(Refused),
}

/// What an answer holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// To a ping.
    Pong {
        /// The pipeline's name.
        pipeline: String,
        /// The service's process.
        pid: u32,
    },
    /// The report.
    Status(Box<StatusReport>),
    /// The decision was taken and stored.
    Decided,
    /// What a comparison has shown is noted.
    Noted,
    /// A piece of an order about dead letters is done.
    Redressed {
        /// Letters by what became of them.
        tally: Tally,
        /// Number of the last head that was looked at; absent: there are no more.
        after: Option<i64>,
    },
    /// A turn of a replay is done: how far it is.
    Replaying(replay::Standing),
    /// It is done.
    Into {
        /// Streams that need a base, where that was asked.
        needing: Vec<String>,
    },
    /// The named checkpoints there are now.
    Checkpoints(Vec<CutReport>),
    /// Positions of a source: slots and values, base64.
    Positions(Vec<(String, String)>),
    /// The log says as much as was asked.
    Turned,
    /// Pause or throttle was changed and stored.
    Controlled,
    /// So many records are captured again.
    Repairing {
        /// How many.
        keys: u64,
    },
    /// Everything that stood in the sources when it was asked is captured: events of each stream so far.
    Marked {
        /// By stream.
        captured: Vec<(String, u64)>,
    },
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// Stable name.
    pub code: String,
    /// What, and what to do.
    pub detail: String,
}

impl Refused {
    /// A refusal.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

/// One line without its end.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

/// Reads one line of at most `most` bytes. A last line without its end is none.
pub(super) async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), most: u64) -> std::io::Result<Line> {
    let mut line = Vec::new();
    reader.take(most + 1).read_until(b'\n', &mut line).await?;
    Ok(match line.pop() {
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() as u64 >= most => Line::TooLong,
        _ => Line::End,
    })
}

/// A value as a line.
pub(super) fn line_of(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
