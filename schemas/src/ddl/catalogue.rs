//! What stands in the target, as far as planning needs to know it. Read by the sink, judged here.

use std::collections::{BTreeMap, BTreeSet};

/// The target's schemas and those of its tables that somebody asked about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalogue {
    /// Names of all schemas.
    pub schemas: BTreeSet<String>,
    /// By schema and name.
    pub tables: BTreeMap<(String, String), LiveTable>,
}

/// A relation of that name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveTable {
    /// What it is.
    pub kind: RelationKind,
    /// Its columns, in order, dropped ones left out.
    pub columns: Vec<LiveColumn>,
    /// Columns of its primary key, in order; empty without one.
    pub key: Vec<String>,
    /// Names of its indexes.
    pub indexes: BTreeSet<String>,
    /// Names of indexes whose building was cut off: they serve nothing.
    pub half_built: BTreeSet<String>,
    /// It holds no row.
    pub is_empty: bool,
    /// The streams it is registered to: one, or those that share it.
    pub owners: Vec<Owner>,
}

impl LiveTable {
    /// The registration of this stream, else any.
    pub fn owner(&self, pipeline: &str, stream: &str) -> Option<&Owner> {
        let own = self.owners.iter().find(|owner| owner.pipeline == pipeline && owner.stream == stream);
        own.or_else(|| self.owners.first())
    }
}

/// What a relation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelationKind {
    /// An ordinary table.
    Table,
    /// A partitioned table.
    Partitioned,
    /// A view, foreign table or anything else that is not filled like a table.
    Other,
}

/// Whose table it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The pipeline.
    pub pipeline: String,
    /// The stream.
    pub stream: String,
    /// Its bulk load has not ended: key and indexes are still to be built.
    pub in_bulk: bool,
}

/// A column as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveColumn {
    /// Name.
    pub name: String,
    /// As `format_type` spells it.
    pub ty: String,
    /// `NOT NULL`.
    pub not_null: bool,
    /// Where its value comes from when we do not give one.
    pub filled: Filled,
    /// Name of its collation, when it has one other than the database's.
    pub collation: Option<String>,
}

/// Where a column's value comes from when a writer gives none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filled {
    /// Nowhere: NULL.
    Null,
    /// A default or an identity that a writer may override.
    Default,
    /// Generated always: no writer may give it.
    Always,
}
