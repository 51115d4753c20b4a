//! A failure as the rest of the program sees it: classified at the edge, from codes and never from message text.

use std::fmt;

/// What the program does about a failure. One exhaustive match in `pipeline::supervise` turns it into a reaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailureClass {
    /// Goes away by itself: back off and try again (connection lost, server starting, disk full).
    Transient,
    /// The same work may fit when it is smaller (statement timeout).
    TooMuch,
    /// The outcome is unknown: read the checkpoint before doing anything else.
    Unknown,
    /// Somebody else owns the stream now, or the checkpoint is not where we left it: re-admit.
    Fenced,
    /// The stream cannot go on without an operator's decision. It halts in a named state.
    Halt,
    /// The process cannot go on (a failed sync, a broken invariant).
    Fatal,
}

/// A classified failure. `code` names the state and the runbook page; `detail` never holds a row value, key or secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What to do about it.
    pub class: FailureClass,
    /// Stable name, `lower_snake_case`: shown in `status`, used as runbook page.
    pub code: &'static str,
    /// What happened, where, and what the operator can do.
    pub detail: String,
}

impl Failure {
    /// A failure.
    pub fn new(class: FailureClass, code: &'static str, detail: impl Into<String>) -> Self {
        Self { class, code, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Failure {}
