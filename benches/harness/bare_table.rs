//! A table of the baselines: its name, its columns, and how a user becomes a row of it.
//!
//! Owns no rows. The first column is the key, the last the version.

use crate::user::User;

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct BareTable {
    /// With its schema.
    pub name: &'static str,
    /// Names and types, in row order.
    pub columns: &'static [(&'static str, &'static str)],
    /// What is built behind the load.
    pub indexes: &'static str,
    /// The fields of a user's row under a version.
    pub write: fn(User, i64, &mut Vec<u8>),
    /// The fields of its delete: key and version, the others NULL.
    pub delete: fn(User, i64, &mut Vec<u8>),
}

impl BareTable {
    /// The column list of `CREATE TABLE`.
    pub fn definition(&self) -> String {
        let last = self.columns.len() - 1;
        let columns = self.columns.iter().enumerate().map(|(at, (name, ty))| match at {
            0 => format!("{name} {ty} COLLATE \"C\" NOT NULL"),
            at if at == last => format!("{name} {ty} NOT NULL"),
            _ => format!("{name} {ty}"),
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Name of the key's column.
    pub fn key(&self) -> &'static str {
        self.columns[0].0
    }
}
