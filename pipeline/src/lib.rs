//! The verbs of Landfall.

pub mod assemble;
pub mod cli;
pub mod config;
pub mod control;
pub mod queue;
pub mod status;
pub mod transform;
