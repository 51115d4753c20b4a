//! Rows on the wire: as a binary `COPY` stream, or as one binary array per column.
//!
//! Owns the two framings around fields that are encoded already; looks at no value.
//!
//! ```text
//! COPY:  "PGCOPY\n\xff\r\n\0" | flags u32 = 0 | extension u32 = 0 | tuple* | −1 i16
//!        tuple = columns i16 | [1 i32 | 'U' or 'D']  (stage only) | the row's fields as they stand
//!
//! array: dimensions i32 = 1 (0 when empty) | has nulls i32 | element oid u32 | length i32 | lower bound i32 = 1 | field*
//! ```
//!
//! Integers are big-endian. A field is `length i32 | bytes`, length −1 for NULL, in both.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use landfall_schemas::row::{ChildRow, Row, RowOp, RowSet};
use landfall_schemas::table::TableShape;
use std::error::Error as StdError;
use std::pin::Pin;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{CopyInSink, Error};

/// Bytes per message: large enough that the message's own cost vanishes, small enough to stay in cache.
const CHUNK: usize = 64 * 1024;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;

/// Where a `COPY` goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Into {
    /// The stage: an operation before the fields.
    Stage,
    /// The heap: the fields alone.
    Heap,
}

/// The rows of one table of a stream: its own, or one below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableRows<'a> {
    pub(crate) set: &'a RowSet,
    pub(crate) rows: &'a [Row],
    /// `None`: the stream's own.
    pub(crate) child: Option<u16>,
}

impl<'a> TableRows<'a> {
    /// Operation and fields of each.
    fn iter(&self) -> impl Iterator<Item = (RowOp, &'a [u8])> + use<'a> {
        let Self { set, rows, child } = *self;
        let own = if child.is_none() { rows } else { &[] };
        let below = if child.is_some() { rows } else { &[] };
        let wanted = move |row: &&'a ChildRow| Some(row.table) == child;
        let below = below.iter().flat_map(move |row| set.children(row).iter().filter(wanted));
        let own = own.iter().map(|row| (row.op, set.fields(row)));
        own.chain(below.map(|row| (RowOp::Upsert, &set.buffer[row.fields.clone()])))
    }
}

/// What stands before the fields of a row.
fn prefix(shape: &TableShape, into: Into, op: RowOp) -> Vec<u8> {
    let mut out = Vec::with_capacity(7);
    match into {
        Into::Heap => out.put_i16(shape.columns.len() as i16),
        Into::Stage => {
            out.put_i16(shape.columns.len() as i16 + 1);
            out.put_i32(1);
            out.put_u8(op_char(op));
        }
    }
    out
}

fn op_char(op: RowOp) -> u8 {
    match op {
        RowOp::Upsert => b'U',
        RowOp::Delete => b'D',
    }
}

/// Sends `rows` of `set` into an open copy. The copy is finished by the caller, so that other statements can be queued
/// behind it.
pub(crate) async fn send(
    mut sink: Pin<&mut CopyInSink<Bytes>>,
    shape: &TableShape,
    into: Into,
    rows: &TableRows<'_>,
) -> Result<(), Error> {
    let (upsert, delete) = (prefix(shape, into, RowOp::Upsert), prefix(shape, into, RowOp::Delete));
    let mut chunk = BytesMut::with_capacity(CHUNK + CHUNK / 4);
    chunk.put_slice(HEADER);
    for (op, fields) in rows.iter() {
        chunk.put_slice(match op {
            RowOp::Upsert => &upsert,
            RowOp::Delete => &delete,
        });
        chunk.put_slice(fields);
        if chunk.len() >= CHUNK {
            sink.feed(chunk.split().freeze()).await?;
            chunk.reserve(CHUNK + CHUNK / 4);
        }
    }
    chunk.put_i16(TRAILER);
    sink.feed(chunk.freeze()).await
}

/// A parameter that is encoded already.
#[derive(Clone)]
pub(crate) struct Encoded(Bytes);

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoded({} bytes)", self.0.len())
    }
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// One array per column of the shape, then the operations.
pub(crate) fn arrays(shape: &TableShape, rows: &TableRows<'_>) -> Vec<Encoded> {
    let count = rows.iter().count();
    let mut columns: Vec<BytesMut> = shape.columns.iter().map(|c| array(c.ty.oid(), count)).collect();
    let mut ops = array(Type::CHAR.oid(), count);
    for (op, mut fields) in rows.iter() {
        for column in &mut columns {
            let (field, rest) = fields.split_at(field_size(fields));
            column.put_slice(field);
            fields = rest;
        }
        debug_assert!(fields.is_empty(), "a row has one field per column");
        ops.put_i32(1);
        ops.put_u8(op_char(op));
    }
    columns.into_iter().chain([ops]).map(|array| Encoded(array.freeze())).collect()
}

/// One array per key column of the stream's own table, then the versions.
pub(crate) fn claims(root: &TableShape, (set, rows): (&RowSet, &[Row])) -> Vec<Encoded> {
    let mut keys: Vec<BytesMut> = root.key().iter().map(|c| array(c.ty.oid(), rows.len())).collect();
    let mut versions = array(Type::INT8.oid(), rows.len());
    for row in rows {
        let mut fields = set.fields(row);
        for key in &mut keys {
            let (field, rest) = fields.split_at(field_size(fields));
            key.put_slice(field);
            fields = rest;
        }
        versions.put_i32(8);
        versions.put_i64(row.version.0);
    }
    keys.into_iter().chain([versions]).map(|array| Encoded(array.freeze())).collect()
}

/// Bytes of the field that stands first, its length included.
fn field_size(fields: &[u8]) -> usize {
    let length = fields.first_chunk().map_or(-1, |length| i32::from_be_bytes(*length));
    4 + usize::try_from(length).unwrap_or(0)
}

fn array(element: u32, count: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(20 + count * 12);
    out.put_i32(i32::from(count > 0));
    out.put_i32(1);
    out.put_u32(element);
    if count > 0 {
        out.put_i32(count as i32);
        out.put_i32(1);
    }
    out
}
