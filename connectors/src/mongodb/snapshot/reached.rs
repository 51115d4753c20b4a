//! The database of copies once it is reached: a client of its own, and which servers of the set it asks.
//!
//! Fails as [`connect`] does; nothing is kept then, and whoever asks next tries again.

use crate::failure::Failure;
use crate::mongodb::client::{connect, farewell};
use crate::mongodb::config::MongoConfig;
use bson::RawDocumentBuf;
use mongodb::error::Error;
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::{Cursor, Database};

/// The database, and from which of its servers it is read.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) database: Database,
    pub(super) selection: SelectionCriteria,
}

impl Reached {
    pub(super) async fn by(config: &MongoConfig) -> Result<Self, Failure> {
        let client = connect(config).await?;
        let named = client.selection_criteria().cloned();
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let selection = config.read_from.map(|from| from.criteria()).or(named).unwrap_or(primary);
        Ok(Self { database: client.database(&config.database), selection })
    }

    pub(super) async fn farewell(&self) {
        farewell(self.database.client().clone()).await;
    }

    pub(super) async fn cursor(&self, command: RawDocumentBuf, batch: u32) -> Result<Cursor<RawDocumentBuf>, Error> {
        let selection = self.selection.clone();
        let action = self.database.run_raw_cursor_command(command).selection_criteria(selection).batch_size(batch);
        Ok(action.await?.with_type())
    }
}
