//! What stands in a stream's tables, read for comparison: all rows, or those of some records, in one snapshot.
//!
//! Rows come as PostgreSQL sends them in binary, laid out as in `schemas::row`, so that they can be compared with what a mapping encodes;
//! nothing is decoded here. Dead letters that wait and how much was applied belong to the same snapshot. Reads only, in a transaction that
//! says so. How it fails: as every exchange; a table that is not as mapped is `schema_drift` before a row of it is read.

use super::classify::classify;
use super::copy_out::copy_out;
use super::drift;
use super::statement::own_rows;
use super::target::PostgresTarget;
use super::wire::{Link, WireError};
use crate::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::table::{ColumnRole, TableShape};
use std::time::Duration;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error};

/// Longest wait for the next rows of a table: beyond that the connection is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Dead letters fetched at once.
const LETTERS: i32 = 2_000;

/// A snapshot for reading, without the statement's usual limit: a large table is read as long as it takes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL enable_seqscan = on";
const APPLIED: &str = "SELECT COALESCE(pg_catalog.sum(c.next_offset), 0)::int8, \
      (SELECT pg_catalog.count(*) FROM landfall.generations g WHERE g.pipeline = $1 AND g.source = \
        (SELECT s.source FROM landfall.streams s WHERE s.pipeline = $1 AND s.stream = $2)) \
    FROM landfall.checkpoints c WHERE c.pipeline = $1 AND c.stream = $2";
/// A table that was never analyzed has no `reltuples`: what was written to it is counted beside.
const ABOUT: &str = "SELECT COALESCE(pg_catalog.sum(t.rows), 0)::int8, \
      COALESCE(pg_catalog.sum(t.rows) FILTER (WHERE t.oid = pg_catalog.to_regclass($1[1])), 0)::int8 \
    FROM (SELECT c.oid, CASE WHEN c.reltuples > 0 THEN c.reltuples::float8 \
        ELSE pg_catalog.pg_stat_get_live_tuples(c.oid)::float8 END AS rows FROM pg_catalog.pg_class c \
      WHERE c.oid IN (SELECT pg_catalog.to_regclass(name) FROM pg_catalog.unnest($1::text[]) AS name)) AS t";
const WAITING: &str = "DECLARE letters NO SCROLL CURSOR FOR SELECT key, blocks FROM landfall.dead_letters \
    WHERE pipeline = $1 AND stream = $2 AND state IN ('parked', 'behind')";

/// Something that stands in the target.
#[derive(Clone, Copy, Debug)]
pub enum Standing<'a> {
    /// A row.
    Row {
        /// Of which table: 0 is the stream's own, the others count as `StreamMapping::child_tables`, from 1.
        table: usize,
        /// Its fields.
        fields: &'a [u8],
    },
    /// A dead letter that waits.
    Letter {
        /// The encoded key.
        key: &'a [u8],
        /// Later changes of the key wait behind it.
        blocks: bool,
    },
}

/// How much of a stream was applied in the snapshot that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Events.
    pub events: u64,
    /// Lives that the queue of the source has had.
    pub generations: u64,
}

/// About how much a stream's tables hold, as the server's statistics say; 0 where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// Rows of all its tables.
    pub rows: u64,
    /// Rows of its own table: about as many as it has records.
    pub records: u64,
}

/// Who takes what stands.
pub type TakeStanding<'t> = dyn FnMut(Standing<'_>) -> Result<(), Failure> + Send + 't;

impl PostgresTarget {
    /// Everything of a stream: its rows, table by table, then its dead letters.
    pub async fn standing(&self, stream: &StreamMapping, take: &mut TakeStanding<'_>) -> Result<Applied, Failure> {
        let mut link = self.inner.connector.connect().await?;
        let applied = begin(&mut link, &self.inner.pipeline, stream).await?;
        for (number, shape) in tables(stream).enumerate() {
            copy_out(&mut link, (&all_rows(shape), PATIENCE), &mut |fields| {
                take(Standing::Row { table: number, fields })
            })
            .await?;
        }
        letters(&mut link, (&self.inner.pipeline, stream), take).await?;
        Ok(applied)
    }

    /// About how much a stream's tables hold: cheap, for progress.
    pub async fn about(&self, stream: &StreamMapping) -> Result<About, Failure> {
        let names: Vec<String> = tables(stream).map(TableShape::qualified).collect();
        let mut link = self.inner.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let row = driver.drive(PATIENCE, client.query_one(ABOUT, &[&names])).await;
        let read = |row: tokio_postgres::Row| {
            let (rows, records) = (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?);
            Ok(About { rows: rows.unsigned_abs(), records: records.unsigned_abs() })
        };
        let about = row.and_then(|row| read(row).map_err(WireError::Postgres));
        about.map_err(|error| classify(&error, "look at the statistics of a table"))
    }

    /// `server_version_num`.
    pub async fn server_version(&self) -> Result<u32, Failure> {
        Ok(self.inner.connector.connect().await?.server_version)
    }

    /// The same of some records alone, named by the fields of their key column (each with its length in front).
    pub async fn standing_of(
        &self,
        stream: &StreamMapping,
        keys: &[&[u8]],
        take: &mut TakeStanding<'_>,
    ) -> Result<Applied, Failure> {
        let mut link = self.inner.connector.connect().await?;
        let applied = begin(&mut link, &self.inner.pipeline, stream).await?;
        for part in keys.chunks(KeyArray::MOST) {
            let array = KeyArray::of(stream, part);
            for (number, shape) in tables(stream).enumerate() {
                let sql = rows_of(shape);
                let Link { client, driver, .. } = &mut link;
                let work = fetch(client, &sql, &array);
                let rows = driver.drive(PATIENCE, work).await;
                for row in rows.map_err(|error| classify(&error, "read rows by their keys"))? {
                    take(Standing::Row { table: number, fields: &row })?;
                }
            }
        }
        letters(&mut link, (&self.inner.pipeline, stream), take).await?;
        Ok(applied)
    }
}

fn tables(stream: &StreamMapping) -> impl Iterator<Item = &TableShape> {
    std::iter::once(&stream.table).chain(stream.child_tables().map(|child| &child.table))
}

/// Opens the snapshot; a table that somebody changed is told here.
async fn begin(link: &mut Link, pipeline: &str, stream: &StreamMapping) -> Result<Applied, Failure> {
    let Link { client, driver, .. } = link;
    let work = Box::pin(async {
        client.batch_execute(BEGIN).await?;
        if let Some(drift) = drift::of(client, pipeline, stream).await? {
            return Ok(Err(drift));
        }
        let row = client.query_one(APPLIED, &[&pipeline, &stream.name.as_str()]).await?;
        let (events, generations) = (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?);
        Ok(Ok(Applied { events: events.unsigned_abs(), generations: generations.unsigned_abs() }))
    });
    driver.drive(PATIENCE, work).await.map_err(|error| classify(&error, "open a snapshot of the target"))?
}

fn columns(shape: &TableShape) -> String {
    let names: Vec<String> = shape.columns.iter().map(|column| format!("t.{}", column.name.quoted())).collect();
    names.join(", ")
}

fn all_rows(shape: &TableShape) -> String {
    let (columns, table) = (columns(shape), shape.qualified());
    format!("COPY (SELECT {columns} FROM {table} AS t WHERE true{}) TO STDOUT (FORMAT binary)", own_rows(shape))
}

/// The column by which a record's rows are found: its key, in its own table and in those below.
fn record_key(shape: &TableShape) -> usize {
    let own = shape.columns.iter().position(|column| column.role == ColumnRole::Parent(0));
    own.or_else(|| shape.columns.iter().position(|column| column.role == ColumnRole::Key)).unwrap_or(0)
}

fn rows_of(shape: &TableShape) -> String {
    let key = &shape.columns[record_key(shape)];
    let (columns, table) = (columns(shape), shape.qualified());
    format!(
        "SELECT {columns} FROM {table} AS t WHERE t.{} = ANY ($1::{}[]){}",
        key.name.quoted(),
        key.ty,
        own_rows(shape)
    )
}

async fn letters(
    link: &mut Link,
    (pipeline, stream): (&str, &StreamMapping),
    take: &mut TakeStanding<'_>,
) -> Result<(), Failure> {
    let failed = |error: WireError| classify(&error, "read dead letters");
    let Link { client, driver, .. } = link;
    let name = stream.name.as_str();
    driver.drive(PATIENCE, client.execute(WAITING, &[&pipeline, &name])).await.map_err(failed)?;
    let fetch = format!("FETCH {LETTERS} FROM letters");
    loop {
        let rows = driver.drive(PATIENCE, client.query(&fetch, &[])).await.map_err(failed)?;
        for row in &rows {
            let read = || Ok((row.try_get::<_, &[u8]>(0)?, row.try_get::<_, bool>(1)?));
            let (key, blocks) = read().map_err(|error| failed(WireError::Postgres(error)))?;
            take(Standing::Letter { key, blocks })?;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

async fn fetch(client: &Client, sql: &str, keys: &KeyArray) -> Result<Vec<Vec<u8>>, Error> {
    let rows = client.query(sql, &[keys]).await?;
    rows.iter()
        .map(|row| {
            let mut fields = Vec::new();
            for at in 0..row.len() {
                let RawField(field) = row.try_get(at)?;
                let length = field.map_or(-1, |field| field.len() as i32);
                fields.extend_from_slice(&length.to_be_bytes());
                fields.extend_from_slice(field.unwrap_or_default());
            }
            Ok(fields)
        })
        .collect()
}

/// A field as it came.
struct RawField<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for RawField<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Keys as one array parameter: their fields as they are, with an array's head in front.
#[derive(Debug)]
struct KeyArray(Vec<u8>);

impl KeyArray {
    /// Keys of one statement: as many as an index is asked for gladly.
    const MOST: usize = 1_000;

    fn of(stream: &StreamMapping, keys: &[&[u8]]) -> Self {
        let element = stream.table.columns[record_key(&stream.table)].ty.oid();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&i32::from(!keys.is_empty()).to_be_bytes());
        bytes.extend_from_slice(&0_i32.to_be_bytes());
        bytes.extend_from_slice(&element.to_be_bytes());
        if !keys.is_empty() {
            bytes.extend_from_slice(&(keys.len() as i32).to_be_bytes());
            bytes.extend_from_slice(&1_i32.to_be_bytes());
        }
        keys.iter().for_each(|key| bytes.extend_from_slice(key));
        Self(bytes)
    }
}

impl ToSql for KeyArray {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
