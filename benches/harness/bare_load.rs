//! The baseline of a first load: binary `COPY` of rows made beforehand into a bare heap, then the same key and index.

use crate::mix::Change;
use crate::session::Session;
use crate::user::COLUMN_TYPES;
use crate::users_table::{self, COPY_CHUNK, COPY_HEADER, COPY_TRAILER, SEED_VERSION};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use std::pin::pin;
use tokio_postgres::{Client, Error};

/// Rows of one `COPY` and its transaction.
const ROWS: usize = 50_000;

/// The messages of one copy.
#[derive(Clone, Debug)]
pub struct BareCopy(Vec<Bytes>);

/// Copies for each of `lanes` connections.
pub fn prepare(changes: &[Change], lanes: usize) -> Vec<Vec<BareCopy>> {
    let mut done: Vec<Vec<BareCopy>> = vec![Vec::new(); lanes];
    for (number, rows) in changes.chunks(ROWS).enumerate() {
        done[number % lanes].push(copy(rows));
    }
    done
}

fn copy(rows: &[Change]) -> BareCopy {
    let mut messages = Vec::new();
    let mut chunk = BytesMut::with_capacity(2 * COPY_CHUNK);
    chunk.put_slice(COPY_HEADER);
    let mut fields = Vec::new();
    for change in rows {
        fields.clear();
        change.user.write_fields(SEED_VERSION + 1, &mut fields);
        chunk.put_i16(COLUMN_TYPES.len() as i16);
        chunk.put_slice(&fields);
        if chunk.len() >= COPY_CHUNK {
            messages.push(chunk.split().freeze());
        }
    }
    chunk.put_i16(COPY_TRAILER);
    messages.push(chunk.freeze());
    BareCopy(messages)
}

/// Loads everything, one thread per connection, then builds key and index on the first.
pub fn load(sessions: &mut [Session], copies: &[Vec<BareCopy>]) {
    std::thread::scope(|scope| {
        for (session, copies) in sessions.iter_mut().zip(copies) {
            scope.spawn(move || session.run(async |client| all(client, copies).await));
        }
    });
    users_table::build(&mut sessions[0]);
}

async fn all(client: &Client, copies: &[BareCopy]) -> Result<(), Error> {
    for copy in copies {
        let mut sink = pin!(client.copy_in::<_, Bytes>("COPY bare.users FROM STDIN (FORMAT binary)").await?);
        for message in &copy.0 {
            sink.feed(message.clone()).await?;
        }
        sink.finish().await?;
    }
    Ok(())
}
