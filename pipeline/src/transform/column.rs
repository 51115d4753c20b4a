//! The columns of a table in row order, as a mapping says what they hold.

use landfall_schemas::mapping::{ColumnMapping, SourceField, StreamMapping, ValueRule};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::ColumnRole;

/// A field that is NULL.
pub(super) const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A column of the table.
#[derive(Debug)]
pub(super) enum Column {
    Key,
    Mapped(Field),
    Doc,
    Rest,
    /// The record's exact bytes.
    Raw,
    Version,
}

/// A mapped column.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) slot: usize,
    pub(super) ty: PgType,
    pub(super) required: bool,
    pub(super) default: Option<Box<str>>,
    pub(super) rule: Option<Box<ValueRule>>,
    /// JSON pointer, for people.
    pub(super) pointer: Box<str>,
}

/// The key's column.
#[derive(Debug)]
pub(super) struct KeyColumn {
    pub(super) name: Box<str>,
    pub(super) ty: Option<PgType>,
}

impl KeyColumn {
    pub(super) fn of(mapping: &StreamMapping) -> Self {
        Self { name: mapping.key.column.as_str().into(), ty: mapping.key.ty }
    }
}

/// The columns of a mapping's table.
pub(super) fn columns(mapping: &StreamMapping) -> Vec<Column> {
    let roles = mapping.table.columns.iter().map(|column| column.role);
    let columns = roles.map(|role| match role {
        ColumnRole::Key => Column::Key,
        ColumnRole::Mapped(slot) => Column::Mapped(field(slot, &mapping.columns[slot])),
        ColumnRole::Doc => Column::Doc,
        ColumnRole::Rest => Column::Rest,
        ColumnRole::Raw => Column::Raw,
        ColumnRole::Version => Column::Version,
    });
    columns.collect()
}

/// Whether a column leaves the field that it takes its value from in the rest too.
pub(super) fn leaves_its_field(column: &ColumnMapping) -> bool {
    column.rule.as_ref().is_some_and(|rule| rule.source == SourceField::Kept)
}

/// Whether a table has a column of this role.
pub(super) fn has(mapping: &StreamMapping, role: ColumnRole) -> bool {
    mapping.table.columns.iter().any(|column| column.role == role)
}

fn field(slot: usize, column: &ColumnMapping) -> Field {
    Field {
        slot,
        ty: column.ty,
        required: column.required,
        default: column.default.clone(),
        rule: column.rule.clone(),
        pointer: column.from.to_string().into(),
    }
}
