//! The mapping of a stream, validated: what the program may rely on.
//!
//! The shape a user writes, with its spans and spellings, is the pipeline's `config`; turning one into the other reports
//! all problems at once.

mod added;
mod child;
pub mod path;
mod rule;

use crate::expression::Expression;
use crate::ident::Ident;
use crate::pgtype::PgType;
use crate::stream::{PartitionCount, SourceName, StreamName};
use crate::table::TableShape;
pub use added::{AddedColumn, AddedType, NewField};
pub use child::{ChildElement, ChildMapping, ChildShape, ElementKey};
pub use path::FieldPath;
pub use rule::{EpochUnit, MoneyMarks, Normalizer, Offset, Otherwise, Parse, SourceField, Spellings, ValueRule};

/// One stream, its table, and the tables below it.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamMapping {
    /// Its name.
    pub name: StreamName,
    /// The source it comes from.
    pub source: SourceName,
    /// Which part of the source.
    pub select: Select,
    /// What its records are made of.
    pub format: RecordFormat,
    /// Records that do not pass are left out: no row of theirs stands.
    pub filter: Option<Expression>,
    /// How a record is told from another.
    pub key: KeySpec,
    /// How many partitions.
    pub partitions: PartitionCount,
    /// Where it lands.
    pub table: TableShape,
    /// Columns in the order of `ColumnRole::Mapped`; empty for a landing table.
    pub columns: Vec<ColumnMapping>,
    /// Tables below it.
    pub children: Vec<ChildMapping>,
    /// What to do with a record that cannot be mapped.
    pub on_error: OnError,
    /// What to do when the source drops the collection.
    pub on_drop: OnDrop,
    /// What becomes of fields that nothing maps.
    pub evolve: Evolve,
}

impl StreamMapping {
    /// All tables below the stream's, parents first: the order that a `ChildRow` counts in.
    pub fn child_tables(&self) -> impl Iterator<Item = &ChildMapping> {
        self.children.iter().flat_map(ChildMapping::flattened)
    }
}

/// What the records of a stream are made of: payloads are the source's own bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordFormat {
    /// JSON text.
    Json,
    /// A BSON document.
    Bson,
    /// A row of SQLite, as a BSON document: its integers have one width, its numbers one kind.
    Sqlite,
}

/// What becomes of a field that no column and no table below takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Evolve {
    /// It stays in the rest.
    #[default]
    Rest,
    /// The service adds a column for it.
    AddColumn,
    /// The stream halts (`new_field`) until somebody maps it.
    Halt,
}

/// What happens to the rows of a stream whose collection is dropped, or renamed away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnDrop {
    /// The stream halts (`collection_gone`) and an operator decides.
    #[default]
    Halt,
    /// The rows are deleted and the stream goes on.
    Delete,
    /// The rows stay and the stream goes on.
    Keep,
}

/// Which part of a source a stream is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Select {
    /// All of it.
    Whole,
    /// The array or map at this JSON pointer (unescaped reference tokens).
    Pointer(Vec<String>),
    /// The collection or table (of a database) by this name.
    Collection(String),
}

/// How a record's key is found and stored.
#[derive(Clone, PartialEq, Debug)]
pub struct KeySpec {
    /// Where it is.
    pub from: KeyFrom,
    /// Its column.
    pub column: Ident,
    /// Untyped (`None`): the tagged encoding as text. Typed: values of another type are parked.
    pub ty: Option<PgType>,
}

/// Where a key is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyFrom {
    /// A field of the record.
    Field(FieldPath),
    /// The property name (map-shaped documents), the file's path without extension (directories), or the rowid (SQLite).
    Name,
    /// The file's stem alone (directories).
    Stem,
    /// File generation and byte offset (lines without a key of their own).
    Position,
    /// `_id`, MongoDB's own key, of any BSON type.
    Id,
    /// Several columns together, of a table of SQLite.
    Composite(Vec<Box<str>>),
}

/// One mapped column.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnMapping {
    /// Column name.
    pub name: Ident,
    /// Where its value comes from.
    pub from: ColumnFrom,
    /// Its type.
    pub ty: PgType,
    /// Missing and null are parked (and the column is `NOT NULL`).
    pub required: bool,
    /// Raw JSON text used when the field is missing, or an expression gives nothing. It has been checked to fit `ty`.
    pub default: Option<Box<str>>,
    /// What is done to a value first.
    pub rule: Option<Box<ValueRule>>,
    /// What NULL stands for: a missing field, or `null`.
    pub none: Nothing,
    /// The service added it: what does not fit exactly stays in the rest, and no record is parked for it.
    pub added: Option<AddedType>,
}

impl ColumnMapping {
    /// Every row of a table has all its columns, so that NULL means null: said of columns that take a field's null.
    pub fn null_stands_for_null(&mut self) {
        let leaves = self.rule.as_ref().is_some_and(|rule| rule.source == SourceField::Kept);
        if self.from.field().is_some() && !self.required && !leaves {
            self.none = Nothing::Null;
        }
    }
}

/// What no value stands for. A record where it is otherwise says so in the rest: a `null` or an empty value stays there, a missing
/// field is named there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Nothing {
    /// The field is not there.
    #[default]
    Missing,
    /// It is null (columns).
    Null,
    /// It is an empty array or object (tables below).
    Empty,
}

/// Where a column's value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ColumnFrom {
    /// A field.
    Field(FieldPath),
    /// It is computed from the object that the row is made of.
    Computed(Expression),
}

impl ColumnFrom {
    /// The field's path.
    pub fn field(&self) -> Option<&FieldPath> {
        match self {
            Self::Field(path) => Some(path),
            Self::Computed(_) => None,
        }
    }

    /// The expression.
    pub fn computed(&self) -> Option<&Expression> {
        match self {
            Self::Field(_) => None,
            Self::Computed(expression) => Some(expression),
        }
    }
}

impl From<FieldPath> for ColumnFrom {
    fn from(path: FieldPath) -> Self {
        Self::Field(path)
    }
}

/// What happens to a record that cannot be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnError {
    /// Dead letter; the stream goes on.
    Park,
    /// The stream halts in a named state.
    Halt,
}
