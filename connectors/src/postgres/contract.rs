//! `schema contract`: what Landfall made and no mapping names any more is dropped. The destructive half of a change of schema.
//!
//! Only columns and tables that a `schema apply` of this pipeline registered are looked at; what somebody added by hand stays. Each is
//! told with the values it holds and with all that still needs it: a service that was admitted with the mapping before, views and foreign
//! keys. While there is any, nothing is dropped. Everything goes in one transaction, numbered as every other change.

use super::added;
use super::apply::commit;
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::ddl::{WantedStream, wanted};
use super::target::PostgresTarget;
use super::wire::Link;
use super::{fingerprint, schema};
use crate::failure::Failure;
use landfall_schemas::ddl::WantedTable;
use landfall_schemas::ident::Ident;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// Columns of ours that stand, by table.
const REGISTERED: &str = "SELECT c.target_schema, c.target_table, c.target_column FROM landfall.columns c \
    JOIN pg_catalog.pg_namespace n ON n.nspname = c.target_schema \
    JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid AND r.relname = c.target_table \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attname = c.target_column AND NOT a.attisdropped \
    WHERE c.pipeline = $1 ORDER BY 1, 2, a.attnum";
/// Views, rules and foreign keys of other tables over a table (column number 0) or one column of it.
const NEEDED_BY: &str = "SELECT DISTINCT 'view ' || v.oid::pg_catalog.regclass::text FROM pg_catalog.pg_depend d \
      JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = w.ev_class \
      WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        AND d.refobjid = $1::text::pg_catalog.regclass AND v.oid <> d.refobjid \
        AND ($2::text IS NULL OR d.refobjsubid = (SELECT a.attnum FROM pg_catalog.pg_attribute a \
          WHERE a.attrelid = d.refobjid AND a.attname = $2)) \
    UNION SELECT 'foreign key ' || k.conname::text || ' of ' || k.conrelid::pg_catalog.regclass::text FROM pg_catalog.pg_constraint k \
      WHERE k.contype = 'f' AND k.confrelid = $1::text::pg_catalog.regclass AND k.conrelid <> k.confrelid \
        AND ($2::text IS NULL OR (SELECT a.attnum FROM pg_catalog.pg_attribute a \
          WHERE a.attrelid = k.confrelid AND a.attname = $2) = ANY (k.confkey)) ORDER BY 1";
/// The streams of the pipeline with their tables, whether a service runs, and whether it was admitted with this mapping.
const STREAMS: &str = "SELECT s.stream, s.target_schema, s.target_table \
        || ARRAY(SELECT c.target_table FROM landfall.child_tables c WHERE c.pipeline = s.pipeline AND c.stream = s.stream), s.owner_nonce IS NOT NULL AND s.admitted_at < s.mapped_at, \
      s.owner_nonce IS NOT NULL AND s.owner_nonce = (SELECT l.owner_nonce FROM landfall.streams l \
        WHERE l.pipeline = $1 AND l.admitted_at IS NOT NULL ORDER BY l.admitted_at DESC LIMIT 1), \
      EXISTS (SELECT FROM pg_catalog.pg_locks k WHERE k.locktype = 'advisory' AND k.objsubid = 1 \
        AND (k.classid::int8 << 32 | k.objid::int8) = $2 \
        AND k.database = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())), \
      s.mapping_hash \
    FROM landfall.streams s WHERE s.pipeline = $1 ORDER BY 1";
/// The stream whose service added a column.
const FILLED_BY: &str = "SELECT a.stream FROM landfall.added_columns a JOIN landfall.streams s USING (pipeline, stream) \
    WHERE a.pipeline = $1 AND s.target_schema = $2 AND s.target_table = $3 AND a.target_column = $4 LIMIT 1";
const FORGET_ADDED: &str = "DELETE FROM landfall.added_columns a USING landfall.streams s \
    WHERE a.pipeline = $1 AND s.pipeline = a.pipeline AND s.stream = a.stream AND s.target_schema = $2 AND s.target_table = $3 \
      AND ($4::text IS NULL OR a.target_column = $4)";
const FORGET_COLUMN: &str = "DELETE FROM landfall.columns \
    WHERE pipeline = $1 AND target_schema = $2 AND target_table = $3 AND ($4::text IS NULL OR target_column = $4)";
/// A stream that is no more: children of its row first.
const FORGET_STREAM: [&str; 6] = [
    "DELETE FROM landfall.added_columns WHERE pipeline = $1 AND stream = $2",
    "DELETE FROM landfall.child_tables WHERE pipeline = $1 AND stream = $2",
    "DELETE FROM landfall.ranges WHERE pipeline = $1 AND stream = $2",
    "DELETE FROM landfall.checkpoints WHERE pipeline = $1 AND stream = $2",
    "DELETE FROM landfall.dead_letters WHERE pipeline = $1 AND stream = $2",
    "DELETE FROM landfall.streams WHERE pipeline = $1 AND stream = $2",
];
const NUMBER: &str = "INSERT INTO landfall.target_migrations (pipeline, number, statements, actor) \
    SELECT $1, COALESCE(pg_catalog.max(number), 0) + 1, $2, $3 FROM landfall.target_migrations WHERE pipeline = $1";

/// Counting the values of a large table takes a while.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A table or a column that no mapping names any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Superfluous {
    /// Schema.
    pub schema: Ident,
    /// Table.
    pub table: Ident,
    /// One column of it; `None`: the table.
    pub column: Option<Ident>,
    /// Rows of the table, or values of the column that are not NULL: gone with it.
    pub holds: u64,
    /// What still needs it.
    pub needed_by: Vec<String>,
}

impl Superfluous {
    /// The statement that drops it; it fails where something depends on it.
    pub fn sql(&self) -> String {
        let table = format!("{}.{}", self.schema.quoted(), self.table.quoted());
        match &self.column {
            Some(column) => format!("ALTER TABLE {table} DROP COLUMN {}", column.quoted()),
            None => format!("DROP TABLE {table}"),
        }
    }
}

/// All that a contraction would take away.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contraction {
    /// Columns and tables.
    pub drops: Vec<Superfluous>,
    /// Registered streams that the configuration has no more: their checkpoints and dead letters go too.
    pub streams: Vec<String>,
}

/// A stream as it is registered.
struct Registered {
    name: String,
    schema: String,
    /// Its own, and those below it.
    tables: Vec<String>,
    /// Its owner was admitted with an earlier mapping.
    old_mapping: bool,
    /// Its owner is the process that was admitted last.
    owned_now: bool,
    /// A service of the pipeline runs.
    running: bool,
    /// The mapping that was applied last, which a service is admitted with.
    mapping: Vec<u8>,
}

impl PostgresTarget {
    /// What a contraction would drop, and what is against it. Writes nothing.
    pub async fn contraction(&self, streams: &[WantedStream<'_>]) -> Result<Contraction, Failure> {
        let target = &*self.inner;
        let mut link = target.connector.connect().await?;
        schema::require(&mut link, target.connector.exchange_limit()).await?;
        let Link { client, driver, .. } = &mut link;
        let looked = driver.drive(LONGEST, Box::pin(look(client, &target.pipeline, streams))).await;
        looked.map_err(|error| classify(&error, "look for what no mapping names"))
    }

    /// Drops it all in one transaction. What came to depend on it meanwhile makes the statement fail, and nothing is dropped.
    pub async fn contract(&self, contraction: &Contraction, actor: &str) -> Result<(), Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let dropped = driver.drive(limit, Box::pin(drop_all(client, &target.pipeline, contraction, actor))).await;
        dropped.map_err(|error| classify(&error, "schema contract"))?;
        commit(&mut link, limit).await.map_err(|error| classify_commit(&error))
    }
}

async fn look(client: &Client, pipeline: &str, streams: &[WantedStream<'_>]) -> Result<Contraction, Error> {
    let grown = added::grown(client, pipeline, streams).await?;
    let wanted = wanted(&added::wanted(&grown, streams));
    let registered = registered(client, pipeline).await?;
    // Edited and not applied yet: the service was admitted with what was applied.
    let ahead = |one: &&Registered| {
        let mapping = streams.iter().find(|stream| stream.mapping.name.as_str() == one.name);
        mapping.is_some_and(|stream| fingerprint::of(stream.mapping)[..] != one.mapping[..])
    };
    let ahead: Vec<&Registered> = registered.iter().filter(ahead).collect();
    let gone: Vec<&Registered> = registered
        .iter()
        .filter(|one| !streams.iter().any(|stream| stream.mapping.name.as_str() == one.name))
        .collect();
    let mut contraction =
        Contraction { streams: gone.iter().map(|one| one.name.clone()).collect(), ..Default::default() };
    for ((schema, table), columns) in columns(client, pipeline).await? {
        let mapped: Vec<&WantedTable> = wanted.iter().filter(|wanted| is(wanted, (&schema, &table))).collect();
        // A stream that is gone may have shared the table with one that stays: its rows stay too.
        let droppable: Vec<Option<String>> = if mapped.is_empty() {
            vec![None]
        } else {
            let named = |column: &String| {
                mapped.iter().any(|wanted| wanted.shape.columns.iter().any(|one| one.name.as_str() == column))
            };
            columns.into_iter().filter(|column| !named(column)).map(Some).collect()
        };
        for column in droppable {
            let mut writers = writers(&registered, (&gone, &ahead), (&schema, &table), &mapped);
            if let Some(column) = &column {
                writers.extend(fills(client, (pipeline, &registered), (&schema, &table, column)).await?);
            }
            contraction.drops.push(superfluous(client, (&schema, &table, column.as_deref()), writers).await?);
        }
    }
    // Tables below go before those that they refer to.
    contraction.drops.reverse();
    Ok(contraction)
}

fn is(wanted: &WantedTable, (schema, table): (&str, &str)) -> bool {
    wanted.shape.schema.as_str() == schema && wanted.shape.name.as_str() == table
}

/// Services that may still write a table as it was mapped before.
fn writers(
    registered: &[Registered],
    (gone, ahead): (&[&Registered], &[&Registered]),
    (schema, table): (&str, &str),
    mapped: &[&WantedTable],
) -> Vec<String> {
    let writes = |one: &&Registered| one.running && one.owned_now;
    // A mapping of before may have had a table that no mapping has now.
    let may = |one: &&Registered| mapped.is_empty() || mapped.iter().any(|wanted| wanted.stream.as_str() == one.name);
    let stale = registered.iter().filter(writes).filter(may).filter(|one| one.old_mapping).map(|one| {
        format!("the running service: stream {} was admitted before its mapping changed (restart it)", one.name)
    });
    let own = |one: &&Registered| one.schema == schema && one.tables.iter().any(|own| own == table);
    let alive = gone.iter().copied().filter(writes).filter(own).map(|one| {
        format!("the running service: it still has stream {} (restart it with the configuration of now)", one.name)
    });
    let unapplied = ahead.iter().copied().filter(writes).filter(own).filter(|one| !one.old_mapping).map(|one| {
        format!(
            "the running service: it maps stream {} otherwise than this configuration (landfall schema apply, then restart the service)",
            one.name
        )
    });
    stale.chain(alive).chain(unapplied).collect()
}

/// Services that added the column, and fill it until they are started with another configuration.
async fn fills(
    client: &Client,
    (pipeline, registered): (&str, &[Registered]),
    (schema, table, column): (&str, &str, &str),
) -> Result<Option<String>, Error> {
    let Some(row) = client.query_opt(FILLED_BY, &[&pipeline, &schema, &table, &column]).await? else { return Ok(None) };
    let stream: String = row.try_get(0)?;
    let writes = registered.iter().any(|one| one.name == stream && one.running && one.owned_now);
    Ok(writes.then(|| {
        format!("the running service: stream {stream} fills it (landfall schema apply, then restart the service)")
    }))
}

async fn registered(client: &Client, pipeline: &str) -> Result<Vec<Registered>, Error> {
    let key = xxhash_rust::xxh3::xxh3_64(format!("landfall owner\0{pipeline}").as_bytes()).cast_signed();
    let rows = client.query(STREAMS, &[&pipeline, &key]).await?;
    let one = |row: &tokio_postgres::Row| {
        Ok(Registered {
            name: row.try_get(0)?,
            schema: row.try_get(1)?,
            tables: row.try_get(2)?,
            old_mapping: row.try_get(3)?,
            owned_now: row.try_get(4)?,
            running: row.try_get(5)?,
            mapping: row.try_get(6)?,
        })
    };
    rows.iter().map(one).collect()
}

async fn columns(client: &Client, pipeline: &str) -> Result<BTreeMap<(String, String), Vec<String>>, Error> {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for row in client.query(REGISTERED, &[&pipeline]).await? {
        found.entry((row.try_get(0)?, row.try_get(1)?)).or_default().push(row.try_get(2)?);
    }
    Ok(found)
}

async fn superfluous(
    client: &Client,
    (schema, table, column): (&str, &str, Option<&str>),
    mut needed_by: Vec<String>,
) -> Result<Superfluous, Error> {
    let name =
        |text: &str| Ident::new(text).expect("only checked names are registered, and this one stands in the catalogue");
    let (schema, table, column) = (name(schema), name(table), column.map(name));
    let qualified = format!("{}.{}", schema.quoted(), table.quoted());
    let counted = column.as_ref().map_or("*".to_owned(), Ident::quoted);
    let holds: i64 = client.query_one(&format!("SELECT count({counted}) FROM {qualified}"), &[]).await?.try_get(0)?;
    let column_name = column.as_ref().map(Ident::as_str);
    for row in client.query(NEEDED_BY, &[&qualified, &column_name]).await? {
        needed_by.push(row.try_get(0)?);
    }
    let unique: BTreeSet<String> = needed_by.into_iter().collect();
    let needed_by = unique.into_iter().collect();
    Ok(Superfluous { schema, table, column, holds: holds.cast_unsigned(), needed_by })
}

async fn drop_all(client: &Client, pipeline: &str, contraction: &Contraction, actor: &str) -> Result<(), Error> {
    client.batch_execute(BEGIN).await?;
    let mut run = Vec::new();
    for one in &contraction.drops {
        let sql = one.sql();
        client.batch_execute(&sql).await?;
        let column = one.column.as_ref().map(Ident::as_str);
        client.execute(FORGET_ADDED, &[&pipeline, &one.schema.as_str(), &one.table.as_str(), &column]).await?;
        client.execute(FORGET_COLUMN, &[&pipeline, &one.schema.as_str(), &one.table.as_str(), &column]).await?;
        run.push(sql);
    }
    for stream in &contraction.streams {
        for forget in FORGET_STREAM {
            client.execute(forget, &[&pipeline, stream]).await?;
        }
    }
    client.execute(NUMBER, &[&pipeline, &run, &actor]).await.map(drop)
}
