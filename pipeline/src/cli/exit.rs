//! Exit codes, all of them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Differences were found, or equality cannot be shown.
    Differences = 3,
    /// Something is halted or held and needs a decision.
    NeedsDecision = 4,
    /// Another process owns this pipeline.
    OtherOwner = 5,
    /// A second signal ended the process at once.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
