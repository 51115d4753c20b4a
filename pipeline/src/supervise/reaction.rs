//! From a failure's class to what the program does: one exhaustive match, so that a new class must be thought about.

use landfall_connectors::failure::FailureClass;

/// What is done about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reaction {
    /// Back off with jitter and do the same again; say what is waited for.
    Retry,
    /// Halve the batch and do it again.
    Shrink,
    /// Read the checkpoint on a new connection; it says whether the commit happened (promise 9).
    Settle,
    /// Become the owner again, reload all state, go on from the stored checkpoint (promise 3).
    Readmit,
    /// The stream stops in a named state and waits for an operator; the others go on (promise 6).
    HaltStream,
    /// The process stops (promise 18).
    StopProcess,
}

/// The reaction to a class.
pub fn reaction(class: FailureClass) -> Reaction {
    match class {
        FailureClass::Transient => Reaction::Retry,
        FailureClass::TooMuch => Reaction::Shrink,
        FailureClass::Unknown => Reaction::Settle,
        FailureClass::Fenced => Reaction::Readmit,
        FailureClass::Halt => Reaction::HaltStream,
        FailureClass::Fatal => Reaction::StopProcess,
    }
}
