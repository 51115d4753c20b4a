//! The baseline of a first load: binary `COPY` of rows made beforehand into a bare heap, then the same key and index.

use crate::bare_table::BareTable;
use crate::mix::Change;
use crate::session::Session;
use crate::users_table::{BARE_USERS, COPY_CHUNK, COPY_HEADER, COPY_TRAILER, SEED_VERSION};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use std::pin::pin;
use tokio_postgres::{Client, Error};

/// Rows of one `COPY` and its transaction.
const ROWS: usize = 50_000;

/// The messages of one copy.
#[derive(Clone, Debug)]
pub struct BareCopy(Vec<Bytes>);

/// Copies of users for each of `lanes` connections.
pub fn prepare(changes: &[Change], lanes: usize) -> Vec<Vec<BareCopy>> {
    prepare_for(&BARE_USERS, changes, lanes)
}

/// Copies of rows of `table`.
pub fn prepare_for(table: &BareTable, changes: &[Change], lanes: usize) -> Vec<Vec<BareCopy>> {
    let mut done: Vec<Vec<BareCopy>> = vec![Vec::new(); lanes];
    for (number, rows) in changes.chunks(ROWS).enumerate() {
        done[number % lanes].push(copy(table, rows));
    }
    done
}

fn copy(table: &BareTable, rows: &[Change]) -> BareCopy {
    let mut messages = Vec::new();
    let mut chunk = BytesMut::with_capacity(2 * COPY_CHUNK);
    chunk.put_slice(COPY_HEADER);
    let mut fields = Vec::new();
    for change in rows {
        fields.clear();
        (table.write)(change.user, SEED_VERSION + 1, &mut fields);
        chunk.put_i16(table.columns.len() as i16);
        chunk.put_slice(&fields);
        if chunk.len() >= COPY_CHUNK {
            messages.push(chunk.split().freeze());
        }
    }
    chunk.put_i16(COPY_TRAILER);
    messages.push(chunk.freeze());
    BareCopy(messages)
}

/// Loads users, one thread per connection, then builds key and index on the first.
pub fn load(sessions: &mut [Session], copies: &[Vec<BareCopy>]) {
    load_into(&BARE_USERS, sessions, copies);
}

/// Loads rows of `table`, then builds its indexes.
pub fn load_into(table: &BareTable, sessions: &mut [Session], copies: &[Vec<BareCopy>]) {
    std::thread::scope(|scope| {
        for (session, copies) in sessions.iter_mut().zip(copies) {
            scope.spawn(move || session.run(async |client| all(client, table, copies).await));
        }
    });
    sessions[0].execute(table.indexes);
}

async fn all(client: &Client, table: &BareTable, copies: &[BareCopy]) -> Result<(), Error> {
    let statement = format!("COPY {} FROM STDIN (FORMAT binary)", table.name);
    for copy in copies {
        let mut sink = pin!(client.copy_in::<_, Bytes>(&*statement).await?);
        for message in &copy.0 {
            sink.feed(message.clone()).await?;
        }
        sink.finish().await?;
    }
    Ok(())
}
