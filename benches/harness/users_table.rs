//! The users table: its DDL by hand, its seed, and what stands in it.
//!
//! Written apart from the product's DDL, so that a change there shows as a change of the ratio. The key compares by bytes, the
//! e-mail address has a plain index, and pages keep a tenth free, as in the table that the product makes: loops are compared,
//! not tables.

use crate::bare_table::BareTable;
use crate::session::Session;
use crate::user::{COLUMN_TYPES, User};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use std::pin::pin;
use tokio_postgres::{Client, Error};

/// Version of rows that stand before a run: below any version of a change.
pub const SEED_VERSION: i64 = 1;

/// `PGCOPY` signature, no flags, no extension.
pub const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Ends a binary copy.
pub const COPY_TRAILER: i16 = -1;
/// Bytes per message.
pub const COPY_CHUNK: usize = 64 * 1024;

/// The table of the baselines.
pub const BARE_USERS: BareTable = BareTable {
    name: "bare.users",
    columns: &COLUMN_TYPES,
    indexes: "ALTER TABLE bare.users ADD PRIMARY KEY (id); CREATE INDEX ON bare.users (email)",
    write: User::write_fields,
    delete: User::write_delete,
};

/// Fills `seed.users` with users `0..rows`, unless it holds them already.
pub fn seed(session: &mut Session, rows: u64) {
    session.execute("CREATE SCHEMA IF NOT EXISTS seed");
    session.execute(&format!("CREATE UNLOGGED TABLE IF NOT EXISTS seed.users ({})", BARE_USERS.definition()));
    if session.number("SELECT count(*) FROM seed.users") == rows.cast_signed() {
        return;
    }
    session.execute("TRUNCATE seed.users");
    session.run(async |client| copy_seed(client, rows).await);
}

async fn copy_seed(client: &Client, rows: u64) -> Result<(), Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>("COPY seed.users FROM STDIN (FORMAT binary)").await?);
    let mut chunk = BytesMut::with_capacity(2 * COPY_CHUNK);
    chunk.put_slice(COPY_HEADER);
    let mut fields = Vec::new();
    for number in 0..rows {
        fields.clear();
        User::new(number, 0).write_fields(SEED_VERSION, &mut fields);
        chunk.put_i16(COLUMN_TYPES.len() as i16);
        chunk.put_slice(&fields);
        if chunk.len() >= COPY_CHUNK {
            sink.feed(chunk.split().freeze()).await?;
        }
    }
    chunk.put_i16(COPY_TRAILER);
    sink.feed(chunk.freeze()).await?;
    sink.finish().await.map(|_| ())
}

/// Makes `bare.users` anew: empty heap, no key.
pub fn bare_heap(session: &mut Session) {
    heap(session, &BARE_USERS);
}

/// Makes a table of the baselines anew: empty heap, no key.
pub fn heap(session: &mut Session, table: &BareTable) {
    session.execute("CREATE SCHEMA IF NOT EXISTS bare");
    let (name, columns) = (table.name, table.definition());
    session.execute(&format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns}) WITH (fillfactor = 90)"));
}

/// Copies the seed into `table`, which must be a heap without indexes.
pub fn fill(session: &mut Session, table: &str) {
    session.execute(&format!("INSERT INTO {table} SELECT * FROM seed.users"));
}

/// Key and index of `bare.users`.
pub fn build(session: &mut Session) {
    session.execute(BARE_USERS.indexes);
}

/// `bare.users` with the seed in it, key and index built, analysed.
pub fn bare_table(session: &mut Session) {
    bare_heap(session);
    fill(session, "bare.users");
    build(session);
    session.execute("ANALYZE bare.users");
}

/// What PostgreSQL says it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Rows.
    pub rows: u64,
    /// Rows written by the run itself.
    pub written: u64,
}

/// Counts.
pub fn counted(session: &mut Session, table: &str) -> Counted {
    let rows = session.number(&format!("SELECT count(*) FROM {table}"));
    let written = session.number(&format!("SELECT count(*) FROM {table} WHERE _lf_version > {SEED_VERSION}"));
    Counted { rows: rows.unsigned_abs(), written: written.unsigned_abs() }
}
