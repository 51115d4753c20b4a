//! The edges of Landfall.
//!
//! The contracts stand here at the root; each folder is one implementation; `conformance` is the suite that all of them
//! pass, fakes included.

pub mod checkpoints;
pub mod conformance;
pub mod contact;
pub mod control;
pub mod deadletter;
pub mod evolve;
pub mod failure;
pub mod files;
pub mod health;
pub mod memory;
pub mod mongodb;
pub mod postgres;
pub mod reread;
pub mod retrace;
pub mod retry;
pub mod settlement;
pub mod sink;
pub mod snapshot;
pub mod source;
pub mod sqlite;
pub mod wake;
