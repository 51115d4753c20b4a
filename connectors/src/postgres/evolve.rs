//! Columns added to a table while its rows flow.
//!
//! One transaction holds the owner's row, the statements and their record: a death anywhere leaves both or neither, and a second try finds
//! what the first one did. Names are chosen in it, against the table as it stands. `ADD COLUMN` without a default touches no row; the lock
//! that it needs is waited for briefly, since everybody else queues behind whoever waits for it.

use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::decisions::RECORD;
use super::target::PostgresTarget;
use super::wire::Link;
use super::{added, checkpoint, ddl};
use crate::checkpoints::OwnerNonce;
use crate::evolve::{Evolves, MOST_ADDED, MOST_COLUMNS, MOST_REWRITTEN, Widened};
use crate::failure::{Failure, FailureClass};
use landfall_schemas::ddl::{add_column, widen_column};
use landfall_schemas::mapping::{AddedColumn, AddedType, NewField, StreamMapping};
use landfall_schemas::naming::Taken;
use landfall_schemas::table::{ColumnRole, TableColumn};
use serde_json::json;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

/// Whoever waits for the lock of a table holds up all that come after: a short wait, and another try later.
const PATIENCE: &str = "SET LOCAL lock_timeout = '2s'";
/// What PostgreSQL allows, dropped columns counted.
const MOST_NUMBERS: usize = 1_600;
/// Who the history says did it.
const ACTOR: &str = "landfall run";

const OWNER: &str = "SELECT owner_nonce FROM landfall.streams WHERE pipeline = $1 AND stream = $2 FOR UPDATE";
const TABLE: &str = "SELECT c.oid, c.relnatts::int4, pg_catalog.pg_total_relation_size(c.oid) FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
const NAMES: &str =
    "SELECT attname::text FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";
const REMEMBER: &str = "INSERT INTO landfall.added_columns (pipeline, stream, target_column, field, type, number) \
    SELECT $1, $2, a.c, a.f, a.t, $6::int4 + a.place::int4 \
    FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[])) \
      WITH ORDINALITY AS a (c, f, t, place)";
const WIDER: &str = "UPDATE landfall.added_columns SET type = 'numeric', widened_at = pg_catalog.now() \
    WHERE pipeline = $1 AND stream = $2 AND target_column = ANY ($3)";

/// What the transaction found.
enum Found {
    Done(Widened),
    OtherOwner,
    NoTable,
}

/// What is to be done.
#[derive(Default)]
struct Growth {
    new: Vec<AddedColumn>,
    wider: Vec<AddedColumn>,
    narrow: usize,
    left: usize,
}

/// The table as it stands.
struct Standing {
    /// Names of its columns.
    names: Vec<String>,
    /// How many it has ever had.
    numbers: usize,
    bytes: u64,
}

impl Evolves for PostgresTarget {
    async fn widen(&self, stream: &StreamMapping, owner: OwnerNonce, fields: &[NewField]) -> Result<Widened, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let growing = Box::pin(grow(client, &target.pipeline, stream, (owner, fields)));
        let found = driver.drive(limit, growing).await.map_err(|error| classify(&error, "add a column"))?;
        let refused = match found {
            Found::Done(widened) => {
                fail::fail_point!("evolve::before_commit");
                let done = commit(&mut link, limit).await;
                done.map_err(|error| checkpoint::repeatable(classify_commit(&error)))?;
                fail::fail_point!("evolve::after_commit");
                return Ok(widened);
            }
            Found::OtherOwner => Failure::new(FailureClass::Fenced, "other_owner", "another owner was admitted"),
            Found::NoTable => Failure::new(FailureClass::Halt, "schema_drift", "the table is not there any more"),
        };
        roll_back(&mut link, limit).await.map_err(|error| classify(&error, "add a column"))?;
        Err(refused)
    }
}

async fn grow(
    client: &Client,
    pipeline: &str,
    stream: &StreamMapping,
    (owner, fields): (OwnerNonce, &[NewField]),
) -> Result<Found, Error> {
    let name = stream.name.as_str();
    client.batch_execute(BEGIN).await?;
    client.batch_execute(PATIENCE).await?;
    // Before the stream's row, as `schema apply` takes them.
    ddl::lock(client).await?;
    let row = client.query_opt(OWNER, &[&pipeline, &name]).await?;
    let owned = row.map(|row| row.try_get::<_, Option<Uuid>>(0)).transpose()?.flatten();
    if owned != Some(owner.0) {
        return Ok(Found::OtherOwner);
    }
    let (schema, table) = (stream.table.schema.as_str(), stream.table.name.as_str());
    let Some(row) = client.query_opt(TABLE, &[&schema, &table]).await? else { return Ok(Found::NoTable) };
    let names = client.query(NAMES, &[&row.try_get::<_, u32>(0)?]).await?;
    let table = Standing {
        names: names.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
        numbers: row.try_get::<_, i32>(1)?.unsigned_abs() as usize,
        bytes: row.try_get::<_, i64>(2)?.unsigned_abs(),
    };
    let known = added::read(client, pipeline, stream).await?;
    let growth = Growth::plan((stream, fields), &known, &table);
    let statements = growth.statements(stream);
    if !statements.is_empty() {
        client.batch_execute(&statements.join("; ")).await?;
        remember(client, (pipeline, stream), &growth, known.len()).await?;
        client.query_one(ddl::NUMBER, &[&pipeline, &statements, &ACTOR]).await?;
        let list = |columns: &[AddedColumn]| -> Vec<_> {
            columns.iter().map(|column| json!({ "column": column.name.as_str(), "type": column.ty.name() })).collect()
        };
        let evidence = json!({ "added": list(&growth.new), "wider": list(&growth.wider) });
        client.execute(RECORD, &[&pipeline, &Some(name), &"columns_added", &ACTOR, &evidence]).await?;
    }
    let Growth { new, wider, narrow, left } = growth;
    Ok(Found::Done(Widened { added: new.len(), wider: wider.len(), narrow, left }))
}

async fn remember(
    client: &Client,
    (pipeline, stream): (&str, &StreamMapping),
    growth: &Growth,
    known: usize,
) -> Result<(), Error> {
    let name = stream.name.as_str();
    let columns: Vec<&str> = growth.new.iter().map(|column| column.name.as_str()).collect();
    let fields: Vec<&str> = growth.new.iter().map(|column| &*column.field).collect();
    let types: Vec<String> = growth.new.iter().map(|column| column.ty.name()).collect();
    let known = i32::try_from(known).unwrap_or(i32::MAX / 2);
    client.execute(REMEMBER, &[&pipeline, &name, &columns, &fields, &types, &known]).await?;
    let (schema, table) = (stream.table.schema.as_str(), stream.table.name.as_str());
    client.execute(ddl::REGISTER_COLUMNS, &[&pipeline, &schema, &table, &columns]).await?;
    let wider: Vec<&str> = growth.wider.iter().map(|column| column.name.as_str()).collect();
    client.execute(WIDER, &[&pipeline, &name, &wider]).await.map(drop)
}

impl Growth {
    fn plan((stream, fields): (&StreamMapping, &[NewField]), known: &[AddedColumn], table: &Standing) -> Self {
        let declared = stream.table.columns.iter().map(|column| column.name.as_str());
        let mut taken = Taken::of(declared.chain(table.names.iter().map(String::as_str)));
        taken.add(known.iter().map(|column| column.name.as_str()));
        let mut room = MOST_ADDED
            .saturating_sub(known.len())
            .min(MOST_COLUMNS.saturating_sub(table.names.len()))
            .min(MOST_NUMBERS.saturating_sub(table.numbers));
        let mut growth = Self::default();
        for field in fields.iter().filter(|field| !stream.declares(&field.name)) {
            match known.iter().find(|column| column.field == field.name) {
                Some(column) if (column.ty, field.ty) == (AddedType::Bigint, AddedType::Numeric) => {
                    if table.bytes > MOST_REWRITTEN {
                        growth.narrow += 1;
                    } else {
                        growth.wider.push(AddedColumn { ty: field.ty, ..column.clone() });
                    }
                }
                Some(_) => {}
                None if room == 0 => growth.left += 1,
                None => {
                    room -= 1;
                    let name = taken.column(&field.name);
                    growth.new.push(AddedColumn { name, field: field.name.clone(), ty: field.ty });
                }
            }
        }
        growth
    }

    fn statements(&self, stream: &StreamMapping) -> Vec<String> {
        let shape = |column: &AddedColumn| TableColumn {
            name: column.name.clone(),
            ty: column.ty.ty(),
            not_null: false,
            role: ColumnRole::Mapped(0),
        };
        let new = self.new.iter().map(|column| add_column(&stream.table, &shape(column)));
        let wider = self.wider.iter().map(|column| widen_column(&stream.table, &shape(column)));
        new.chain(wider).collect()
    }
}
