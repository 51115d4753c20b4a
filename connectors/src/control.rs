//! Pause and throttle of a stream, and whether it heeds the target's health, as an operator sets them.
//!
//! Owns what can be set and who is noted with it; where it is kept is the target's, what it holds is the worker's.

use std::num::NonZeroU64;

/// Pause, throttle and heeding of one stream, and who said so last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Control {
    /// Apply nothing; capture goes on.
    pub paused: bool,
    /// Most rows a second.
    pub rows_per_second: Option<NonZeroU64>,
    /// The target's health holds nothing of this stream back.
    pub ignores_health: bool,
    /// Who changed it last.
    pub actor: String,
    /// And why, if they said.
    pub reason: String,
}

/// One change of a control; the rest of it stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// Apply nothing.
    Pause,
    /// Apply again.
    Resume,
    /// At most so many rows a second; `None`: as fast as it goes.
    Throttle(Option<NonZeroU64>),
    /// What the target's health means to it.
    TargetHealth(Heeding),
}

/// What the target's health means to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Heeding {
    /// A limit that is passed holds it back.
    Heed,
    /// It writes whatever the target's health is.
    Ignore,
}

impl Control {
    /// This control after a change.
    #[must_use]
    pub fn after(&self, change: Change, (actor, reason): (&str, &str)) -> Self {
        let said = Self { actor: actor.to_owned(), reason: reason.to_owned(), ..self.clone() };
        match change {
            Change::Pause => Self { paused: true, ..said },
            Change::Resume => Self { paused: false, ..said },
            Change::Throttle(rate) => Self { rows_per_second: rate, ..said },
            Change::TargetHealth(heeding) => Self { ignores_health: heeding == Heeding::Ignore, ..said },
        }
    }
}
