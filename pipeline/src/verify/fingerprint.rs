//! Rows and records as hashes: which record a row belongs to, and what it says.
//!
//! A record is told by the canonical field of its key column, which stands in its own row and in all rows below it; where no such field can
//! be made of a key (it does not fit the column's type), by the encoded key. The sum of the hashes of all its rows is what a record says:
//! rows have no order, and one more or one less changes it. `_lf_version` is no part of it: no source says it. 128 bits of XXH3, as for
//! keys: against chance, not against an adversary.

use super::canonical::Canonical;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::{ColumnRole, TableShape};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// Which record, as a hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct RecordId(pub(super) u128);

/// A key as it is kept: to find rows by it, and to show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum KeptKey {
    /// The field of the key column, its length in front.
    Field(Box<[u8]>),
    /// An encoded key that no field can be made of.
    Encoded(Box<[u8]>),
}

impl KeptKey {
    /// As bytes, in a form of its own.
    pub(super) fn store(&self, out: &mut Vec<u8>) {
        let (tag, bytes) = match self {
            Self::Field(bytes) => (b'f', bytes),
            Self::Encoded(bytes) => (b'e', bytes),
        };
        out.push(tag);
        out.extend_from_slice(bytes);
    }

    /// The same of a field that is not kept.
    pub(super) fn store_field(field: &[u8], out: &mut Vec<u8>) {
        out.push(b'f');
        out.extend_from_slice(field);
    }

    /// From these bytes.
    pub(super) fn load(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (b'f', field) => Some(Self::Field(field.into())),
            (b'e', key) => Some(Self::Encoded(key.into())),
            _ => None,
        }
    }
}

/// Hashes of rows, added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sum {
    /// Of the hashes, modulo 2¹²⁸.
    pub(super) hash: u128,
    /// How many.
    pub(super) rows: u64,
}

impl Sum {
    /// Adds another.
    pub(super) fn add(&mut self, other: Self) {
        self.hash = self.hash.wrapping_add(other.hash);
        self.rows += other.rows;
    }
}

/// What becomes of the generation in the key of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Places {
    /// It stays.
    Whole,
    /// It is left out: only capture knows what it called a file.
    WithoutGeneration,
}

/// A table as rows of it are hashed.
#[derive(Debug)]
pub(super) struct TableView {
    /// `schema.table`.
    pub(super) name: String,
    pub(super) columns: Vec<ColumnView>,
    /// The column that tells the record.
    pub(super) record_key: usize,
}

/// A column as fields of it are hashed.
#[derive(Debug)]
pub(super) struct ColumnView {
    pub(super) name: String,
    pub(super) ty: PgType,
    pub(super) role: ColumnRole,
    /// Part of the primary key.
    pub(super) is_key: bool,
}

impl TableView {
    fn of(shape: &TableShape) -> Self {
        let of_role = |wanted| shape.columns.iter().position(|column| column.role == wanted);
        let column = |(at, column): (usize, &landfall_schemas::table::TableColumn)| ColumnView {
            name: column.name.as_str().to_owned(),
            ty: column.ty,
            role: column.role,
            is_key: at < shape.key_columns,
        };
        Self {
            name: format!("{}.{}", shape.schema, shape.name),
            columns: shape.columns.iter().enumerate().map(column).collect(),
            record_key: of_role(ColumnRole::Parent(0)).or_else(|| of_role(ColumnRole::Key)).unwrap_or(0),
        }
    }
}

/// The tables of a stream, and scratch memory.
#[derive(Debug)]
pub(super) struct Fingerprints {
    tables: Vec<TableView>,
    places: Places,
    canonical: Canonical,
    scratch: Vec<u8>,
}

/// A row, hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowPrint<'a> {
    pub(super) record: RecordId,
    pub(super) hash: u128,
    pub(super) version: i64,
    /// The field that tells the record, its length in front.
    pub(super) key: &'a [u8],
}

impl Fingerprints {
    pub(super) fn of(stream: &StreamMapping, places: Places) -> Self {
        let shapes = std::iter::once(&stream.table).chain(stream.child_tables().map(|child| &child.table));
        let tables = shapes.map(TableView::of).collect();
        Self { tables, places, canonical: Canonical::default(), scratch: Vec::new() }
    }

    pub(super) fn tables(&self) -> &[TableView] {
        &self.tables
    }

    /// A row of a table, from its encoded fields.
    pub(super) fn row<'a>(&mut self, table: usize, fields: &'a [u8]) -> RowPrint<'a> {
        let view = &self.tables[table];
        self.scratch.clear();
        self.scratch.extend_from_slice(&(table as u64).to_le_bytes());
        let (mut at, mut key, mut version) = (0, 0..0, 0);
        let mut record = RecordId(0);
        for (number, column) in view.columns.iter().enumerate() {
            let (field, end) = field_at(fields, at);
            if column.role == ColumnRole::Version {
                version = field.and_then(|field| field.first_chunk()).map_or(0, |field| i64::from_be_bytes(*field));
            } else {
                let start = self.scratch.len();
                put(&mut self.canonical, (column, self.places), field, &mut self.scratch);
                if number == view.record_key {
                    record = RecordId(xxh3_128(&self.scratch[start..]));
                    key = at..end;
                }
            }
            at = end;
        }
        RowPrint { record, hash: xxh3_128(&self.scratch), version, key: &fields[key] }
    }

    /// A record whose row holds nothing but its key.
    pub(super) fn record(&mut self, fields: &[u8]) -> (RecordId, KeptKey) {
        let print = self.row(0, fields);
        (print.record, KeptKey::Field(print.key.into()))
    }

    /// A record of whose key no field can be made.
    pub(super) fn odd_record(&self, encoded: &[u8]) -> (RecordId, KeptKey) {
        let key = without_generation(encoded, self.places);
        // Never one of a canonical field, which begins with 0, 1 or 2.
        let mut named = vec![b'e'];
        named.extend_from_slice(&key);
        (RecordId(xxh3_128(&named)), KeptKey::Encoded(key.into()))
    }

    /// The canonical fields of a row, one by one, without the version.
    pub(super) fn columns(&mut self, table: usize, fields: &[u8]) -> Vec<Vec<u8>> {
        let mut at = 0;
        let mut out = Vec::new();
        for column in &self.tables[table].columns {
            let (field, end) = field_at(fields, at);
            let mut form = Vec::new();
            put(&mut self.canonical, (column, self.places), field, &mut form);
            out.push(form);
            at = end;
        }
        out
    }
}

fn put(canonical: &mut Canonical, (column, places): (&ColumnView, Places), field: Option<&[u8]>, out: &mut Vec<u8>) {
    match (field, column.role) {
        (Some(field), ColumnRole::Key | ColumnRole::Parent(_)) if column.ty == PgType::Text => {
            canonical.put(column.ty, Some(&without_generation(field, places)), out);
        }
        _ => canonical.put(column.ty, field, out),
    }
}

/// `p:GENERATION:OFFSET` as `p:*:OFFSET`; anything else as it is.
fn without_generation(key: &[u8], places: Places) -> std::borrow::Cow<'_, [u8]> {
    if places == Places::Whole || !key.starts_with(b"p:") {
        return key.into();
    }
    match memchr::memrchr(b':', key) {
        Some(colon) if colon > 1 => [b"p:*", &key[colon..]].concat().into(),
        _ => key.into(),
    }
}

/// The field that begins at `at`, and where it ends.
pub(super) fn field_at(fields: &[u8], at: usize) -> (Option<&[u8]>, usize) {
    let Some(length) = fields.get(at..at + 4).and_then(|length| length.first_chunk::<4>()) else {
        return (None, at);
    };
    let length = i32::from_be_bytes(*length);
    let end = (at + 4 + usize::try_from(length).unwrap_or(0)).min(fields.len());
    ((length >= 0).then(|| &fields[at + 4..end]), end)
}
