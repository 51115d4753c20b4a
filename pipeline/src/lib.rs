//! The verbs of Landfall.

pub mod capture;
pub mod config;
pub mod queue;
pub mod service;
pub mod supervise;
pub mod transform;
pub mod worker;
