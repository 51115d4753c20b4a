//! From a child's keys, columns and rest to its table.

use crate::config::place::Place;
use crate::config::section::{At, Reading};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::ColumnMapping;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};

/// The columns of a child's table in row order.
pub(super) struct Layout<'a> {
    pub(super) keys: Vec<TableColumn>,
    pub(super) order: Option<At<Ident>>,
    pub(super) mapped: &'a [(ColumnMapping, Place)],
    pub(super) rest: Option<At<Ident>>,
    pub(super) at: Place,
    /// What tells the stream in tables that it shares.
    pub(super) shared: Option<Box<str>>,
}

impl Layout<'_> {
    pub(super) fn table(self, (schema, name): (Ident, Ident), reading: &mut Reading<'_>) -> Option<TableShape> {
        let key_columns = self.keys.len();
        let mut placed: Vec<(TableColumn, Place)> = self.keys.into_iter().map(|key| (key, self.at)).collect();
        if let Some(order) = self.order {
            let role = ColumnRole::Position;
            placed.push((TableColumn { name: order.value, ty: PgType::Int4, not_null: true, role }, order.at));
        }
        for (number, (column, at)) in self.mapped.iter().enumerate() {
            let (name, role) = (column.name.clone(), ColumnRole::Mapped(number));
            placed.push((TableColumn { name, ty: column.ty, not_null: column.required, role }, *at));
        }
        if let Some(rest) = self.rest {
            let role = ColumnRole::Rest;
            placed.push((TableColumn { name: rest.value, ty: PgType::Jsonb, not_null: false, role }, rest.at));
        }
        let version = Ident::new(TableShape::VERSION).ok()?;
        let role = ColumnRole::Version;
        placed.push((TableColumn { name: version, ty: PgType::Int8, not_null: true, role }, self.at));
        let mut clean = true;
        for (number, (column, at)) in placed.iter().enumerate() {
            let folded = column.name.as_str().to_lowercase();
            if placed[..number].iter().any(|(other, _)| other.name.as_str().to_lowercase() == folded) {
                let what = format!("table {name} has two columns `{}` (or one that differs only in case)", column.name);
                reading.problems.add(
                    *at,
                    what,
                    "another name: `parent`, `key: { name: … }`, `order` and `rest` take one",
                );
                clean = false;
            }
        }
        let columns = placed.into_iter().map(|(column, _)| column).collect();
        clean.then_some(TableShape {
            schema,
            name,
            columns,
            key_columns,
            shared: self.shared,
            indexes: Vec::new(),
            unique: Vec::new(),
        })
    }
}
