//! The log of changes behind change streams: events, idle tokens, where batches end, and where the cursor closes.

use super::event::{EPOCH, failure, mark};
use bson::{Bson, Document, RawDocumentBuf, Timestamp};

/// Events a batch holds when nothing ends it before.
const MAX_BATCH: usize = 100;
/// Label of errors after which a stream must not be resumed.
const NOT_RESUMABLE: &str = "NonResumableChangeStreamError";

/// One entry.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An event, or a fragment of one. Its `_id` is the token behind it.
    Event(RawDocumentBuf),
    /// The post-batch token of the batch that ends here, be it empty or not.
    Token(Document),
    /// A batch ends here.
    Break,
    /// The server closes the cursor with this batch: cursor id 0, whatever the batch still holds.
    End,
}

/// All entries, and who may start where.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    /// Places before this one are gone; 0 is nowhere.
    pub(super) floor: usize,
    /// Where streams without a start begin: at the first entry rather than behind the last.
    pub(super) unplaced_at_first: bool,
}

/// What a getMore brings.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<RawDocumentBuf>,
    pub(super) token: Document,
    pub(super) next: usize,
    pub(super) ended: bool,
}

impl Log {
    /// The place where a stream with these options begins, or the error it gets.
    pub(super) fn place(&self, options: &Document) -> Result<usize, Document> {
        let given = ["resumeAfter", "startAfter"].iter().find_map(|name| options.get_document(name).ok());
        let found = match (given, options.get_timestamp("startAtOperationTime")) {
            (Some(token), _) => self.behind(token).ok_or_else(|| failure(280, &[NOT_RESUMABLE]))?,
            (None, Ok(time)) => self.since(time),
            (None, Err(_)) if self.unplaced_at_first => 0,
            (None, Err(_)) => return Ok(self.entries.len()),
        };
        if found < self.floor { Err(failure(286, &[NOT_RESUMABLE])) } else { Ok(found) }
    }

    fn behind(&self, token: &Document) -> Option<usize> {
        if *token == mark(EPOCH, 0) {
            return Some(0);
        }
        self.entries.iter().rposition(|entry| entry_token(entry).as_ref() == Some(token)).map(|at| at + 1)
    }

    fn since(&self, time: Timestamp) -> usize {
        let reached = |entry: &Entry| entry_time(entry).is_some_and(|at| at >= time);
        self.entries.iter().position(reached).unwrap_or(self.entries.len())
    }

    /// The token of a place: that of the last entry before it that has one.
    pub(super) fn token_at(&self, place: usize) -> Document {
        let before = self.entries[..place].iter().rev().find_map(entry_token);
        before.unwrap_or_else(|| mark(EPOCH, 0))
    }

    /// The time of the last event.
    pub(super) fn time(&self) -> Timestamp {
        let last = self.entries.iter().rev().find_map(entry_time);
        last.unwrap_or(Timestamp { time: EPOCH, increment: 1 })
    }

    /// What stands behind a place, up to the end of its batch; `None` when nothing does.
    pub(super) fn batch(&self, place: usize) -> Option<Batch> {
        if place >= self.entries.len() {
            return None;
        }
        let mut events = Vec::new();
        let mut next = place;
        let mut ended = false;
        while next < self.entries.len() && events.len() < MAX_BATCH {
            let entry = &self.entries[next];
            next += 1;
            match entry {
                Entry::Event(event) => events.push(event.clone()),
                Entry::End => {
                    ended = true;
                    break;
                }
                Entry::Token(_) | Entry::Break => break,
            }
        }
        Some(Batch { events, token: self.token_at(next), next, ended })
    }
}

fn entry_token(entry: &Entry) -> Option<Document> {
    match entry {
        Entry::Event(event) => {
            let token = event.get_document("_id").ok()?;
            Document::try_from(token).ok()
        }
        Entry::Token(token) => Some(token.clone()),
        Entry::Break | Entry::End => None,
    }
}

fn entry_time(entry: &Entry) -> Option<Timestamp> {
    let Entry::Event(event) = entry else { return None };
    event.get_timestamp("clusterTime").ok()
}

/// The options of the stage that opens a stream.
pub(super) fn options(body: &Document) -> Document {
    let first = body.get_array("pipeline").ok().and_then(|pipeline| pipeline.first().and_then(Bson::as_document));
    first.and_then(|stage| stage.get_document("$changeStream").ok()).cloned().unwrap_or_default()
}
