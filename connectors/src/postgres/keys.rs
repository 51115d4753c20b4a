//! The keys that stand in a table, encoded as capture encodes them: what takes the place of a lost file index.

use super::classify::classify;
use super::statement::own_rows;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::failure::{Failure, FailureClass};
use futures_util::TryStreamExt;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::pgtype::PgType;
use std::pin::pin;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// Longest the reading may take: some ten million keys on a slow line.
const LIMIT: Duration = Duration::from_secs(600);

impl PostgresTarget {
    /// All keys of the stream's table. `Halt`/`keys_not_readable` for key types whose encoding the table does not give back
    /// (a `uuid` forgets its case, a time its zone).
    pub async fn keys(&self, mapping: &StreamMapping) -> Result<Vec<Vec<u8>>, Failure> {
        let encode = encoder(mapping)?;
        let (column, table) = (mapping.key.column.quoted(), &mapping.table);
        let sql = format!("SELECT t.{column}::text FROM {} AS t WHERE true{}", table.qualified(), own_rows(table));
        let mut link = self.inner.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let read = Box::pin(read(client, &sql, encode));
        driver.drive(LIMIT, read).await.map_err(|error| classify(&error, "read the keys of a table"))
    }
}

/// Whether the keys of this stream's table can be read back; fails as [`PostgresTarget::keys`] would.
pub(crate) fn are_readable(mapping: &StreamMapping) -> Result<(), Failure> {
    encoder(mapping).map(drop)
}

async fn read(client: &Client, sql: &str, encode: Encode) -> Result<Vec<Vec<u8>>, Error> {
    let mut rows = pin!(client.query_raw(sql, std::iter::empty::<i32>()).await?);
    let mut keys = Vec::new();
    let mut key = RecordKey::default();
    while let Some(row) = rows.try_next().await? {
        let text: &str = row.try_get(0)?;
        encode(&mut key, text);
        keys.push(key.as_bytes().to_vec());
    }
    Ok(keys)
}

type Encode = fn(&mut RecordKey, &str);

fn encoder(mapping: &StreamMapping) -> Result<Encode, Failure> {
    match mapping.key.ty {
        None => Ok(|key, text| key.set_encoded(text.as_bytes())),
        // The one spelling that a JSON store may use for it.
        Some(PgType::ObjectId) if mapping.format == RecordFormat::Json => Ok(|key, text| key.string(text)),
        Some(PgType::ObjectId) => Ok(|key, text| key.set_encoded(format!("o:{text}").as_bytes())),
        Some(PgType::Text) => Ok(|key, text| key.string(text)),
        // An integer's text is a JSON number: encoding it cannot fail, and a key left empty would match no record.
        Some(PgType::Int2 | PgType::Int4 | PgType::Int8) => Ok(|key, text| {
            let _ = key.set_json(text.as_bytes());
        }),
        Some(other) => {
            let detail = format!(
                "what was captured of stream {} is lost, and keys of type {other} cannot be read back from the table as the source \
                 wrote them: load the stream anew into an empty table",
                mapping.name
            );
            Err(Failure::new(FailureClass::Halt, "keys_not_readable", detail))
        }
    }
}
