//! Planning of DDL: from the tables a mapping wants and the catalogue as it stands to ordered statements, or to named
//! refusals. Pure: reads and runs nothing.
//!
//! Additive only: schemas, tables, nullable columns, keys and plain indexes are added; what could lose or reinterpret a
//! value (another type, a dropped or foreign column) is refused under a name. A table that is not registered as ours is
//! adopted only while it is empty. Keeps the rule that no table is written by two streams.

pub mod catalogue;
mod constraint;
mod statement;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Filled, LiveColumn, LiveTable, Owner, RelationKind};
pub use constraint::{Constraint, Rule, TableName};
pub use statement::{
    FILLFACTOR, add_column, add_key, analyze, build_index, create_index, create_schema, create_table, drop_index,
    index_name, widen_column,
};

use crate::ident::Ident;
use crate::stream::StreamName;
use crate::table::{TableColumn, TableShape};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Whether a stream's table is filled in bulk before it goes live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BulkLoad {
    /// A first revision comes: the heap stays bare until it is in.
    Expected,
    /// Changes only, from the first on: key and indexes stand at once.
    None,
}

/// One table a mapping wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedTable {
    /// For which stream.
    pub stream: StreamName,
    /// Its shape.
    pub shape: TableShape,
    /// How it is filled.
    pub bulk: BulkLoad,
}

/// What to do, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Statements, to be run in one transaction, but those that build an index.
    pub steps: Vec<Step>,
    /// What stands in the way; while there is any, nothing is run.
    pub refusals: Vec<Refusal>,
}

impl Plan {
    /// Nothing to do and nothing in the way.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.refusals.is_empty()
    }
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What kind of change.
    pub kind: StepKind,
    /// Which object, for people.
    pub object: String,
    /// The statement.
    pub sql: String,
}

impl Step {
    /// What it does with its object, for people: an object may have more than one step, and no two of them read alike.
    pub fn word(&self) -> &'static str {
        match self.kind {
            StepKind::CreateSchema => "create schema",
            StepKind::CreateTable => "create table",
            StepKind::AddColumn => "add column",
            StepKind::AddKey => "add key",
            StepKind::CreateIndex => "create index",
            // One that an earlier try left half built is taken away first.
            StepKind::BuildIndex if self.sql.starts_with("DROP") => "drop index",
            StepKind::BuildIndex => "build index",
        }
    }
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StepKind {
    /// `CREATE SCHEMA`
    CreateSchema,
    /// `CREATE TABLE`
    CreateTable,
    /// `ADD COLUMN`
    AddColumn,
    /// `ADD PRIMARY KEY`
    AddKey,
    /// `CREATE INDEX`
    CreateIndex,
    /// `CREATE INDEX CONCURRENTLY`, on a table that holds rows: writers go on meanwhile. Outside of any transaction, each by itself.
    BuildIndex,
}

/// Something that cannot be mended by adding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Table, as `schema.table`.
    pub table: String,
    /// Why.
    pub reason: Reason,
}

/// Why a table cannot be used as it is. `Display` says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Reason {
    /// Two streams want it.
    #[error(
        "streams {0} and {1} both want it: a table belongs to one stream, or to several that say `discriminator` and agree in all else"
    )]
    WantedTwice(StreamName, StreamName),
    /// Registered to somebody else.
    #[error("it belongs to stream {stream} of pipeline {pipeline}: choose another table or schema")]
    OwnedByOther {
        /// That pipeline.
        pipeline: String,
        /// That stream.
        stream: String,
    },
    /// Not registered, not empty.
    #[error("it holds rows that Landfall did not write: choose another table, or empty it")]
    NotOurs,
    /// A view or the like.
    #[error("it is not a table: choose another name")]
    NotATable,
    /// Another type.
    #[error("column {column} is {live}, the mapping wants {wanted}: change the mapping, or the column")]
    ColumnType {
        /// Which column.
        column: String,
        /// As it stands.
        live: String,
        /// As mapped.
        wanted: String,
    },
    /// `NOT NULL` where the mapping allows NULL.
    #[error("column {0} is NOT NULL, the mapping allows it to be missing: drop NOT NULL, or say `required: true`")]
    ColumnNotNull(String),
    /// Generated by PostgreSQL.
    #[error("column {0} is generated by PostgreSQL and cannot be written")]
    ColumnGenerated(String),
    /// Key text that does not compare by bytes.
    #[error("key column {0} must be COLLATE \"C\"")]
    KeyCollation(String),
    /// A key column cannot be added to rows that stand.
    #[error("key column {0} is missing and the table holds rows")]
    KeyColumnMissing(String),
    /// No primary key, or another one.
    #[error("its primary key is ({live}), the mapping wants ({wanted})")]
    Key {
        /// As it stands; empty without one.
        live: String,
        /// As mapped.
        wanted: String,
    },
    /// A column we do not know must be given a value.
    #[error("column {0} is not mapped, NOT NULL and has no default: map it, give it a default, or drop NOT NULL")]
    ForeignColumn(String),
    /// The service added the column for a field, and the mapping wants it for another.
    #[error("column {0} was added by the service and holds another field: choose another name in the mapping")]
    AddedForOther(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.reason)
    }
}

/// Plans what `pipeline` needs. Steps come in an order in which they can be run: schemas, tables, columns, keys, indexes.
pub fn plan(pipeline: &str, wanted: &[WantedTable], live: &Catalogue) -> Plan {
    let mut plan = Plan::default();
    let schemas: BTreeSet<&Ident> = wanted.iter().map(|w| &w.shape.schema).collect();
    for schema in schemas.into_iter().filter(|schema| !live.schemas.contains(schema.as_str())) {
        plan.push(StepKind::CreateSchema, schema.to_string(), create_schema(schema));
    }
    let mut seen: BTreeMap<(&Ident, &Ident), &WantedTable> = BTreeMap::new();
    for table in wanted {
        let shape = &table.shape;
        if let Some(first) = seen.insert((&shape.schema, &shape.name), table) {
            if !first.shape.is_shared_with(shape) {
                plan.refuse(shape, Reason::WantedTwice(first.stream.clone(), table.stream.clone()));
            }
            continue;
        }
        match live.tables.get(&(shape.schema.to_string(), shape.name.to_string())) {
            None => plan.create(table),
            Some(live) => plan.mend(pipeline, table, live),
        }
    }
    plan.steps.sort_by_key(|step| step.kind);
    plan
}

impl Plan {
    fn push(&mut self, kind: StepKind, object: String, sql: String) {
        self.steps.push(Step { kind, object, sql });
    }

    fn refuse(&mut self, shape: &TableShape, reason: Reason) {
        self.refusals.push(Refusal { table: name_of(shape), reason });
    }

    fn create(&mut self, table: &WantedTable) {
        let shape = &table.shape;
        self.push(StepKind::CreateTable, name_of(shape), create_table(shape));
        if table.bulk == BulkLoad::None {
            self.push(StepKind::AddKey, name_of(shape), add_key(shape));
            for columns in &shape.indexes {
                self.push(StepKind::CreateIndex, index_name(shape, columns).to_string(), create_index(shape, columns));
            }
        }
    }

    fn index(&mut self, shape: &TableShape, live: &LiveTable) {
        for columns in &shape.indexes {
            let name = index_name(shape, columns);
            if live.indexes.contains(name.as_str()) {
                continue;
            }
            if live.is_empty && !live.half_built.contains(name.as_str()) {
                self.push(StepKind::CreateIndex, name.to_string(), create_index(shape, columns));
                continue;
            }
            if live.half_built.contains(name.as_str()) {
                self.push(StepKind::BuildIndex, name.to_string(), drop_index(shape, &name));
            }
            self.push(StepKind::BuildIndex, name.to_string(), build_index(shape, columns));
        }
    }

    fn mend(&mut self, pipeline: &str, table: &WantedTable, live: &LiveTable) {
        let shape = &table.shape;
        if live.kind == RelationKind::Other {
            return self.refuse(shape, Reason::NotATable);
        }
        let stream = table.stream.as_str();
        match live.owner(pipeline, stream) {
            Some(owner) if owner.pipeline != pipeline || (owner.stream != stream && shape.shared.is_none()) => {
                let reason = Reason::OwnedByOther { pipeline: owner.pipeline.clone(), stream: owner.stream.clone() };
                return self.refuse(shape, reason);
            }
            None if !live.is_empty => return self.refuse(shape, Reason::NotOurs),
            _ => {}
        }
        for (number, column) in shape.columns.iter().enumerate() {
            match live.columns.iter().find(|l| l.name == column.name.as_str()) {
                Some(stands) => self.compare(shape, number, stands),
                None if number < shape.key_columns && !live.is_empty => {
                    self.refuse(shape, Reason::KeyColumnMissing(column.name.to_string()));
                }
                None => {
                    self.push(StepKind::AddColumn, format!("{}.{}", name_of(shape), column.name), added(shape, number))
                }
            }
        }
        self.compare_foreign(shape, live);
        self.compare_key(table, live, live.owner(pipeline, stream).map(|owner| owner.in_bulk));
    }

    fn compare(&mut self, shape: &TableShape, number: usize, live: &LiveColumn) {
        let column = &shape.columns[number];
        let wanted = column.ty.to_string();
        if live.ty != wanted {
            let reason = Reason::ColumnType { column: live.name.clone(), live: live.ty.clone(), wanted };
            return self.refuse(shape, reason);
        }
        if live.filled == Filled::Always {
            self.refuse(shape, Reason::ColumnGenerated(live.name.clone()));
        }
        if live.not_null && !column.not_null && number >= shape.key_columns {
            self.refuse(shape, Reason::ColumnNotNull(live.name.clone()));
        }
        if statement::needs_c(shape, number) && live.collation.as_deref() != Some("C") {
            self.refuse(shape, Reason::KeyCollation(live.name.clone()));
        }
    }

    fn compare_foreign(&mut self, shape: &TableShape, live: &LiveTable) {
        for column in &live.columns {
            let mapped = shape.columns.iter().any(|c| c.name.as_str() == column.name);
            if !mapped && column.not_null && column.filled == Filled::Null {
                self.refuse(shape, Reason::ForeignColumn(column.name.clone()));
            }
        }
    }

    fn compare_key(&mut self, table: &WantedTable, live: &LiveTable, in_bulk: Option<bool>) {
        let shape = &table.shape;
        let wanted: Vec<&str> = shape.key().iter().map(|c| c.name.as_str()).collect();
        let still_bare = in_bulk.unwrap_or(table.bulk == BulkLoad::Expected);
        if live.key.is_empty() && still_bare {
            return;
        }
        if live.key.is_empty() && live.is_empty {
            self.push(StepKind::AddKey, name_of(shape), add_key(shape));
        } else if live.key != wanted {
            let reason = Reason::Key { live: live.key.join(", "), wanted: wanted.join(", ") };
            self.refuse(shape, reason);
        }
        if !still_bare {
            self.index(shape, live);
        }
    }
}

/// A column added to a table that stands.
fn added(shape: &TableShape, number: usize) -> String {
    let column: &TableColumn = &shape.columns[number];
    let mut sql = add_column(shape, column);
    if statement::needs_c(shape, number) {
        sql.push_str(" COLLATE pg_catalog.\"C\"");
    }
    sql
}

fn name_of(shape: &TableShape) -> String {
    format!("{}.{}", shape.schema, shape.name)
}
