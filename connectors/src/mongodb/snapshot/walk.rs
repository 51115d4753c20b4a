//! Walks: open cursors of a copy, each standing behind the last document that was read of its range.
//!
//! A range is read in chunks, and the next chunk usually begins where the last one ended: then the cursor is read on instead of being opened
//! anew, unless it is old: none lives longer than half a minute. It is never relied upon: one that is gone (timed out, failed over, out of time) is opened anew behind the last `_id`, in the same call.
//! What a cursor shows may be older than its reading, never older than its opening; whatever changed since is captured.
//!
//! A range ends in at most two legs (see [`Leg`]). At most one walk waits for each range: the next one takes its place.

use super::command::{self, Leg, Target};
use super::{CHUNK_LIMIT, Copied, MongoSnapshot, Reading, bounds};
use crate::failure::{Failure, FailureClass};
use crate::mongodb::classify::{classify, server_code};
use crate::snapshot::{Chunk, ChunkLimit, KeyRange, Mark};
use bson::RawDocumentBuf;
use landfall_schemas::stream::StreamId;
use mongodb::Cursor;
use mongodb::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A walk that is older is given up for a new one: no cursor of ours lives long, whatever the size of its range.
const OLDEST_WALK: Duration = Duration::from_secs(30);
/// The server's code for an operation that ran into `maxTimeMS`.
const MAX_TIME_EXPIRED: i32 = 50;

/// Walks that wait for their next chunk.
#[derive(Debug, Default)]
pub(super) struct Walks(Mutex<Vec<Walk>>);

/// An open cursor.
pub(super) struct Walk {
    /// Taken when dropped.
    cursor: Option<Cursor<RawDocumentBuf>>,
    /// Where the driver says farewell to the cursor.
    runtime: Handle,
    leg: Leg,
    /// Documents of a reply.
    batch: u32,
    opened: Instant,
    /// The last document that was read of it.
    reached: Option<Mark>,
    upto: Option<Mark>,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("leg", &self.leg).field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl Drop for Walk {
    /// The driver starts a task that closes the cursor.
    fn drop(&mut self) {
        let _context = self.runtime.enter();
        drop(self.cursor.take());
    }
}

impl Walks {
    /// The walk that stands at the beginning of `range`, if its replies are worth being read on for `most` documents: those that were
    /// opened while nothing was known of the documents are small.
    fn take(&self, range: &KeyRange, most: u32) -> Option<Walk> {
        let mut walks = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
        let at = walks.iter().position(|walk| walk.upto == range.upto)?;
        let walk = walks.swap_remove(at);
        let young = walk.opened.elapsed() < OLDEST_WALK;
        Some(walk).filter(|walk| young && walk.reached == range.after && walk.batch >= most / 2)
    }

    fn keep(&self, walk: Walk) {
        let mut walks = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
        walks.retain(|other| other.upto != walk.upto);
        walks.push(walk);
    }
}

/// Why a walk stopped.
enum Rest {
    /// The chunk is full.
    Full,
    /// There is no more on this leg.
    Ended,
}

impl MongoSnapshot {
    pub(super) async fn fill(
        &self,
        stream: StreamId,
        range: &KeyRange,
        limit: ChunkLimit,
        chunk: &mut Chunk,
    ) -> Result<(), Failure> {
        let copied = &*self.copied(stream)?;
        let most = copied.records(limit);
        let mut reading = Reading::new(copied, chunk);
        let mut standing = copied.walks.take(range, most);
        let mut leg = None;
        let (last, ended) = loop {
            let continued = standing.is_some();
            let mut walk = match standing.take() {
                Some(walk) => walk,
                None => self.open(copied, range, (leg, &reading), most).await?,
            };
            match walk.read(&mut reading, most, limit.bytes).await {
                Err(Stopped::Source(_)) if continued => leg = Some(walk.leg),
                Err(stopped) => return Err(stopped.failure(copied)),
                Ok(Rest::Full) => {
                    let last = reading.last.clone();
                    walk.reached.clone_from(&last);
                    if last != range.upto {
                        copied.walks.keep(walk);
                    }
                    break (last, false);
                }
                Ok(Rest::Ended) if walk.leg == Leg::Bracket => leg = Some(Leg::Order),
                Ok(Rest::Ended) => break (reading.last.clone(), true),
            }
        };
        copied.learn(reading.records, reading.bytes);
        chunk.next = last.filter(|last| !ended && range.upto.as_ref() != Some(last));
        Ok(())
    }

    /// Opens a cursor behind what was read, on this leg or on the first one.
    async fn open(
        &self,
        copied: &Copied,
        range: &KeyRange,
        (leg, reading): (Option<Leg>, &Reading<'_>),
        batch: u32,
    ) -> Result<Walk, Failure> {
        let left = KeyRange { after: reading.last.clone().or_else(|| range.after.clone()), upto: range.upto.clone() };
        let ends = bounds::ends(&left).ok_or_else(|| {
            let what = "the progress of a copy is not a place of MongoDB's order";
            Failure::new(FailureClass::Fatal, "mark_invalid", what)
        })?;
        let leg = leg.unwrap_or_else(|| Leg::of(ends));
        let target = Target { collection: &copied.collection, floor: self.floor(copied).await? };
        let command = command::find(target, leg, ends, (batch, CHUNK_LIMIT));
        let cursor = self
            .reached()
            .await?
            .cursor(command, batch)
            .await
            .map_err(|error| Stopped::Source(error).failure(copied))?;
        Ok(Walk {
            cursor: Some(cursor),
            runtime: Handle::current(),
            leg,
            batch,
            opened: Instant::now(),
            reached: left.after,
            upto: left.upto,
        })
    }
}

/// What stopped a read.
enum Stopped {
    /// The source, or the way to it.
    Source(Error),
    /// What was read.
    Document(Failure),
}

impl Stopped {
    fn failure(self, copied: &Copied) -> Failure {
        match self {
            Self::Document(failure) => failure,
            Self::Source(error) if server_code(&error) == Some(MAX_TIME_EXPIRED) => Failure::new(
                FailureClass::TooMuch,
                "chunk_slow",
                format!("the source gave a chunk of {} up for its time limit", copied.place),
            ),
            Self::Source(error) => classify(&error, "reading a chunk of a collection"),
        }
    }
}

impl Walk {
    async fn read(&mut self, reading: &mut Reading<'_>, most: u32, bytes: usize) -> Result<Rest, Stopped> {
        let cursor = self.cursor.as_mut().expect("a cursor is taken by drop only");
        while reading.records < most && reading.bytes < bytes {
            if !cursor.advance().await.map_err(Stopped::Source)? {
                return Ok(Rest::Ended);
            }
            reading.take(cursor.current()).map_err(Stopped::Document)?;
        }
        Ok(Rest::Full)
    }
}
