//! An open change stream and its replies.
//!
//! Owns the cursor and nothing of what events mean. Reads whole replies, so that the source's time and the token behind a reply are
//! at hand, nothing that came with a cursor's end is lost, and no resume happens behind our back: an error closes the stream, and
//! it is opened anew from the place that was handed out last.

use crate::failure::Failure;
use crate::mongodb::classify::{Trouble, server_code};
use bson::{RawArray, RawDocument, Timestamp};
use futures_util::StreamExt;
use mongodb::error::Error;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use std::ops::Range;

/// Why nothing could be read.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) trouble: Trouble,
    pub(super) failure: Failure,
}

impl Refused {
    pub(super) fn by(error: &Error, doing: &str) -> Self {
        Self::because(Trouble::of(error), doing, server_code(error))
    }

    pub(super) fn because(trouble: Trouble, doing: &str, code: Option<i32>) -> Self {
        Self { trouble, failure: trouble.failure(doing, code) }
    }
}

/// What a read gave.
pub(super) enum Pulled {
    Reply(Reply),
    /// The server closed the cursor and everything before that has been given.
    Ended,
}

/// An open change stream.
pub(super) struct Tail {
    cursor: RawBatchCursor,
    /// It was opened by time, and the event of that time has not been seen again yet.
    pub(super) proof: Option<Timestamp>,
    /// The last reply, until all of it is handed out.
    pub(super) reply: Option<Reply>,
}

impl Tail {
    pub(super) fn new(cursor: RawBatchCursor, proof: Option<Timestamp>) -> Self {
        Self { cursor, proof, reply: None }
    }

    /// Waits for the next reply, at most as long as the stream was told to await changes. Not cancel-safe.
    pub(super) async fn pull(&mut self) -> Result<Pulled, Refused> {
        pull(&mut self.cursor).await
    }
}

/// Reads one reply.
pub(super) async fn pull(cursor: &mut RawBatchCursor) -> Result<Pulled, Refused> {
    match cursor.next().await {
        None => Ok(Pulled::Ended),
        Some(Ok(batch)) => {
            Reply::read(Raw::Batch(batch)).map(Pulled::Reply).map_err(|error| Refused::by(&error, "reading changes"))
        }
        Some(Err(error)) => Err(Refused::by(&error, "reading changes")),
    }
}

/// A reply, handed out event by event.
pub(super) struct Reply {
    raw: Raw,
    events: Vec<Range<usize>>,
    next: usize,
    /// The source's majority-committed time when it answered.
    pub(super) operation_time: Option<Timestamp>,
}

/// A reply as it came.
enum Raw {
    Batch(RawBatch),
    /// The driver makes its replies itself.
    #[cfg(test)]
    Made(bson::RawDocumentBuf),
}

impl Raw {
    fn document(&self) -> &RawDocument {
        match self {
            Self::Batch(batch) => batch.as_raw_document(),
            #[cfg(test)]
            Self::Made(document) => document,
        }
    }

    fn events(&self) -> Result<&RawArray, Error> {
        match self {
            Self::Batch(batch) => batch.doc_slices(),
            #[cfg(test)]
            Self::Made(document) => Ok(document.get_document("cursor")?.get_array("nextBatch")?),
        }
    }
}

impl Reply {
    fn read(raw: Raw) -> Result<Self, Error> {
        let start = raw.document().as_bytes().as_ptr().addr();
        let mut events = Vec::new();
        for element in raw.events()? {
            let bytes = match element?.as_document() {
                Some(event) => event.as_bytes(),
                None => return Err(std::io::Error::from(std::io::ErrorKind::InvalidData).into()),
            };
            let at = bytes.as_ptr().addr() - start;
            events.push(at..at + bytes.len());
        }
        let operation_time = raw.document().get_timestamp("operationTime").ok();
        Ok(Self { raw, events, next: 0, operation_time })
    }

    /// A reply as a server would send it.
    #[cfg(test)]
    pub(super) fn made(document: bson::RawDocumentBuf) -> Self {
        Self::read(Raw::Made(document)).expect("a reply")
    }

    /// The next event, not taken yet.
    pub(super) fn peek(&self) -> Option<&RawDocument> {
        let range = self.events.get(self.next)?.clone();
        // It was a document when the reply was read.
        RawDocument::from_bytes(&self.raw.document().as_bytes()[range]).ok()
    }

    /// Takes it.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// No event in it, or none left.
    pub(super) fn is_spent(&self) -> bool {
        self.next >= self.events.len()
    }

    /// It came without any event.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The token of the place behind the whole reply, where the server gives one.
    pub(super) fn token(&self) -> Option<&RawDocument> {
        self.raw.document().get_document("cursor").ok()?.get_document("postBatchResumeToken").ok()
    }
}
