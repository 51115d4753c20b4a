//! What can happen, as the timeline shows it and as hooks are told of it.

use serde::Serialize;

/// How grave an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Info,
    /// Deserves a look.
    Warn,
    /// Needs an operator.
    Error,
}

/// What hooks can be told of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A stream halted, or did for another reason.
    Halted,
    /// The deletion guard holds a revision.
    Held,
    /// There are more dead letters of a stream.
    Parked,
    /// A source's log reaches back less far than it should, or is about to.
    HeadroomLow,
    /// All streams have caught up after some had not.
    CaughtUp,
    /// A comparison of a stream ended.
    Verified,
    /// A stream entered another phase.
    Phase,
    /// The target's health holds writing back.
    Throttled,
    /// What was told as halted, held, parked, low headroom or throttled is over.
    Recovered,
}

impl Occasion {
    /// All of them, with their words.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("halted", Self::Halted),
        ("held", Self::Held),
        ("parked", Self::Parked),
        ("headroom_low", Self::HeadroomLow),
        ("caught_up", Self::CaughtUp),
        ("verified", Self::Verified),
        ("phase", Self::Phase),
        ("throttled", Self::Throttled),
        ("recovered", Self::Recovered),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| word)
    }
}

/// Something that changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Entry {
    /// When it was seen, RFC 3339.
    pub at: String,
    /// How grave it is.
    pub level: Level,
    /// Name of the state that was come to.
    pub code: String,
    /// Of which stream.
    pub stream: Option<String>,
    /// In words.
    pub detail: String,
    /// What hooks are told.
    #[serde(skip)]
    pub told: Option<Told>,
}

/// What hooks are told beside the words of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What it is an occasion of.
    pub occasion: Occasion,
    /// Name of the state; of the one that is over when something recovered.
    pub code: String,
    /// Of which source, where it is of no stream.
    pub source: Option<String>,
    /// The headroom that was asked for, in milliseconds: only those who asked for it are told.
    pub below_ms: Option<u64>,
}

impl Told {
    /// Of a stream, or of all.
    pub fn of(occasion: Occasion, code: &str) -> Self {
        Self { occasion, code: code.to_owned(), source: None, below_ms: None }
    }
}
