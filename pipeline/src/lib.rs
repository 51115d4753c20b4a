//! The verbs of Landfall.

pub mod config;
pub mod queue;
pub mod transform;
