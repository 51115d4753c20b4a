//! Columns that the service adds while it runs (`evolve: add_column`), and the mapping that they widen.
//!
//! Such a column is *soft*: it takes what fits its type exactly, and what does not stays in the rest as if the column were not there, so
//! that nothing is parked and nothing is lost for a field that nobody declared (promise 14). What the configuration declares wins: a
//! column whose field it takes itself is the service's no more.

use super::{ColumnMapping, Evolve, FieldPath, KeyFrom, Nothing, StreamMapping};
use crate::ident::Ident;
use crate::pgtype::PgType;
use crate::table::{ColumnRole, TableColumn, TableShape};

/// The types of added columns: each holds one kind of value exactly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum AddedType {
    /// `boolean`: true and false.
    Boolean,
    /// `bigint`: whole numbers of 64 bits.
    Bigint,
    /// `numeric`: all other finite numbers.
    Numeric,
    /// `text`: strings.
    Text,
    /// `jsonb`: objects, arrays, and values of several kinds.
    Jsonb,
    /// `text` that holds ObjectIds.
    ObjectId,
    /// `timestamptz`: dates of BSON.
    TimestampTz,
    /// `uuid`: binary of that subtype.
    Uuid,
    /// `bytea`: plain binary.
    Bytea,
}

impl AddedType {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Boolean,
        Self::Bigint,
        Self::Numeric,
        Self::Text,
        Self::Jsonb,
        Self::ObjectId,
        Self::TimestampTz,
        Self::Uuid,
        Self::Bytea,
    ];

    /// The column's type.
    pub fn ty(self) -> PgType {
        match self {
            Self::Boolean => PgType::Bool,
            Self::Bigint => PgType::Int8,
            Self::Numeric => PgType::Numeric(None),
            Self::Text => PgType::Text,
            Self::Jsonb => PgType::Jsonb,
            Self::ObjectId => PgType::ObjectId,
            Self::TimestampTz => PgType::TimestampTz,
            Self::Uuid => PgType::Uuid,
            Self::Bytea => PgType::Bytea,
        }
    }

    /// Its name as it is stored.
    pub fn name(self) -> String {
        self.ty().config_name()
    }

    /// From its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The narrowest type that holds what either does.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Bigint, Self::Numeric) | (Self::Numeric, Self::Bigint) => Self::Numeric,
            _ => Self::Jsonb,
        }
    }

    /// Whether a column of this type takes values of that kind.
    pub fn takes(self, kind: Self) -> bool {
        self == kind || self == Self::Jsonb || (self, kind) == (Self::Numeric, Self::Bigint)
    }
}

/// A field that no column takes, and what its values asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewField {
    /// Its name at the record's top, without U+0000.
    pub name: Box<str>,
    /// What holds all values of it that were seen.
    pub ty: AddedType,
}

/// A column that the service added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddedColumn {
    /// Its name.
    pub name: Ident,
    /// The field of the record's top that it takes.
    pub field: Box<str>,
    /// Its type.
    pub ty: AddedType,
}

impl StreamMapping {
    /// Whether an added column is still the service's to fill: the stream adds columns, and the configuration declares neither its field
    /// nor its name.
    pub fn keeps(&self, added: &AddedColumn) -> bool {
        self.evolve == Evolve::AddColumn && !self.declares(&added.field) && !self.has_column(&added.name)
    }

    /// The mapping with the columns that were added to it; those that it does not keep are left out.
    #[must_use]
    pub fn widened(&self, added: &[AddedColumn]) -> Self {
        let mut wide = self.clone();
        let Some(last) = self.table.columns.len().checked_sub(1) else { return wide };
        for column in added.iter().filter(|column| self.keeps(column)) {
            let (name, ty) = (column.name.clone(), column.ty.ty());
            let shape =
                TableColumn { name: name.clone(), ty, not_null: false, role: ColumnRole::Mapped(wide.columns.len()) };
            // The version stays last.
            let place = wide.table.columns.len() - 1;
            wide.table.columns.insert(place, shape);
            wide.columns.push(ColumnMapping {
                name,
                from: FieldPath::member(&column.field).into(),
                ty,
                required: false,
                default: None,
                rule: None,
                none: Nothing::Missing,
                added: Some(column.ty),
            });
        }
        shift(&mut wide.table, last, wide.columns.len() - self.columns.len());
        wide
    }

    /// Whether something of the configuration takes this field of the record's top, or a part of it.
    pub fn declares(&self, field: &str) -> bool {
        let key = match &self.key.from {
            KeyFrom::Field(path) => path.parts().first().is_some_and(|first| first == field),
            KeyFrom::Id => field == "_id",
            // The columns of a composite key are fields as any other: its column does not give them back.
            KeyFrom::Name | KeyFrom::Stem | KeyFrom::Position | KeyFrom::Composite(_) => false,
        };
        let begins = |path: &FieldPath| path.parts().first().is_some_and(|first| first == field);
        let columns = |columns: &[ColumnMapping]| columns.iter().filter_map(|column| column.from.field()).any(begins);
        key || columns(&self.columns)
            || self.child_tables_of_the_record().any(|child| match &child.from {
                Some(path) => begins(path),
                None => columns(&child.columns),
            })
    }

    /// Whether the table has a column of this name, as tools fold names.
    fn has_column(&self, name: &Ident) -> bool {
        let folded = name.as_str().to_lowercase();
        self.table.columns.iter().any(|column| column.name.as_str().to_lowercase() == folded)
    }

    /// The tables below that look for their values at the record's top.
    fn child_tables_of_the_record(&self) -> impl Iterator<Item = &super::ChildMapping> {
        let beside = |child: &&super::ChildMapping| child.from.is_none();
        let mut open: Vec<&super::ChildMapping> = self.children.iter().collect();
        let mut found = Vec::new();
        while let Some(child) = open.pop() {
            if beside(&child) {
                open.extend(&child.children);
            }
            found.push(child);
        }
        found.into_iter()
    }
}

/// Lists of columns follow the last one, which moved by `by`.
fn shift(table: &mut TableShape, last: usize, by: usize) {
    for number in table.indexes.iter_mut().chain(&mut table.unique).flatten().filter(|number| **number == last) {
        *number += by;
    }
}

#[cfg(test)]
mod tests {
    use super::AddedType;

    #[test]
    fn every_type_is_found_by_its_name_and_together_none_is_narrower_than_either() {
        for one in AddedType::ALL {
            assert_eq!(AddedType::named(&one.name()), Some(one));
            for other in AddedType::ALL {
                let both = one.and(other);
                assert!(both.takes(one) && both.takes(other), "{one:?} and {other:?}");
                assert_eq!(both, other.and(one));
            }
        }
        assert_eq!(AddedType::named("integer"), None);
        assert!(!AddedType::Bigint.takes(AddedType::Numeric) && !AddedType::Text.takes(AddedType::Boolean));
    }
}
