//! The suites that every implementation of a contract passes, fakes included.
//!
//! Ordinary functions that panic with a sentence when a promise is broken, so that a test binary with a server at hand and
//! the unit tests of a fake can run the same ones.

pub mod reread;
pub mod sink;
pub mod source;
