//! One PostgreSQL target of one pipeline.
//!
//! Owns what all its connections share: where it is, whose name it writes under, and the connection that holds the
//! pipeline's advisory lock. That lock is liveness only (a second process says at once that another owner runs); safety is
//! the nonce in every compare-and-set (promise 17).

use super::apply::PostgresWriter;
use super::config::{InvalidTarget, TargetConfig};
use super::connect::Connector;
use super::wire::Link;
use crate::sink::Sink;
use landfall_schemas::ident::Ident;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What writers, checkpoints and DDL share.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) pipeline: String,
    pub(crate) connector: Connector,
    /// The connection that holds the advisory lock, once somebody was admitted.
    pub(crate) owner: Mutex<Option<Box<Link>>>,
    /// The connection that was asked last, between two transactions.
    kept: std::sync::Mutex<Option<Box<Link>>>,
}

impl Target {
    pub(crate) fn kept(&self) -> std::sync::MutexGuard<'_, Option<Box<Link>>> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A PostgreSQL target: sink, checkpoints, DDL and status of one pipeline. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PostgresTarget {
    pub(crate) inner: Arc<Target>,
    schema: Ident,
    max_connections: usize,
}

impl PostgresTarget {
    /// Reads the configuration; connects to nothing yet.
    pub fn new(config: &TargetConfig, pipeline: &str) -> Result<Self, InvalidTarget> {
        let connector = Connector::new(config, pipeline)?;
        let inner = Target {
            pipeline: pipeline.to_owned(),
            connector,
            owner: Mutex::new(None),
            kept: std::sync::Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            schema: config.schema.clone(),
            max_connections: config.max_connections.max(1),
        })
    }

    /// The schema of the mapped tables.
    pub fn schema(&self) -> &Ident {
        &self.schema
    }

    /// How many writers to use at most.
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }
}

impl Sink for PostgresTarget {
    type Writer = PostgresWriter;

    fn writer(&self) -> PostgresWriter {
        PostgresWriter::new(Arc::clone(&self.inner))
    }
}
