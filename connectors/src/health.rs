//! How a target fares, in numbers: what can be measured, and what a look came to.
//!
//! Owns names and shapes. How a target is asked is its own affair; what is too much, and what follows from it, is the pipeline's.

use crate::failure::Failure;

/// Something that is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Measure {
    /// Seconds that a connected standby is behind in replay, the longest.
    StandbyLag,
    /// Bytes of WAL that a connected standby has yet to replay, the most.
    StandbyLagBytes,
    /// Sessions of others that wait for a lock in this database.
    LockWaits,
    /// Sessions of others that work at this moment, on the whole server.
    ActiveSessions,
    /// Seconds that a batch of ours was with the target, the longest since the look before. No target is asked for it.
    CommitTime,
    /// What a query of the user's gives.
    Query,
}

impl Measure {
    /// Its word: the key in the configuration, the reason that is shown, the label of a metric.
    pub fn word(self) -> &'static str {
        match self {
            Self::StandbyLag => "standby_lag",
            Self::StandbyLagBytes => "standby_lag_bytes",
            Self::LockWaits => "lock_waits",
            Self::ActiveSessions => "active_sessions",
            Self::CommitTime => "commit_time",
            Self::Query => "query",
        }
    }
}

/// What a look at one measure came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Of what.
    pub measure: Measure,
    /// The number; `None`: there is nothing to measure (no standby is connected). An error: it cannot be read.
    pub value: Result<Option<f64>, Failure>,
}
