//! MongoDB as a source: a snapshot in ranges of `_id`, and the change stream of one database.
//!
//! Everything is read as raw BSON: a document leaves here byte for byte as the server sent it. Owns the client and what is asked of
//! the server before anything is copied; the mapping of documents is the worker's.

pub mod change_stream;
pub(crate) mod classify;
pub mod client;
pub mod collection;
pub mod config;
pub mod facts;
mod named;
pub mod reach;
mod reread;
pub mod rights;
pub mod sample;
pub mod snapshot;

pub use change_stream::{MongoSource, loses_the_place};
pub use client::connect;
pub use config::{Capture, MongoConfig, ReadFrom, SecretUri};
pub use reread::MongoReread;
pub use sample::MongoSample;
pub use snapshot::MongoSnapshot;
