//! Rows into the tables of a stream, inside a transaction that somebody else ends.
//!
//! The stream's own table is written first. Each table below it then loses what its parents' new sets do not hold and takes what they
//! do, both only where the parent's row is not newer than what is written (promises 2 and 8).
//!
//! ```text
//! arrays:  BEGIN · root · (gone · merge of each table below) · tail                                  one round trip
//! stages:  BEGIN · COPY of each table with rows │ … │ root · (gone · merge of each table below) · tail
//! heap:    BEGIN · COPY of each table with rows │ … │ tail
//! ```

use super::apply::{Way, Writing};
use super::child_statement::{ChildVerb, child_sql};
use super::connect::BEGIN;
use super::copy::{self, Encoded, Into, TableRows};
use super::statement::{Equal, Rows, Verb, sql, stage_columns};
use super::wire::{Link, WireError};
use bytes::Bytes;
use futures_util::future::join;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::row::{Row, RowOp, RowSet};
use landfall_schemas::table::TableShape;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, Error, Statement};

/// Up to this many rows travel as arrays: it saves a round trip and the temporary table's catalogue work. Measured: even
/// with the stage at a few hundred rows, behind it at thousands.
pub(crate) const MOST_ROWS_AS_ARRAYS: usize = 256;

/// Statements that write the rows of one attempt, prepared; the stream's own table first.
pub(crate) struct Plan {
    from: Rows,
    tables: Vec<TablePlan>,
}

/// What is done to one table.
struct TablePlan {
    /// `None`: the stream's own.
    child: Option<u16>,
    copy: Option<(Into, Statement)>,
    /// Takes away what the parents' new sets do not hold.
    vanish: Option<Statement>,
    writes: Vec<Statement>,
}

/// Whether a table of the stream has a column that is an array.
fn has_arrays(stream: &StreamMapping) -> bool {
    let below = stream.child_tables().map(|child| &child.table);
    let mut columns = std::iter::once(&stream.table).chain(below).flat_map(|table| &table.columns);
    columns.any(|column| matches!(column.ty, PgType::Array(_)))
}

/// Prepares what writes these rows, and creates the stages that are needed and not there yet.
pub(crate) async fn plan(
    link: &mut Link,
    limit: Duration,
    stream: &StreamMapping,
    ((set, rows), Writing { way, equal }): ((&RowSet, &[Row]), Writing),
) -> Result<Plan, WireError> {
    let below: usize = rows.iter().map(|row| row.children.len()).sum();
    // A parameter of arrays would be one array of two dimensions: they travel by `COPY`.
    let as_arrays = rows.len() + below <= MOST_ROWS_AS_ARRAYS && !has_arrays(stream);
    let from = if as_arrays { Rows::Arrays } else { Rows::Stage };
    let mut plan = Plan { from, tables: Vec::new() };
    if rows.is_empty() {
        return Ok(plan);
    }
    let root = &stream.table;
    if way == Way::Heap {
        let copy = prepare(link, limit, sql(root, Verb::CopyHeap, "")).await?;
        plan.tables.push(TablePlan::copied(None, copy));
        for (number, child) in (0..).zip(stream.child_tables()).filter(|(number, _)| has_rows((set, rows), *number)) {
            let copy = prepare(link, limit, sql(&child.table, Verb::CopyHeap, "")).await?;
            plan.tables.push(TablePlan::copied(Some(number), copy));
        }
        return Ok(plan);
    }
    // A record whose nested values changed has changed, whatever its own columns say: its row tells that it is newer.
    // In a replay the row has its version already.
    let stamped = if stream.children.is_empty() || equal == Equal::Rewritten { equal } else { Equal::Stamped };
    let staged = stage_for(link, limit, (root, from), StageIndex::None).await?;
    let copy = into_stage(link, limit, (root, from), &staged).await?;
    let deletes = rows.iter().any(|row| row.op == RowOp::Delete);
    let verbs = match way {
        Way::Merge | Way::Heap => vec![Verb::Merge(from, stamped)],
        Way::OnConflict if deletes => vec![Verb::Delete(from, equal), Verb::Upsert(from, stamped)],
        Way::OnConflict => vec![Verb::Upsert(from, stamped)],
    };
    let mut writes = Vec::with_capacity(verbs.len());
    for verb in verbs {
        writes.push(prepare(link, limit, sql(root, verb, &staged)).await?);
    }
    plan.tables.push(TablePlan { child: None, copy, vanish: None, writes });
    for (number, child) in (0..).zip(stream.child_tables()) {
        let table = &child.table;
        let own = stage_for(link, limit, (table, from), StageIndex::Key).await?;
        let (stages, tables) = ((staged.as_str(), own.as_str()), (root, table));
        let vanish = prepare(link, limit, child_sql(tables, ChildVerb::Vanish(from, equal), stages)).await?;
        let mut this = TablePlan { child: Some(number), copy: None, vanish: Some(vanish), writes: Vec::new() };
        if has_rows((set, rows), number) {
            let verb = match way {
                Way::Merge | Way::Heap => ChildVerb::Merge(from, equal),
                Way::OnConflict => ChildVerb::Upsert(from, equal),
            };
            this.copy = into_stage(link, limit, (table, from), &own).await?;
            this.writes.push(prepare(link, limit, child_sql(tables, verb, stages)).await?);
        }
        plan.tables.push(this);
    }
    Ok(plan)
}

impl TablePlan {
    fn copied(child: Option<u16>, copy: Statement) -> Self {
        Self { child, copy: Some((Into::Heap, copy)), vanish: None, writes: Vec::new() }
    }

    fn shape<'s>(&self, stream: &'s StreamMapping) -> &'s TableShape {
        let child = self.child.and_then(|number| stream.child_tables().nth(usize::from(number)));
        child.map_or(&stream.table, |child| &child.table)
    }
}

fn has_rows((set, rows): (&RowSet, &[Row]), table: u16) -> bool {
    rows.iter().any(|row| set.children(row).iter().any(|child| child.table == table))
}

/// What a stage is looked up by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StageIndex {
    /// It is read as a whole.
    None,
    /// By the table's key: whether a row is still there is asked of it.
    Key,
}

/// The stage of a shape on this connection, if rows come from one.
async fn stage_for(
    link: &mut Link,
    limit: Duration,
    (shape, from): (&TableShape, Rows),
    index: StageIndex,
) -> Result<String, WireError> {
    if from == Rows::Arrays {
        return Ok(String::new());
    }
    let definition = format!("{}: {}", shape.qualified(), stage_columns(shape));
    if let Some(name) = link.prepared.stage(&definition) {
        return Ok(name.to_owned());
    }
    let name = link.prepared.next_stage();
    let mut create = format!(
        "{BEGIN}; CREATE TEMPORARY TABLE pg_temp.\"{name}\" ({}) ON COMMIT DELETE ROWS; ",
        stage_columns(shape)
    );
    if index == StageIndex::Key {
        let key: Vec<String> = shape.key().iter().map(|column| column.name.quoted()).collect();
        create.push_str(&format!("CREATE INDEX ON pg_temp.\"{name}\" ({}); ", key.join(", ")));
    }
    create.push_str("COMMIT");
    let Link { client, driver, .. } = &mut *link;
    driver.drive(limit, client.batch_execute(&create)).await?;
    link.prepared.stage_created(definition, name.clone());
    Ok(name)
}

async fn into_stage(
    link: &mut Link,
    limit: Duration,
    (shape, from): (&TableShape, Rows),
    stage: &str,
) -> Result<Option<(Into, Statement)>, WireError> {
    match from {
        Rows::Arrays => Ok(None),
        Rows::Stage => Ok(Some((Into::Stage, prepare(link, limit, sql(shape, Verb::CopyStage, stage)).await?))),
    }
}

/// A prepared statement, from the connection's store or new.
pub(crate) async fn prepare(link: &mut Link, limit: Duration, sql: impl AsRef<str>) -> Result<Statement, WireError> {
    let sql = sql.as_ref();
    if let Some(statement) = link.prepared.get(sql) {
        return Ok(statement.clone());
    }
    let Link { client, driver, .. } = &mut *link;
    let statement = driver.drive(limit, client.prepare(sql)).await?;
    link.prepared.put(sql.to_owned(), statement.clone());
    Ok(statement)
}

/// `BEGIN`, the rows, and `tail` behind them. The first error in order is the cause; those behind it only say that the
/// transaction has failed.
pub(crate) async fn write<T>(
    client: &Client,
    stream: &StreamMapping,
    plan: &Plan,
    rows: (&RowSet, &[Row]),
    tail: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let begin = client.batch_execute(BEGIN);
    let copies: Vec<(&TablePlan, &(Into, Statement))> =
        plan.tables.iter().filter_map(|table| Some((table, table.copy.as_ref()?))).collect();
    let Some(((last, into_last), before)) = copies.split_last() else {
        let statements = statements(stream, plan, rows);
        let (begun, (written, done)) = join(begin, join(execute_all(client, &statements), tail)).await;
        begun?;
        written?;
        return done;
    };
    let mut begin = Some(begin);
    for (table, into) in before {
        let sink = open(client, begin.take(), into).await?;
        let mut sink: Pin<&mut CopyInSink<Bytes>> = pin!(sink);
        let sent = copy::send(sink.as_mut(), table.shape(stream), into.0, &table_rows(table.child, rows)).await;
        sink.finish().await?;
        sent?;
    }
    let sink = open(client, begin.take(), into_last).await?;
    let mut sink: Pin<&mut CopyInSink<Bytes>> = pin!(sink);
    // When the server gives up in the middle, its error comes from `finish`.
    let sent = copy::send(sink.as_mut(), last.shape(stream), into_last.0, &table_rows(last.child, rows)).await;
    fail::fail_point!("sink::after_copy");
    let statements = statements(stream, plan, rows);
    let (copied, (written, done)) = join(sink.finish(), join(execute_all(client, &statements), tail)).await;
    copied?;
    sent?;
    written?;
    done
}

/// Opens a copy, the transaction's beginning in front of it if it has not begun.
async fn open(
    client: &Client,
    begin: Option<impl Future<Output = Result<(), Error>>>,
    (_, copy): &(Into, Statement),
) -> Result<CopyInSink<Bytes>, Error> {
    let Some(begin) = begin else { return client.copy_in(copy).await };
    let (begun, sink) = join(begin, client.copy_in::<_, Bytes>(copy)).await;
    begun?;
    sink
}

/// The rows of one table.
fn table_rows<'a>(child: Option<u16>, (set, rows): (&'a RowSet, &'a [Row])) -> TableRows<'a> {
    TableRows { set, rows, child }
}

/// A statement and its parameters.
type Ready<'p> = (&'p Statement, Vec<Encoded>);

/// What writes, in order.
fn statements<'p>(stream: &StreamMapping, plan: &'p Plan, rows: (&RowSet, &[Row])) -> Vec<Ready<'p>> {
    let mut out = Vec::new();
    let claims = match plan.from {
        Rows::Arrays if plan.tables.len() > 1 => copy::claims(&stream.table, rows),
        _ => Vec::new(),
    };
    for table in &plan.tables {
        let arrays = match plan.from {
            Rows::Arrays if !(table.writes.is_empty() && table.vanish.is_none()) => {
                copy::arrays(table.shape(stream), &table_rows(table.child, rows))
            }
            _ => Vec::new(),
        };
        if let Some(vanish) = &table.vanish {
            out.push((vanish, arrays.iter().chain(&claims).cloned().collect()));
        }
        out.extend(table.writes.iter().map(|write| (write, arrays.clone())));
    }
    out
}

/// Runs statements in order, all sent before the first answer. The first error in order is the cause.
async fn execute_all(client: &Client, statements: &[Ready<'_>]) -> Result<(), Error> {
    let run = |(statement, arrays): &Ready<'_>| {
        let statement = Statement::clone(statement);
        let arrays = arrays.clone();
        async move {
            let parameters: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|a| a as &(dyn ToSql + Sync)).collect();
            client.execute(&statement, &parameters).await
        }
    };
    let mut running: Vec<_> = statements.iter().map(|ready| (Box::pin(run(ready)), None)).collect();
    poll_fn(|cx| {
        // In order: what is polled first is sent first.
        let mut pending = false;
        for (statement, answer) in &mut running {
            if answer.is_none() {
                match statement.as_mut().poll(cx) {
                    Poll::Ready(done) => *answer = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, answer)| answer).try_for_each(|answer| answer.map(drop))
}
