//! The contract of tables that grow while rows flow (`evolve: add_column`).
//!
//! Owns what may be asked and how much of it: columns are added and made wider, never dropped and never narrowed. Each change is recorded
//! beside the table in the transaction that makes it, under the owner's nonce (promises 2 and 17), so that whoever is admitted next knows
//! of it, whatever became of the process that asked.

use crate::checkpoints::OwnerNonce;
use crate::failure::Failure;
use landfall_schemas::mapping::{NewField, StreamMapping};

/// Most columns added to one stream's table: names come from data, and nobody reads a table of a thousand columns.
pub const MOST_ADDED: usize = 256;
/// Most columns of a table that columns are added to. A row must fit a page, and a value that is stored elsewhere leaves 18 bytes there: this
/// many always fit into 8 KiB.
pub const MOST_COLUMNS: usize = 400;

/// Largest table, indexes and all, that is rewritten to make a column wider: nobody reads it meanwhile, which is some seconds.
pub const MOST_REWRITTEN: u64 = 256 << 20;

/// What became of the fields that columns were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Widened {
    /// Columns added.
    pub added: usize,
    /// Columns made wider.
    pub wider: usize,
    /// Columns that were to be made wider, and whose table is too large to be rewritten while somebody reads it.
    pub narrow: usize,
    /// Fields for which the table has no room: they stay in the rest.
    pub left: usize,
}

/// Tables that grow.
pub trait Evolves: Send + Sync {
    /// Adds a column for each of these fields that has none, as far as there is room, and makes those of them `numeric` that are `bigint`
    /// and asked to be. `stream` is the configuration's mapping. Repeatable: what was done stands in the next admission. Fails with
    /// `Fenced` when another owner was admitted; nothing is written then, nor on any other failure.
    fn widen(
        &self,
        stream: &StreamMapping,
        owner: OwnerNonce,
        fields: &[NewField],
    ) -> impl Future<Output = Result<Widened, Failure>> + Send;
}
