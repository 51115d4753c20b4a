//! What can befall a batch on its way into a target in memory.

use crate::failure::Failure;

/// One entry of the script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing: the batch is applied.
    None,
    /// Nothing is written, and the caller hears this.
    Fail(Failure),
    /// Nothing is written, and the caller cannot know.
    CommitLost,
    /// Everything is written, and the caller cannot know.
    AnswerLost,
    /// The target refuses this row (index into the batch) with this SQLSTATE.
    Refuse(usize, String),
}
