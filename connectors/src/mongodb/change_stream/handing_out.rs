//! From a reply into a batch, event by event, with the position kept in step.
//!
//! The position moves behind an event once the event is in the batch, and behind a whole reply once all of it is; never into the
//! middle of a split event, and not at all before a stream that was opened by time has shown that it is the same one.

use super::event::{Event, fragment};
use super::fragments::Fragments;
use super::position::Position;
use super::setbacks;
use super::tail::Reply;
use super::taking::Taking;
use crate::failure::Failure;
use bson::Timestamp;
use landfall_schemas::event::ChangeBatch;

/// What handing out works on.
pub(super) struct HandingOut<'a> {
    pub(super) taking: &'a mut Taking,
    pub(super) fragments: &'a mut Fragments,
    pub(super) position: &'a mut Position,
    /// The stream was opened by time, and the event of that time has not been seen again yet.
    pub(super) proof: &'a mut Option<Timestamp>,
}

impl HandingOut<'_> {
    /// Takes the events of a reply as far as the batch has room; `true` if the position moved. After a failure the batch and the
    /// position hold what came before the event that caused it.
    pub(super) fn take(&mut self, reply: &mut Reply, batch: &mut ChangeBatch) -> Result<bool, Failure> {
        let mut moved = false;
        while !batch.is_full()
            && let Some(message) = reply.peek()
        {
            let whole = match fragment(message)?.filter(|part| part.of > 1) {
                Some(part) => self.fragments.push(message, part)?,
                None => true,
            };
            if whole {
                let event = match self.fragments.is_empty() {
                    true => Event::read([message])?,
                    false => self.fragments.event()?,
                };
                prove(self.proof, event.cluster_time)?;
                self.taking.take(&event, batch)?;
                self.position.pass(&event);
                self.fragments.clear();
                moved = true;
            }
            reply.advance();
        }
        Ok(moved)
    }

    /// Moves behind a reply that is handed out; `true` if that is elsewhere.
    pub(super) fn cover(&mut self, reply: &Reply) -> bool {
        let known = self.fragments.is_empty() && self.proof.is_none();
        reply.token().filter(|_| known).is_some_and(|token| self.position.cover(token))
    }
}

/// Opened by time, the stream must begin with the event of that time that was seen before: else this is another log, or one with a
/// gap, and going on would lose what is missing.
fn prove(proof: &mut Option<Timestamp>, time: Timestamp) -> Result<(), Failure> {
    match proof.take() {
        Some(expected) if time > expected => Err(setbacks::not_matched()),
        _ => Ok(()),
    }
}
