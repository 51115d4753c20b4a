//! The verbs of Landfall.

pub mod capture;
pub mod queue;
pub mod supervise;
pub mod transform;
pub mod worker;
