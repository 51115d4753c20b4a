//! Events above 16 MB, which their server sends in fragments.
//!
//! Owns the fragments that have come until the last one is there; they may come in several replies. Nothing of them counts as
//! captured before that: the position stays before the first one, and a stream that is opened anew begins with it again.

use super::event::{Event, Fragment, malformed};
use crate::failure::Failure;
use bson::{RawDocument, RawDocumentBuf};

/// Most fragments of one event: an event is a document, its images and a description of the change, 16 MB each at most, and a
/// fragment is cut between fields only.
const MOST: i32 = 64;

/// The beginning of a split event.
#[derive(Debug, Default)]
pub(super) struct Fragments(Vec<RawDocumentBuf>);

impl Fragments {
    /// Takes the next fragment; `true` when it was the last.
    pub(super) fn push(&mut self, message: &RawDocument, fragment: Fragment) -> Result<bool, Failure> {
        if fragment.of > MOST || usize::try_from(fragment.number) != Ok(self.0.len() + 1) {
            return Err(malformed("its fragments are not in order"));
        }
        self.0.push(message.to_owned());
        Ok(fragment.number == fragment.of)
    }

    /// The whole event.
    pub(super) fn event(&self) -> Result<Event<'_>, Failure> {
        Event::read(self.0.iter().map(|part| &**part))
    }

    /// Nothing of an event is here.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what is here: the event is whole and handed out, or its stream is opened anew.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
