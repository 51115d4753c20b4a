//! Streams as they have grown: the mapping of the configuration, and the columns that the service has added since.
//!
//! A column that comes while a stream is compared moves values that were compared already: such a comparison proves nothing, and says so.

use crate::assemble::Target;
use crate::status::Trouble;
use landfall_schemas::mapping::{AddedColumn, Evolve, StreamMapping};
use std::sync::Arc;

/// A stream, and what had been added to it when the comparison began.
#[derive(Debug)]
pub(super) struct Grown {
    /// With the added columns.
    pub(super) mapping: Arc<StreamMapping>,
    adds: bool,
    added: Vec<AddedColumn>,
}

impl Grown {
    /// Asks the target. Where it cannot be reached nothing is known to be added; that will show, at the latest when it is asked again.
    pub(super) async fn of(stream: Arc<StreamMapping>, target: &Target) -> Self {
        let adds = stream.evolve == Evolve::AddColumn;
        let added = if adds { target.added_columns(&stream).await.unwrap_or_default() } else { Vec::new() };
        let mapping = if added.is_empty() { stream } else { Arc::new(stream.widened(&added)) };
        Self { mapping, adds, added }
    }

    /// Why what was compared says nothing, if columns came or changed meanwhile.
    pub(super) async fn moved(&self, target: &Target) -> Option<Trouble> {
        if !self.adds {
            return None;
        }
        match target.added_columns(&self.mapping).await {
            Ok(now) if now == self.added => None,
            Ok(_) => Some(Trouble {
                code: "columns_added".to_owned(),
                detail: "the service added columns to the table while it was compared; compare again".to_owned(),
            }),
            Err(failure) => Some(Trouble::from(&failure)),
        }
    }
}
