//! Tables below a stream's table: nested values of a record as rows of their own.
//!
//! Which rows there are follows from the record alone, as a set: what a newer record does not hold goes. An empty, missing or null
//! value makes no row; which of them it was stands in the parent's rest unless it is what no row stands for, so that the three stay
//! three.

use super::{ColumnMapping, FieldPath, Nothing};
use crate::pgtype::PgType;
use crate::table::TableShape;

/// A table below a table.
#[derive(Clone, PartialEq, Debug)]
pub struct ChildMapping {
    /// Its name in the mapping.
    pub name: Box<str>,
    /// Where its values stand in the parent's; `None`: the parent's value itself (one row beside it).
    pub from: Option<FieldPath>,
    /// What stands there.
    pub shape: ChildShape,
    /// What one value becomes.
    pub element: ChildElement,
    /// What no row stands for: a missing field, or an empty one.
    pub none: Nothing,
    /// Columns in the order of `ColumnRole::Mapped`.
    pub columns: Vec<ColumnMapping>,
    /// Where it lands: keys of all parents first, then its own.
    pub table: TableShape,
    /// Tables below it.
    pub children: Vec<ChildMapping>,
}

/// What a child is made of, and what tells its rows of one parent apart.
#[derive(Clone, PartialEq, Debug)]
pub enum ChildShape {
    /// Elements of an array.
    Array(ElementKey),
    /// Members of an object, told apart by their names.
    Map,
    /// One object: one row, with the parent's key and no other.
    Object,
}

/// What tells the elements of an array apart.
#[derive(Clone, PartialEq, Debug)]
pub enum ElementKey {
    /// A field of each; untyped (`None`) its tagged encoding.
    Field(FieldPath, Option<PgType>),
    /// Its place, from 0.
    Position,
}

/// What one value of a child is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildElement {
    /// An object whose fields go to columns.
    Record,
    /// One value for one column.
    Value,
}

impl ChildMapping {
    /// This table and all below it, parents first.
    pub fn flattened(&self) -> Box<dyn Iterator<Item = &Self> + Send + '_> {
        Box::new(std::iter::once(self).chain(self.children.iter().flat_map(Self::flattened)))
    }
}
