//! The harness: private PostgreSQL and MongoDB servers, the process under test, stores being written to, faults, and the oracle.
//!
//! Shares no code with the product except in `landfall-under-test`. Everything it makes lives in one directory per test
//! process (see [`run_dir`]) and dies with it (see [`leash`]). Randomness comes from a seed, never from the machine.

pub mod audit;
pub mod browser;
pub mod certificates;
pub mod collector;
pub mod config;
pub mod database;
pub mod directory_store;
pub mod document_store;
pub mod http;
pub mod kill_point;
pub mod landfall;
pub mod leash;
pub mod lines_store;
pub mod manner;
pub mod metric_book;
pub mod mongo_database;
pub mod mongo_documents;
pub mod mongo_fake;
pub mod mongo_ids;
pub mod mongo_server;
pub mod mongo_stores;
pub mod mongo_writers;
pub mod oracle;
pub mod postgres_server;
pub mod proxy;
pub mod raw_bson;
pub mod record;
pub mod repository;
pub mod run_dir;
pub mod seed;
pub mod shape;
pub mod site;
pub mod small_disk;
pub mod sqlite_sides;
pub mod status;
pub mod tls_http;
pub mod unprivileged;
pub mod wait;
