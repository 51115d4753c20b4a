//! What every bench stands on: a private PostgreSQL, seeded workloads, raw baselines, CPU and WAL accounts, interleaved rounds, and
//! the report.
//!
//! Owns nothing of the product. A figure is never printed alone: each stands beside a raw baseline measured in the same
//! run, between two runs of that baseline (the A/A control). Rows are counted in PostgreSQL, never by a program under test.
//! A bench fails by panicking: there is nobody to hand an error to.

pub mod bare_load;
pub mod bare_merge;
pub mod bare_table;
pub mod batches;
pub mod by_hand;
pub mod caller;
pub mod chance;
pub mod cluster;
pub mod collector;
pub mod cpu;
pub mod document;
pub mod landfall;
pub mod line_scan;
pub mod many_streams;
pub mod measured;
pub mod memory;
pub mod mix;
pub mod mongo_documents;
pub mod mongo_pipeline;
pub mod mongo_server;
pub mod mongo_store;
pub mod queue_load;
pub mod raw_log;
pub mod raw_read;
pub mod raw_split;
pub mod report;
pub mod rounds;
pub mod run_dir;
pub mod scraper;
pub mod session;
pub mod sightings;
pub mod site;
pub mod sizes;
pub mod steady_run;
pub mod user;
pub mod users_pipeline;
pub mod users_table;
