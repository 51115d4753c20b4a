//! The shape of a target table: what DDL creates, what transform encodes, what the sink writes. One list, one order.

use crate::ident::Ident;
use crate::pgtype::PgType;

/// A table of ours. Column order is the order of fields in an encoded row: keys first, `_lf_version` last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableShape {
    /// Schema.
    pub schema: Ident,
    /// Name.
    pub name: Ident,
    /// Columns in row order.
    pub columns: Vec<TableColumn>,
    /// How many of the first columns are the primary key: one, and one more for each table above, and one in front of all that tells
    /// the stream in a shared table.
    pub key_columns: usize,
    /// Other streams write this table too: what the first column holds in this stream's rows, and in no other's.
    pub shared: Option<Box<str>>,
    /// Plain secondary indexes, each a list of column numbers; built after a bulk load.
    pub indexes: Vec<Vec<usize>>,
    /// What is unique beside the key, each a list of column numbers; no constraint while the stream is followed.
    pub unique: Vec<Vec<usize>>,
}

/// One column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableColumn {
    /// Name.
    pub name: Ident,
    /// Type. Text keys are created `COLLATE "C"`.
    pub ty: PgType,
    /// `NOT NULL`.
    pub not_null: bool,
    /// What it holds.
    pub role: ColumnRole,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnRole {
    /// Which stream wrote the row, in a shared table.
    Stream,
    /// The key of a row above: of the stream's table first.
    Parent(usize),
    /// The record's key, or that of a nested value among its siblings (tagged text, or typed).
    Key,
    /// A nested value's place in its array, from 0.
    Position,
    /// The value of the n-th column of the mapping.
    Mapped(usize),
    /// The whole record (landing).
    Doc,
    /// What no column took.
    Rest,
    /// `_lf_raw`: the record's exact bytes.
    Raw,
    /// `_lf_version`.
    Version,
}

impl TableShape {
    /// Name of the version column.
    pub const VERSION: &'static str = "_lf_version";
    /// Columns every PostgreSQL table has already.
    pub const SYSTEM: [&str; 7] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"];
    /// Name of the column of exact bytes.
    pub const RAW: &'static str = "_lf_raw";

    /// `"schema"."name"`.
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }

    /// Two streams may write one table: each tells its rows, and all else is the same.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        let told_apart = self.shared.is_some() && other.shared.is_some() && self.shared != other.shared;
        told_apart && Self { shared: other.shared.clone(), ..self.clone() } == *other
    }

    /// The key columns.
    pub fn key(&self) -> &[TableColumn] {
        &self.columns[..self.key_columns]
    }
}
