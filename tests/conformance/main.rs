//! The suites that every implementation passes, run against the real ones: PostgreSQL on a real server, files and queue on a real disk.
//!
//! The suites themselves ship with their contracts; the fakes pass them in their own crates.

#![allow(clippy::unwrap_used, reason = "in a proof, what cannot be unwrapped has failed")]

mod mongodb_reread;
mod mongodb_snapshot;
mod queue;
mod reread;
mod sink;
mod source;
