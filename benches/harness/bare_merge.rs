//! The baseline of the sink: a bare loop of `COPY` into a stage, `MERGE`, checkpoint, `COMMIT`, from bytes made beforehand.
//!
//! The statements have the shape of the product's: stage with `ON COMMIT DELETE ROWS`, version guard, no-op guard on binary
//! images, compare-and-set of a checkpoint row in the same transaction, pinned plans, three round trips per batch. What is
//! missing is everything around them: no encoding, no failure handling, one checkpoint row per connection instead of one per
//! partition.

use crate::bare_table::BareTable;
use crate::session::Session;
use crate::users_table::{BARE_USERS, COPY_CHUNK, COPY_HEADER, COPY_TRAILER};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use futures_util::future::join;
use landfall_connectors::sink::SinkBatch;
use landfall_schemas::row::RowOp;
use std::pin::pin;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

/// Plans that do not depend on what the planner believes of the stage's size.
const SETTINGS: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; \
    SET enable_material = off; SET enable_memoize = off; SET plan_cache_mode = force_generic_plan; SET jit = off";

const CHECKPOINTS: &str = "DROP TABLE IF EXISTS bare.checkpoints; \
    CREATE TABLE bare.checkpoints (lane int4 PRIMARY KEY, next_offset int8 NOT NULL, \
    updated_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 20); \
    INSERT INTO bare.checkpoints SELECT lane, 0 FROM generate_series(0, 63) AS lane";

const ADVANCE: &str =
    "UPDATE bare.checkpoints SET next_offset = $3, updated_at = now() WHERE lane = $1 AND next_offset = $2";

/// One transaction: the copy's messages and how many events they came from.
#[derive(Clone, Debug)]
pub struct BareBatch {
    messages: Vec<Bytes>,
    events: i64,
}

/// Makes the copy streams of prepared batches of users.
pub fn prepare(lanes: &[Vec<SinkBatch>]) -> Vec<Vec<BareBatch>> {
    prepare_for(&BARE_USERS, lanes)
}

/// Makes the copy streams of prepared batches of rows of `table`.
pub fn prepare_for(table: &BareTable, lanes: &[Vec<SinkBatch>]) -> Vec<Vec<BareBatch>> {
    lanes.iter().map(|batches| batches.iter().map(|batch| messages(table, batch)).collect()).collect()
}

fn messages(table: &BareTable, batch: &SinkBatch) -> BareBatch {
    let mut messages = Vec::new();
    let mut chunk = BytesMut::with_capacity(2 * COPY_CHUNK);
    chunk.put_slice(COPY_HEADER);
    for row in &batch.rows.rows {
        chunk.put_i16(table.columns.len() as i16 + 1);
        chunk.put_i32(1);
        chunk.put_u8(if row.op == RowOp::Delete { b'D' } else { b'U' });
        chunk.put_slice(batch.rows.fields(row));
        if chunk.len() >= COPY_CHUNK {
            messages.push(chunk.split().freeze());
        }
    }
    chunk.put_i16(COPY_TRAILER);
    messages.push(chunk.freeze());
    let events: u64 = batch.advances.iter().map(|advance| advance.counts.total()).sum();
    BareBatch { messages, events: events.cast_signed() }
}

/// Sets the checkpoints back.
pub fn reset(session: &mut Session) {
    session.execute(CHECKPOINTS);
}

/// A connection with its stage and statements.
#[derive(Debug)]
pub struct BareLane {
    session: Session,
    lane: i32,
    copy: Statement,
    merge: Statement,
    advance: Statement,
}

impl BareLane {
    /// Connects and prepares; `bare.users` must exist.
    pub fn open(url: &str, lane: usize) -> Self {
        Self::onto(&BARE_USERS, url, lane)
    }

    /// Connects and prepares; `table` must exist.
    pub fn onto(table: &BareTable, url: &str, lane: usize) -> Self {
        let mut session = Session::open(url);
        session.execute(SETTINGS);
        session.execute(&format!("CREATE TEMPORARY TABLE stage ({}) ON COMMIT DELETE ROWS", stage_columns(table)));
        let (copy, merge, advance) = session.run(async |client| {
            Ok((
                client.prepare(&copy_sql(table)).await?,
                client.prepare(&merge_sql(table)).await?,
                client.prepare(ADVANCE).await?,
            ))
        });
        Self { session, lane: lane as i32, copy, merge, advance }
    }

    /// Applies all batches, one after the other.
    pub fn apply(&mut self, batches: &[BareBatch]) {
        let Self { session, lane, copy, merge, advance } = self;
        session.run(async |client| {
            let mut at = 0;
            for batch in batches {
                let step = (*lane, at, at + batch.events);
                one(client, (copy, merge, advance), batch, step).await?;
                at += batch.events;
            }
            Ok(())
        });
    }
}

async fn one(
    client: &Client,
    (copy, merge, advance): (&Statement, &Statement, &Statement),
    batch: &BareBatch,
    (lane, from, until): (i32, i64, i64),
) -> Result<(), Error> {
    let (begun, sink) = join(client.batch_execute("BEGIN"), client.copy_in::<_, Bytes>(copy)).await;
    begun?;
    let mut sink = pin!(sink?);
    for message in &batch.messages {
        sink.feed(message.clone()).await?;
    }
    let step: [&(dyn ToSql + Sync); 3] = [&lane, &from, &until];
    let moved = client.execute(advance, &step);
    let (copied, (merged, moved)) = join(sink.finish(), join(client.execute(merge, &[]), moved)).await;
    copied?;
    merged?;
    assert_eq!(moved?, 1, "nobody else moves the bare checkpoint");
    client.batch_execute("COMMIT").await
}

/// Applies each lane's batches on a connection of its own, all at once. Connections are opened beforehand by the caller.
pub fn apply_all(lanes: &mut [BareLane], batches: &[Vec<BareBatch>]) {
    std::thread::scope(|scope| {
        for (lane, batches) in lanes.iter_mut().zip(batches) {
            scope.spawn(move || lane.apply(batches));
        }
    });
}

fn stage_columns(table: &BareTable) -> String {
    let columns = table.columns.iter().enumerate().map(|(at, (name, ty))| {
        let collation = if at == 0 { " COLLATE \"C\"" } else { "" };
        format!("{name} {ty}{collation}")
    });
    format!("op \"char\" NOT NULL, {}", columns.collect::<Vec<_>>().join(", "))
}

fn names(table: &BareTable, prefix: &str, part: std::ops::Range<usize>) -> String {
    let names = table.columns[part].iter().map(|(name, _)| format!("{prefix}{name}"));
    names.collect::<Vec<_>>().join(", ")
}

fn copy_sql(table: &BareTable) -> String {
    format!("COPY stage (op, {}) FROM STDIN (FORMAT binary)", names(table, "", 0..table.columns.len()))
}

fn merge_sql(table: &BareTable) -> String {
    let all = 0..table.columns.len();
    // Between the key, which is first, and the version, which is last.
    let payload = 1..table.columns.len() - 1;
    let set: Vec<String> = table.columns.iter().skip(1).map(|(name, _)| format!("{name} = s.{name}")).collect();
    format!(
        "MERGE INTO {table} AS t USING stage AS s ON t.{key} = s.{key} \
         WHEN MATCHED AND s.op = 'D' AND t._lf_version < s._lf_version THEN DELETE \
         WHEN MATCHED AND s.op = 'U' AND t._lf_version < s._lf_version AND record_image_ne(ROW({}), ROW({})) \
         THEN UPDATE SET {} WHEN NOT MATCHED AND s.op = 'U' THEN INSERT ({}) VALUES ({})",
        names(table, "t.", payload.clone()),
        names(table, "s.", payload),
        set.join(", "),
        names(table, "", all.clone()),
        names(table, "s.", all),
        table = table.name,
        key = table.key(),
    )
}
