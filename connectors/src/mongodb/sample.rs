//! A look at documents, for those who want to know what a collection holds: all of a small one; of a large one its oldest, its newest
//! and some from all over it.

use super::classify::classify;
use super::client::{connect, farewell};
use super::collection::{Kind, collections};
use super::config::MongoConfig;
use crate::failure::Failure;
use bson::{RawDocumentBuf, doc};
use mongodb::{Client, Cursor};

/// Documents at either end of a large collection.
const AT_EACH_END: i64 = 5_000;

/// A connection for looking.
#[derive(Debug)]
pub struct MongoSample {
    client: Client,
    database: String,
}

impl MongoSample {
    /// Connects with the first question.
    pub async fn open(config: &MongoConfig) -> Result<Self, Failure> {
        Ok(Self { client: connect(config).await?, database: config.database.clone() })
    }

    /// Names of the collections that hold documents of their own: no views, nothing of the server's.
    pub async fn collections(&self) -> Result<Vec<String>, Failure> {
        let found = collections(&self.client.database(&self.database), None).await?;
        let plain = found.into_iter().filter(|found| found.kind == Kind::Plain && !found.name.starts_with("system."));
        let mut names: Vec<String> = plain.map(|found| found.name).collect();
        names.sort();
        Ok(names)
    }

    /// Hands out up to about `most` documents of a collection; gives how many it has, by its statistics.
    pub async fn look(&self, collection: &str, most: u64, take: &mut dyn FnMut(&[u8])) -> Result<u64, Failure> {
        let documents = self.client.database(&self.database).collection::<RawDocumentBuf>(collection);
        let failed = |error| classify(&error, "look at a collection");
        let count = documents.estimated_document_count().await.map_err(failed)?;
        if count <= most {
            drain(documents.find(doc! {}).await.map_err(failed)?, take).await?;
            return Ok(count);
        }
        for order in [1, -1] {
            let end = documents.find(doc! {}).sort(doc! { "_id": order }).limit(AT_EACH_END);
            drain(end.await.map_err(failed)?, take).await?;
        }
        let size = i64::try_from(most).unwrap_or(i64::MAX);
        let all_over = documents.aggregate([doc! { "$sample": { "size": size } }]).with_type::<RawDocumentBuf>();
        drain(all_over.await.map_err(failed)?, take).await?;
        Ok(count)
    }

    /// Closes the connections.
    pub async fn close(self) {
        farewell(self.client).await;
    }
}

async fn drain(mut cursor: Cursor<RawDocumentBuf>, take: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
    while cursor.advance().await.map_err(|error| classify(&error, "look at a collection"))? {
        take(cursor.current().as_bytes());
    }
    Ok(())
}
