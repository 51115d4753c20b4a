//! Documents by their `_id`s, in place of a range: what of a collection is captured again for some keys.

use super::command::{self, Target};
use super::{CHUNK_LIMIT, MongoSnapshot, Reading};
use crate::failure::Failure;
use crate::mongodb::classify::classify;
use crate::snapshot::Chunk;
use bson::{Bson, RawArrayBuf, RawBson};
use landfall_schemas::stream::StreamId;
use mongodb::error::Error;

/// Documents of one reply.
const REPLY: u32 = 100;

impl MongoSnapshot {
    /// Fills `chunk` with the documents that have one of these `_id`s, whose number bounds it. As new as every other read: of the majority, and
    /// not before the time that is asked of the primary now.
    pub(in crate::mongodb) async fn by_id(
        &self,
        stream: StreamId,
        ids: &[Bson],
        chunk: &mut Chunk,
    ) -> Result<(), Failure> {
        let copied = &*self.copied(stream)?;
        let target = Target { collection: &copied.collection, floor: self.new_floor(copied).await? };
        let mut list = RawArrayBuf::new();
        // Whatever a key stands for can be said in BSON.
        ids.iter().filter_map(|id| RawBson::try_from(id.clone()).ok()).for_each(|id| list.push(id));
        let failed = |error: Error| classify(&error, "reading documents by their _id");
        let command = command::by_id(target, list, (REPLY, CHUNK_LIMIT));
        let mut cursor = self.reached().await?.cursor(command, REPLY).await.map_err(failed)?;
        let mut reading = Reading::new(copied, chunk);
        while cursor.advance().await.map_err(failed)? {
            reading.take(cursor.current())?;
        }
        Ok(())
    }
}
