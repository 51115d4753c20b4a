//! Where capture stands, as the queue keeps it.
//!
//! One slot holds a BSON document; its token is opaque and is never compared by order. Beside the token stands the time of the last
//! event, from which the stream can be opened should the server not find the token, and the source's own time, which tells a source
//! that went back (restored, or crashed without its journal). A second kind of slot says, per stream, that its copy was begun and
//! of which collection.
//!
//! ```text
//! slot "stream":      { v: 1, token?, invalidated, clusterTime, witnessed, seen, wallTime?, database, set?, options }
//! slot "begun:<id>":  database.collection
//! ```
//!
//! Fails with `position_unreadable` (not ours, or of a newer version) and `position_too_large` (the token holds the `_id`, which may
//! be long): both halt.

use super::event::{Event, Kind};
use crate::failure::{Failure, FailureClass};
use bson::raw::cstr;
use bson::{DateTime, RawDocument, RawDocumentBuf, Timestamp};
use landfall_schemas::position::{PositionTable, PositionUpdate};
use landfall_schemas::stream::StreamId;

/// The slot of the position.
const SLOT: &[u8] = b"stream";
/// What slots of begun streams start with.
const BEGUN: &str = "begun:";
/// The layout above.
const LAYOUT: i32 = 1;

/// How the stream was opened whose token this is: an event's token is found again by the same kind of stream only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Fingerprint {
    pub(super) database: String,
    /// Name of the replica set; `None` behind a router.
    pub(super) set: Option<String>,
    /// Images and abilities, as [`super::opening::Abilities`] spells them.
    pub(super) options: String,
}

/// Everything before this place is captured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Position {
    /// BSON document; `None`: no token was given yet, the time stands alone.
    token: Option<Vec<u8>>,
    /// The token is that of an invalidation.
    pub(super) invalidated: bool,
    /// Time of the last event, or of the start.
    pub(super) cluster_time: Timestamp,
    /// An event of that time was seen.
    pub(super) witnessed: bool,
    /// The source's newest majority-committed time that was seen.
    pub(super) seen: Timestamp,
    /// When the last event happened, by the source's clock: for people.
    pub(super) wall_time: Option<DateTime>,
    pub(super) fingerprint: Fingerprint,
}

impl Position {
    /// A start: everything that changed from `at` on follows.
    pub(super) fn start(token: Option<&RawDocument>, at: Timestamp, fingerprint: Fingerprint) -> Self {
        Self {
            token: token.map(|token| token.as_bytes().to_vec()),
            invalidated: false,
            cluster_time: at,
            witnessed: false,
            seen: at,
            wall_time: None,
            fingerprint,
        }
    }

    /// Its token.
    pub(super) fn token(&self) -> Option<&RawDocument> {
        // Both ways in here check it.
        self.token.as_deref().and_then(|bytes| RawDocument::from_bytes(bytes).ok())
    }

    /// Moves behind an event.
    pub(super) fn pass(&mut self, event: &Event<'_>) {
        let token = self.token.get_or_insert_default();
        token.clear();
        token.extend_from_slice(event.token.as_bytes());
        self.invalidated = event.kind == Kind::Invalidate;
        self.cluster_time = event.cluster_time;
        self.witnessed = true;
        self.wall_time = event.wall_time.or(self.wall_time);
    }

    /// Moves to the end of what a reply covers; `true` if that is elsewhere. Behind an invalidation nothing more comes: its token stays.
    pub(super) fn cover(&mut self, token: &RawDocument) -> bool {
        if self.invalidated || self.token.as_deref() == Some(token.as_bytes()) {
            return false;
        }
        let kept = self.token.get_or_insert_default();
        kept.clear();
        kept.extend_from_slice(token.as_bytes());
        true
    }

    /// As the queue keeps it.
    pub(super) fn update(&self) -> Result<PositionUpdate, Failure> {
        let mut out = RawDocumentBuf::new();
        out.append(cstr!("v"), LAYOUT);
        if let Some(token) = self.token() {
            out.append(cstr!("token"), token);
        }
        out.append(cstr!("invalidated"), self.invalidated);
        out.append(cstr!("clusterTime"), self.cluster_time);
        out.append(cstr!("witnessed"), self.witnessed);
        out.append(cstr!("seen"), self.seen);
        if let Some(wall_time) = self.wall_time {
            out.append(cstr!("wallTime"), wall_time);
        }
        out.append(cstr!("database"), self.fingerprint.database.as_str());
        if let Some(set) = &self.fingerprint.set {
            out.append(cstr!("set"), set.as_str());
        }
        out.append(cstr!("options"), self.fingerprint.options.as_str());
        let value = out.into_bytes();
        if value.len() > PositionTable::MAX_VALUE {
            return Err(Failure::new(
                FailureClass::Halt,
                "position_too_large",
                format!(
                    "the source's name for a place in its log takes {} bytes, more than the {} there is room for: a document with an \
                     _id of that size changed. Accepting starts anew behind it and copies every collection of this source again",
                    value.len(),
                    PositionTable::MAX_VALUE
                ),
            ));
        }
        Ok(PositionUpdate { slot: SLOT.into(), value: Some(value.into()) })
    }

    /// What the queue kept, if anything.
    pub(super) fn find(table: &PositionTable) -> Result<Option<Self>, Failure> {
        let Some(bytes) = table.get(SLOT) else { return Ok(None) };
        let read = || -> Option<Self> {
            let value = RawDocument::from_bytes(bytes).ok()?;
            if value.get_i32("v").ok()? != LAYOUT {
                return None;
            }
            Some(Self {
                token: value.get_document("token").ok().map(|token| token.as_bytes().to_vec()),
                invalidated: value.get_bool("invalidated").ok()?,
                cluster_time: value.get_timestamp("clusterTime").ok()?,
                witnessed: value.get_bool("witnessed").ok()?,
                seen: value.get_timestamp("seen").ok()?,
                wall_time: value.get_datetime("wallTime").ok(),
                fingerprint: Fingerprint {
                    database: value.get_str("database").ok()?.to_owned(),
                    set: value.get_str("set").ok().map(str::to_owned),
                    options: value.get_str("options").ok()?.to_owned(),
                },
            })
        };
        read().map(Some).ok_or_else(|| {
            Failure::new(
                FailureClass::Halt,
                "position_unreadable",
                "the position in the queue is not one this version wrote: run the version that wrote it. Accepting starts anew and \
                 copies every collection of this source again",
            )
        })
    }
}

/// The mark that a stream's copy of a collection was begun.
pub(super) fn begun(stream: StreamId, collection: &str) -> PositionUpdate {
    PositionUpdate { slot: begun_slot(stream), value: Some(collection.as_bytes().into()) }
}

/// Whether that mark stands in the table.
pub(super) fn is_begun(table: &PositionTable, stream: StreamId, collection: &str) -> bool {
    table.get(&begun_slot(stream)) == Some(collection.as_bytes())
}

/// Forgets the marks of streams that `is_ours` does not know: should one come back, its copy is begun anew.
pub(super) fn abandoned(table: &PositionTable, is_ours: impl Fn(StreamId) -> bool) -> Vec<PositionUpdate> {
    let known = |slot: &[u8]| {
        let id = std::str::from_utf8(slot).ok()?.strip_prefix(BEGUN)?.parse().ok()?;
        Some(is_ours(StreamId(id)))
    };
    let lost = table.0.keys().filter(|slot| known(slot) == Some(false));
    lost.map(|slot| PositionUpdate { slot: slot.clone(), value: None }).collect()
}

fn begun_slot(stream: StreamId) -> Box<[u8]> {
    format!("{BEGUN}{}", stream.0).into_bytes().into()
}
