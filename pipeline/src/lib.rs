//! The verbs of Landfall.

pub mod assemble;
pub mod capture;
pub mod config;
pub mod control;
pub mod queue;
pub mod service;
pub mod status;
pub mod supervise;
pub mod transform;
pub mod worker;
