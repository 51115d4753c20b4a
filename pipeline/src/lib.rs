//! The verbs of Landfall.

pub mod queue;
pub mod transform;
