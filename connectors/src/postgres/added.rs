//! Columns that the service added, as the target remembers them: what they make of a mapping, and which of them the configuration took over.
//!
//! Owns reading and forgetting; `evolve` adds. Everything that compares a table with its mapping asks here first, so that an added column
//! is neither drift nor superfluous.

use super::classify::classify;
use super::ddl::WantedStream;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::failure::Failure;
use landfall_schemas::ddl::{Reason, Refusal};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{AddedColumn, AddedType, StreamMapping};
use std::time::Duration;
use tokio_postgres::{Client, Error, Row};

/// Longest wait for the answer: a handful of rows of the catalogue.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const PRESENT: &str = "SELECT pg_catalog.to_regclass('landfall.added_columns') IS NOT NULL";
/// A `bigint` that somebody made `numeric` by hand is one: a large table is rewritten when its owner says so.
const ADDED: &str = "SELECT c.target_column, c.field, CASE WHEN c.type = 'bigint' AND EXISTS (SELECT FROM pg_catalog.pg_attribute a \
        JOIN pg_catalog.pg_class r ON r.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
        WHERE n.nspname = s.target_schema AND r.relname = s.target_table AND a.attname = c.target_column AND NOT a.attisdropped \
          AND pg_catalog.format_type(a.atttypid, a.atttypmod) = 'numeric') THEN 'numeric' ELSE c.type END \
    FROM landfall.added_columns c JOIN landfall.streams s USING (pipeline, stream) \
    WHERE c.pipeline = $1 AND c.stream = $2 ORDER BY c.number, c.target_column";
const FORGET: &str =
    "DELETE FROM landfall.added_columns WHERE pipeline = $1 AND stream = $2 AND target_column = ANY ($3)";
/// Whoever was admitted before writes them still.
const MAPPED_ANEW: &str =
    "UPDATE landfall.streams SET mapped_at = pg_catalog.now() WHERE pipeline = $1 AND stream = $2";

/// A stream with the columns that were added to it.
pub(crate) struct Grown {
    /// All that the target remembers.
    pub(crate) added: Vec<AddedColumn>,
    /// The mapping, wider by those that are still the service's.
    pub(crate) mapping: StreamMapping,
}

/// The added columns of a stream, oldest first. Only where schema `landfall` is in our version.
pub(crate) async fn read(client: &Client, pipeline: &str, stream: &StreamMapping) -> Result<Vec<AddedColumn>, Error> {
    let rows = client.query(ADDED, &[&pipeline, &stream.name.as_str()]).await?;
    let column = |row: &Row| {
        let (name, field, ty): (&str, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // Written by us and checked by the table: what does not read is none of ours.
        let known = Ident::new(name).ok().zip(AddedType::named(ty));
        Ok(known.map(|(name, ty)| AddedColumn { name, field: field.into(), ty }))
    };
    rows.iter().filter_map(|row| column(row).transpose()).collect()
}

impl PostgresTarget {
    /// The columns that were added to a stream, oldest first, whatever version schema `landfall` is in.
    pub async fn added_columns(&self, stream: &StreamMapping) -> Result<Vec<AddedColumn>, Failure> {
        let mut link = self.inner.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let asked = async {
            let present: bool = client.query_one(PRESENT, &[]).await?.try_get(0)?;
            if present { read(client, &self.inner.pipeline, stream).await } else { Ok(Vec::new()) }
        };
        let added = driver.drive(PATIENCE, asked).await;
        added.map_err(|error| classify(&error, "read which columns were added"))
    }
}

/// The streams as they have grown, whatever version schema `landfall` is in.
pub(crate) async fn grown(client: &Client, pipeline: &str, streams: &[WantedStream<'_>]) -> Result<Vec<Grown>, Error> {
    let present: bool = client.query_one(PRESENT, &[]).await?.try_get(0)?;
    let mut all = Vec::with_capacity(streams.len());
    for stream in streams {
        let added = if present { read(client, pipeline, stream.mapping).await? } else { Vec::new() };
        all.push(Grown { mapping: stream.mapping.widened(&added), added });
    }
    Ok(all)
}

/// The streams as they have grown, wanted as those that they were made of.
pub(crate) fn wanted<'a>(grown: &'a [Grown], streams: &[WantedStream<'a>]) -> Vec<WantedStream<'a>> {
    grown
        .iter()
        .zip(streams)
        .map(|(grown, stream)| WantedStream { mapping: &grown.mapping, bulk: stream.bulk })
        .collect()
}

/// Names that the configuration gives to one field and the service gave to another: one column would hold both.
pub(crate) fn clashes(stream: &StreamMapping, added: &[AddedColumn]) -> Vec<Refusal> {
    let other = |column: &&AddedColumn| {
        let declared = stream.table.columns.iter().any(|one| one.name == column.name);
        let same_field = |one: &landfall_schemas::mapping::ColumnMapping| {
            one.name == column.name && one.from.field().is_some_and(|path| *path.parts() == [column.field.to_string()])
        };
        declared && !stream.columns.iter().any(same_field)
    };
    let refusal = |column: &AddedColumn| Refusal {
        table: format!("{}.{}", stream.table.schema, stream.table.name),
        reason: Reason::AddedForOther(column.name.to_string()),
    };
    added.iter().filter(other).map(refusal).collect()
}

/// Some are no longer the service's: the configuration declares them, or adds no columns any more.
pub(crate) fn are_left(stream: &StreamMapping, added: &[AddedColumn]) -> bool {
    added.iter().any(|column| !stream.keeps(column))
}

/// Forgets those that are no longer the service's. The columns stand, with their values, until somebody contracts.
pub(crate) async fn forget_left(client: &Client, pipeline: &str, stream: &StreamMapping) -> Result<(), Error> {
    let added = read(client, pipeline, stream).await?;
    let left: Vec<&str> =
        added.iter().filter(|column| !stream.keeps(column)).map(|column| column.name.as_str()).collect();
    if left.is_empty() {
        return Ok(());
    }
    client.execute(FORGET, &[&pipeline, &stream.name.as_str(), &left]).await?;
    client.execute(MAPPED_ANEW, &[&pipeline, &stream.name.as_str()]).await.map(drop)
}
