//! Replay into a schema beside the live one, under another mapping: `replay --into SCHEMA`, `replay compare|swap|drop SCHEMA`.
//!
//! What is beside is a pipeline of its own to the target (`NAME@SCHEMA`: own tables, checkpoints, dead letters, owner) over the queues and the
//! capture of the service that runs. Its tables begin with a base (`super::base_copy`) or, where the queue holds the whole history, with nothing; from
//! there on ordinary stream workers follow the queue with the other mapping, so parking, retries, copies behind barriers and verify are what they
//! are for the live tables. What it needs of the queue is pinned; what it has applied lets nothing go ([`aside`]).
//!
//! `swap` has the two change places in one transaction (`postgres::exchange`) and the service begins anew with the other mapping. What was live is
//! then what is beside, and goes on to be followed with its own mapping: the way back is another swap.
//!
//! Kept in `STATE/into/SCHEMA` ([`kept`]): the configurations of both, of which the target says which is whose, and where each stream began.

mod aside;
mod follow;
mod kept;
mod shadow;
mod swap;

pub(crate) use follow::{examine, follow, hold, recall};
pub(crate) use kept::{begin_directory, beside_name, directory, forget, is_begun, registered};
pub(crate) use shadow::Shadow;
pub use shadow::Shadows;
pub(crate) use swap::{Succession, clear, end, swap};

use serde::{Deserialize, Serialize};

/// What is asked about a schema beside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum IntoVerb {
    /// Whether the configuration in the state directory can be replayed into.
    Examine {
        /// The schema.
        schema: String,
    },
    /// Follow from a checkpoint with its base, or from the queue's beginning.
    Follow {
        /// The schema.
        schema: String,
        /// The checkpoint; `None`: the first event.
        checkpoint: Option<String>,
        /// The checkpoint was made for this and ends with it.
        ours: bool,
    },
    /// Change places.
    Swap {
        /// The schema.
        schema: String,
        /// Though no comparison has shown the two sides to be equal.
        uncompared: bool,
        /// Who says so.
        actor: String,
    },
    /// Give it up, and drop its tables.
    Drop {
        /// The schema.
        schema: String,
        /// Who says so.
        actor: String,
    },
}

/// The checkpoint that is made for a replay into a schema when none is named.
pub(crate) fn own_checkpoint(schema: &str) -> String {
    format!("into-{schema}")
}
