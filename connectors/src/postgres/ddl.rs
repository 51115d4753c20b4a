//! DDL of the mapped tables: reading the catalogue, planning (in `schemas::ddl`), running the plan.
//!
//! A plan is run in one transaction with the registration of its streams, under Landfall's own numbering, with a lock
//! timeout, so that it never queues behind a long reader while everybody queues behind it. With a refusal in the plan
//! nothing is run. A stream that has begun keeps its mapping unless the operator accepts the change.

use super::added;
use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::target::PostgresTarget;
use super::wire::Link;
use super::{fingerprint, schema};
use crate::failure::{Failure, FailureClass};
use landfall_schemas::ddl::{
    BulkLoad, Catalogue, Filled, LiveColumn, LiveTable, Owner, Plan, RelationKind, Step, StepKind, WantedTable, plan,
};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::table::TableShape;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::{Client, Error};

const SCHEMAS: &str = "SELECT nspname::text FROM pg_catalog.pg_namespace";
const RELATION: &str = "SELECT c.oid, c.relkind::text FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
const COLUMNS: &str = "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef, \
      a.attgenerated::text, a.attidentity::text, l.collname::text \
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation AND l.collname <> 'default' \
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
const KEY: &str = "SELECT a.attname::text FROM pg_catalog.pg_constraint c \
    CROSS JOIN LATERAL pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (attnum, place) \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum \
    WHERE c.conrelid = $1 AND c.contype = 'p' ORDER BY k.place";
const INDEXES: &str = "SELECT r.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class r ON r.oid = i.indexrelid \
    WHERE i.indrelid = $1 AND i.indisvalid = $2";
const REGISTERED: &str = "SELECT s.pipeline, s.stream, s.phase FROM landfall.streams s WHERE s.target_schema = $1 AND s.target_table = $2 \
     UNION ALL SELECT s.pipeline, s.stream, s.phase FROM landfall.child_tables c JOIN landfall.streams s USING (pipeline, stream) \
     WHERE c.target_schema = $1 AND c.target_table = $2";
const PRESENT: &str = "SELECT pg_catalog.to_regclass('landfall.child_tables') IS NOT NULL";
const STANDING: &str = "SELECT mapping_hash, EXISTS (SELECT FROM landfall.checkpoints c \
      WHERE c.pipeline = s.pipeline AND c.stream = s.stream AND c.next_offset > 0) \
    FROM landfall.streams s WHERE s.pipeline = $1 AND s.stream = $2";
const REGISTER: &str = "INSERT INTO landfall.streams AS s \
      (pipeline, stream, source, target_schema, target_table, phase, mapping_hash, partitions, told_by) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (pipeline, stream) DO UPDATE \
    SET source = excluded.source, target_schema = excluded.target_schema, target_table = excluded.target_table, \
        mapping_hash = excluded.mapping_hash, partitions = excluded.partitions, told_by = excluded.told_by, \
        mapped_at = CASE WHEN s.mapping_hash = excluded.mapping_hash THEN s.mapped_at ELSE pg_catalog.now() END";
pub(crate) const REGISTER_COLUMNS: &str = "INSERT INTO landfall.columns (pipeline, target_schema, target_table, target_column) \
    SELECT $1, $2, $3, c FROM pg_catalog.unnest($4::text[]) AS c ON CONFLICT DO NOTHING";
const FORGET_CHILDREN: &str = "DELETE FROM landfall.child_tables WHERE pipeline = $1 AND stream = $2";
const REGISTER_CHILD: &str =
    "INSERT INTO landfall.child_tables (pipeline, stream, target_schema, target_table) VALUES ($1, $2, $3, $4)";
pub(crate) const NUMBER: &str = "INSERT INTO landfall.target_migrations (pipeline, number, statements, actor) \
    SELECT $1, COALESCE(pg_catalog.max(number), 0) + 1, $2, $3 FROM landfall.target_migrations WHERE pipeline = $1 \
    RETURNING number";
const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock($1)";

/// A stream whose table is wanted.
#[derive(Clone, Copy, Debug)]
pub struct WantedStream<'a> {
    /// Its mapping.
    pub mapping: &'a StreamMapping,
    /// Whether a first revision is loaded in bulk.
    pub bulk: BulkLoad,
}

/// What to do when a stream has rows and its mapping is no longer the one they were written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MappingChange {
    /// Halt with `mapping_changed`.
    Refuse,
    /// The operator accepts that rows written so far keep the old mapping until they change.
    Accept,
}

impl PostgresTarget {
    /// What `schema apply` would do. Writes nothing.
    pub async fn schema_plan(&self, streams: &[WantedStream<'_>]) -> Result<Plan, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        schema::state(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let planned = driver.drive(limit, Box::pin(planned(client, &target.pipeline, streams))).await;
        planned.map_err(|error| classify(&error, "read the catalogue"))
    }

    /// Brings schema `landfall` and the mapped tables to what the streams want and registers the streams. Fails with
    /// `Halt`/`schema_refused` when something stands in the way, `Halt`/`mapping_changed` as `change` says; nothing is
    /// written then. Gives the plan that was run.
    pub async fn schema_apply(
        &self,
        streams: &[WantedStream<'_>],
        change: MappingChange,
        actor: &str,
    ) -> Result<Plan, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        schema::migrate(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let run = Box::pin(run(client, &target.pipeline, streams, (change, actor)));
        match driver.drive(limit, run).await.map_err(|error| classify(&error, "schema apply"))? {
            Ok(plan) => {
                commit(&mut link, limit).await.map_err(|error| classify_commit(&error))?;
                build_indexes(&mut link, limit, &plan).await?;
                Ok(plan)
            }
            Err(refused) => {
                roll_back(&mut link, limit).await.map_err(|error| classify(&error, "schema apply"))?;
                Err(refused)
            }
        }
    }
}

/// Longest that building an index may take.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Our connections write in transactions that say so; these statements must stand outside of any.
const OPEN: &str = "SET statement_timeout = 0; SET default_transaction_read_only = off";

/// Builds indexes beside writers. One whose building fails is left invalid: the next try takes it away first.
async fn build_indexes(link: &mut Link, limit: Duration, plan: &Plan) -> Result<(), Failure> {
    let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.kind == StepKind::BuildIndex).collect();
    if steps.is_empty() {
        return Ok(());
    }
    let Link { client, driver, .. } = &mut *link;
    let opened = driver.drive(limit, client.batch_execute(OPEN)).await;
    opened.map_err(|error| classify(&error, "build an index"))?;
    for step in steps {
        let built = driver.drive(LONGEST, client.batch_execute(&step.sql)).await;
        built.map_err(|error| classify(&error, &format!("build index {}", step.object)))?;
    }
    Ok(())
}

/// Every table of every stream: its own, and those below it.
pub(crate) fn wanted(streams: &[WantedStream<'_>]) -> Vec<WantedTable> {
    let of_stream = |s: &WantedStream<'_>| {
        let (stream, bulk) = (s.mapping.name.clone(), s.bulk);
        let shapes = std::iter::once(&s.mapping.table).chain(s.mapping.child_tables().map(|child| &child.table));
        let bulk = if s.mapping.table.shared.is_some() { BulkLoad::None } else { bulk };
        let table = |shape: &TableShape| WantedTable { stream: stream.clone(), shape: shape.clone(), bulk };
        shapes.map(table).collect::<Vec<_>>()
    };
    streams.iter().flat_map(of_stream).collect()
}

/// What the streams want beside what stands; of columns that the service added, what is missing of them.
async fn planned(client: &Client, pipeline: &str, streams: &[WantedStream<'_>]) -> Result<Plan, Error> {
    let grown = added::grown(client, pipeline, streams).await?;
    let wanted = wanted(&added::wanted(&grown, streams));
    let mut plan = plan(pipeline, &wanted, &read(client, &wanted).await?);
    let clashes = streams.iter().zip(&grown).flat_map(|(stream, grown)| added::clashes(stream.mapping, &grown.added));
    plan.refusals.extend(clashes);
    Ok(plan)
}

/// One planner of DDL at a time in a database, whatever the pipeline: two that want one table see each other.
pub(crate) async fn lock(client: &Client) -> Result<(), Error> {
    let lock = xxhash_rust::xxh3::xxh3_64(b"landfall ddl");
    client.execute(LOCK, &[&lock.cast_signed()]).await.map(drop)
}

/// Everything inside the transaction; the caller commits an `Ok` and rolls an `Err` back.
async fn run(
    client: &Client,
    pipeline: &str,
    streams: &[WantedStream<'_>],
    (change, actor): (MappingChange, &str),
) -> Result<Result<Plan, Failure>, Error> {
    client.batch_execute(BEGIN).await?;
    lock(client).await?;
    for stream in streams {
        if let Some(refused) = mapping_refused(client, pipeline, stream.mapping, change).await? {
            return Ok(Err(refused));
        }
    }
    let plan = planned(client, pipeline, streams).await?;
    if !plan.refusals.is_empty() {
        let list: Vec<String> = plan.refusals.iter().map(ToString::to_string).collect();
        return Ok(Err(Failure::new(FailureClass::Halt, "schema_refused", list.join("; "))));
    }
    for step in &plan.steps {
        if step.kind != StepKind::BuildIndex {
            client.batch_execute(&step.sql).await?;
        }
    }
    for stream in streams {
        register(client, pipeline, stream).await?;
    }
    if !plan.steps.is_empty() {
        let statements: Vec<&str> = plan.steps.iter().map(|step| step.sql.as_str()).collect();
        client.query_one(NUMBER, &[&pipeline, &statements, &actor]).await?;
    }
    Ok(Ok(plan))
}

async fn mapping_refused(
    client: &Client,
    pipeline: &str,
    mapping: &StreamMapping,
    change: MappingChange,
) -> Result<Option<Failure>, Error> {
    let Some(row) = client.query_opt(STANDING, &[&pipeline, &mapping.name.as_str()]).await? else { return Ok(None) };
    let (hash, started): (&[u8], bool) = (row.try_get(0)?, row.try_get(1)?);
    let added = added::read(client, pipeline, mapping).await?;
    let same = hash == fingerprint::of(mapping) && !added::are_left(mapping, &added);
    if same || !started || change == MappingChange::Accept {
        return Ok(None);
    }
    let detail = format!(
        "stream {} has rows written with another mapping: they would keep it until their records change. Accept that \
         explicitly, or give the stream a new table",
        mapping.name
    );
    Ok(Some(Failure::new(FailureClass::Halt, "mapping_changed", detail)))
}

async fn register(client: &Client, pipeline: &str, stream: &WantedStream<'_>) -> Result<(), Error> {
    let mapping = stream.mapping;
    // Rows of other streams may stand in a shared table: it has its key from the first row on.
    let phase = match (stream.bulk, &mapping.table.shared) {
        (BulkLoad::Expected, None) => "bulk",
        _ => "live",
    };
    let told_by = mapping.table.shared.as_deref().unwrap_or_default();
    let hash = fingerprint::of(mapping);
    client
        .execute(
            REGISTER,
            &[
                &pipeline,
                &mapping.name.as_str(),
                &mapping.source.as_str(),
                &mapping.table.schema.as_str(),
                &mapping.table.name.as_str(),
                &phase,
                &hash.as_slice(),
                &i32::from(mapping.partitions.get()),
                &told_by,
            ],
        )
        .await?;
    client.execute(FORGET_CHILDREN, &[&pipeline, &mapping.name.as_str()]).await?;
    for child in mapping.child_tables() {
        let (schema, table) = (child.table.schema.as_str(), child.table.name.as_str());
        client.execute(REGISTER_CHILD, &[&pipeline, &mapping.name.as_str(), &schema, &table]).await?;
    }
    for shape in std::iter::once(&mapping.table).chain(mapping.child_tables().map(|child| &child.table)) {
        let columns: Vec<&str> = shape.columns.iter().map(|column| column.name.as_str()).collect();
        client.execute(REGISTER_COLUMNS, &[&pipeline, &shape.schema.as_str(), &shape.name.as_str(), &columns]).await?;
    }
    added::forget_left(client, pipeline, mapping).await
}

/// The catalogue, as far as these tables are concerned.
pub(crate) async fn read(client: &Client, wanted: &[WantedTable]) -> Result<Catalogue, Error> {
    let mut live = Catalogue::default();
    for row in client.query(SCHEMAS, &[]).await? {
        live.schemas.insert(row.try_get(0)?);
    }
    let registered: bool = client.query_one(PRESENT, &[]).await?.try_get(0)?;
    for table in wanted {
        let (schema, name) = (table.shape.schema.as_str(), table.shape.name.as_str());
        let Some(row) = client.query_opt(RELATION, &[&schema, &name]).await? else { continue };
        let kind = match row.try_get::<_, &str>(1)? {
            "r" => RelationKind::Table,
            "p" => RelationKind::Partitioned,
            _ => RelationKind::Other,
        };
        let oid: u32 = row.try_get(0)?;
        let owners = if registered { owners(client, schema, name).await? } else { Vec::new() };
        let is_empty = kind == RelationKind::Other || is_empty(client, &table.shape.qualified()).await?;
        let indexes = indexes_of(client, oid, true).await?;
        let half_built = indexes_of(client, oid, false).await?;
        let key = client.query(KEY, &[&oid]).await?.iter().map(|r| r.try_get(0)).collect::<Result<_, _>>()?;
        let columns = columns(client, oid).await?;
        let standing = LiveTable { kind, columns, key, indexes, half_built, is_empty, owners };
        live.tables.insert((schema.to_owned(), name.to_owned()), standing);
    }
    Ok(live)
}

async fn owners(client: &Client, schema: &str, name: &str) -> Result<Vec<Owner>, Error> {
    let rows = client.query(REGISTERED, &[&schema, &name]).await?;
    let owner = |row: &tokio_postgres::Row| {
        let in_bulk = row.try_get::<_, &str>(2)? == "bulk";
        Ok(Owner { pipeline: row.try_get(0)?, stream: row.try_get(1)?, in_bulk })
    };
    rows.iter().map(owner).collect()
}

/// Names of a table's indexes: the valid ones, or those whose building was cut off.
async fn indexes_of(client: &Client, table: u32, valid: bool) -> Result<BTreeSet<String>, Error> {
    client.query(INDEXES, &[&table, &valid]).await?.iter().map(|row| row.try_get(0)).collect()
}

async fn is_empty(client: &Client, qualified: &str) -> Result<bool, Error> {
    client.query_one(&format!("SELECT NOT EXISTS (SELECT FROM {qualified})"), &[]).await?.try_get(0)
}

async fn columns(client: &Client, table: u32) -> Result<Vec<LiveColumn>, Error> {
    let mut out = Vec::new();
    for row in client.query(COLUMNS, &[&table]).await? {
        let (has_default, generated, identity): (bool, &str, &str) =
            (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let filled = match (generated, identity) {
            ("", "") if has_default => Filled::Default,
            ("", "") => Filled::Null,
            ("", "d") => Filled::Default,
            _ => Filled::Always,
        };
        out.push(LiveColumn {
            name: row.try_get(0)?,
            ty: row.try_get(1)?,
            not_null: row.try_get(2)?,
            filled,
            collation: row.try_get(6)?,
        });
    }
    Ok(out)
}
