//! The verbs of Landfall.

pub mod assemble;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
mod discovery;
mod doubt;
pub mod infer;
mod launch;
mod letterbox;
mod mark;
pub mod offline;
pub mod overview;
pub mod queue;
pub mod redress;
mod resync;
pub mod roundtrip;
pub mod run;
pub mod service;
pub mod status;
pub mod streams;
pub mod supervise;
pub mod transform;
pub mod trial;
pub mod verify;
pub mod worker;
