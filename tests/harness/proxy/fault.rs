//! What can be done to a connection, and what is planned.

use std::collections::VecDeque;
use std::time::Duration;

/// A fault that happens once, at a message boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `COMMIT` is not forwarded; both sides are reset. Nothing is committed.
    CutBeforeCommit,
    /// `COMMIT` is forwarded and both sides are cut at once. The outcome is a race.
    CutInCommit,
    /// `COMMIT` is forwarded and done; its answer is swallowed and both sides are reset. Everything is committed.
    CutAfterCommit,
    /// Half of a COPY data frame is forwarded, then both sides are reset.
    CutInCopy,
}

/// What the proxy is to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) pending: VecDeque<Fault>,
    pub(super) fired: Vec<Fault>,
    pub(super) refusing: bool,
    pub(super) swallowing: bool,
    pub(super) pause: Duration,
    pub(super) closed: bool,
}

impl Plan {
    /// Takes the next pending fault if `fits` says it belongs here.
    pub(super) fn take(&mut self, fits: impl Fn(Fault) -> bool) -> Option<Fault> {
        let next = *self.pending.front()?;
        if !fits(next) {
            return None;
        }
        self.pending.pop_front();
        self.fired.push(next);
        Some(next)
    }

    pub(super) fn heal(&mut self) {
        self.pending.clear();
        self.refusing = false;
        self.swallowing = false;
        self.pause = Duration::ZERO;
    }
}
