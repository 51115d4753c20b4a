//! Dead letters as they stand in the target, for people: listed by their heads, shown one by one, given out whole.
//!
//! A head is a letter that parks its key; what came later for the key waits behind it. Reads only, page by page, each in one statement. Keys
//! and payloads are values of the user's: they are fetched only where they are asked for.

use super::classify::classify;
use super::schema::{self, SchemaState};
use super::target::PostgresTarget;
use super::wire::{Link, WireError};
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::{Error, Row};

/// Letters fetched at once, without their payloads.
pub const PAGE: u32 = 500;
/// And with them: a payload may have 16 MiB.
pub const PAGE_WITH_VALUES: u32 = 16;

const COLUMNS: &str = "d.id, d.stream, d.state, d.code, d.path, d.expected, d.found, d.byte_at, d.sqlstate, d.place, d.place_at, \
    d.partition, d.event_offset, d.op, \
    pg_catalog.date_part('epoch', pg_catalog.now() - d.created_at)::int8, \
    pg_catalog.to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
    pg_catalog.octet_length(d.payload)::int8, \
    CASE WHEN d.state <> 'parked' THEN 0 ELSE (SELECT pg_catalog.count(*) FROM landfall.dead_letters b WHERE b.pipeline = d.pipeline AND \
      b.stream = d.stream AND b.key = d.key AND b.state = 'behind') END, \
    CASE WHEN $1 THEN d.key END, CASE WHEN $1 THEN d.payload END";
const CHOSEN: &str = "d.pipeline = $2 AND d.id > $3 AND ($4::text IS NULL OR d.stream = $4) AND ($5::text IS NULL OR d.code = $5) \
    AND ($6::int8 IS NULL OR d.created_at <= pg_catalog.now() - $6 * interval '1 millisecond')";

/// Which letters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LetterChoice {
    /// Of this stream.
    pub stream: Option<String>,
    /// Parked for this reason, by its code.
    pub code: Option<String>,
    /// At least as old.
    pub older_than: Option<Duration>,
    /// Heads alone, or what waits behind them as well.
    pub reach: Reach,
}

/// How much of what waits is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reach {
    /// Letters that park their key.
    #[default]
    Heads,
    /// Those and everything behind them.
    All,
}

impl Reach {
    fn states(self) -> &'static str {
        match self {
            Self::Heads => "d.state = 'parked'",
            Self::All => "d.state IN ('parked', 'behind')",
        }
    }
}

impl LetterChoice {
    /// Milliseconds.
    pub(super) fn age(&self) -> Option<i64> {
        self.older_than.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Whether keys and payloads are fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterValues {
    /// They are not.
    Kept,
    /// They are.
    Fetched,
}

/// A dead letter. `Debug` shows neither key nor payload.
#[derive(Clone)]
pub struct StoredLetter {
    /// Its number.
    pub id: i64,
    /// Stream.
    pub stream: String,
    /// `parked`, `behind`, or how it ended.
    pub state: String,
    /// Why: a code.
    pub code: String,
    /// Where in the record, as a JSON pointer; may be empty.
    pub path: String,
    /// What was expected there.
    pub expected: String,
    /// What kind of thing was found.
    pub found: String,
    /// Byte of the record at which it was found.
    pub byte_at: Option<i64>,
    /// What PostgreSQL said, where it refused.
    pub sqlstate: Option<String>,
    /// File or other place in the source.
    pub place: String,
    /// Byte offset, or number, there.
    pub place_at: i64,
    /// Partition and offset of the event.
    pub event: (i32, i64),
    /// `upsert`, `delete` or `reject`.
    pub op: String,
    /// Seconds since it was parked.
    pub age_seconds: i64,
    /// When it was parked, RFC 3339.
    pub parked_at: String,
    /// Bytes of the payload.
    pub payload_bytes: i64,
    /// Later changes of the key that wait behind it.
    pub behind: i64,
    /// Encoded key.
    pub key: Option<Vec<u8>>,
    /// The record's bytes.
    pub payload: Option<Vec<u8>>,
}

impl std::fmt::Debug for StoredLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredLetter").field("id", &self.id).field("code", &self.code).finish_non_exhaustive()
    }
}

impl PostgresTarget {
    /// A page of letters that wait, by number, behind number `after`.
    pub async fn letters(
        &self,
        choice: &LetterChoice,
        (after, most): (i64, u32),
        values: LetterValues,
    ) -> Result<Vec<StoredLetter>, Failure> {
        let states = choice.reach.states();
        let sql = format!(
            "SELECT {COLUMNS} FROM landfall.dead_letters d WHERE {CHOSEN} AND {states} ORDER BY d.id LIMIT {most}"
        );
        self.fetch(&sql, choice, after, values).await
    }

    /// How many letters wait, by code.
    pub async fn letter_counts(&self, choice: &LetterChoice) -> Result<BTreeMap<String, u64>, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        if schema::state(&mut link, limit).await? == SchemaState::Absent {
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "SELECT d.code, pg_catalog.count(*) FROM landfall.dead_letters d WHERE $1 AND {CHOSEN} AND {} GROUP BY d.code",
            choice.reach.states()
        );
        let Link { client, driver, .. } = &mut link;
        let asked = async {
            let rows = client
                .query(&sql, &[&true, &target.pipeline, &0_i64, &choice.stream, &choice.code, &choice.age()])
                .await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()))).collect()
        };
        driver.drive(limit, asked).await.map_err(|error: WireError| classify(&error, "count dead letters"))
    }

    /// One letter, also one that is settled.
    pub async fn letter(&self, id: i64, values: LetterValues) -> Result<Option<StoredLetter>, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM landfall.dead_letters d WHERE {CHOSEN} AND d.id = $3 + 1");
        let found = self.fetch(&sql, &LetterChoice::default(), id.saturating_sub(1), values).await?;
        Ok(found.into_iter().next())
    }

    async fn fetch(
        &self,
        sql: &str,
        choice: &LetterChoice,
        after: i64,
        values: LetterValues,
    ) -> Result<Vec<StoredLetter>, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        if schema::state(&mut link, limit).await? == SchemaState::Absent {
            return Ok(Vec::new());
        }
        let fetched = values == LetterValues::Fetched;
        let age = choice.age();
        let Link { client, driver, .. } = &mut link;
        let asked = async {
            let rows =
                client.query(sql, &[&fetched, &target.pipeline, &after, &choice.stream, &choice.code, &age]).await?;
            rows.iter().map(letter).collect::<Result<Vec<_>, Error>>()
        };
        driver.drive(limit, asked).await.map_err(|error| classify(&error, "read dead letters"))
    }
}

fn letter(row: &Row) -> Result<StoredLetter, Error> {
    Ok(StoredLetter {
        id: row.try_get(0)?,
        stream: row.try_get(1)?,
        state: row.try_get(2)?,
        code: row.try_get(3)?,
        path: row.try_get(4)?,
        expected: row.try_get(5)?,
        found: row.try_get(6)?,
        byte_at: row.try_get(7)?,
        sqlstate: row.try_get(8)?,
        place: row.try_get(9)?,
        place_at: row.try_get(10)?,
        event: (row.try_get(11)?, row.try_get(12)?),
        op: row.try_get(13)?,
        age_seconds: row.try_get(14)?,
        parked_at: row.try_get(15)?,
        payload_bytes: row.try_get(16)?,
        behind: row.try_get(17)?,
        key: row.try_get(18)?,
        payload: row.try_get(19)?,
    })
}
