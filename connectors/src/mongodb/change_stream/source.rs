//! The change stream as the capture loop meets it: steps, waits, and an operator's word.
//!
//! A wait is a read: the source is asked for changes and answers at the first one. The bell is heard between reads.

use super::{MongoSource, State};
use crate::contact::Contact;
use crate::failure::Failure;
use crate::mongodb::client::farewell;
use crate::source::{Condition, Decision, Source, SourceGauges, Step};
use crate::wake::Woken;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use std::time::{Duration, Instant};

/// A quiet stream comes back to the capture loop this often, for its figures and its position.
const REST: Duration = Duration::from_secs(2);
/// A halted one only for an operator's word, which rings.
const HALTED_REST: Duration = Duration::from_secs(30);

impl Source for MongoSource {
    fn next(&mut self, batch: &mut ChangeBatch) -> Result<Step, Failure> {
        let runtime = self.runtime.clone();
        // The driver starts tasks when a client is made and when a cursor is dropped.
        let _context = runtime.enter();
        if let State::Closed { due, lost, .. } = self.state
            && (due <= Instant::now() || (lost && !self.contact.is_lost()))
        {
            self.open();
        }
        let fresh = !self.progress.to_begin.is_empty();
        let pulled = match &self.state {
            State::Open(tail) if tail.reply.is_none() && !fresh => {
                self.pull();
                true
            }
            _ => false,
        };
        let empty = match &self.state {
            State::Open(tail) => {
                pulled && tail.proof.is_none() && tail.reply.as_ref().is_some_and(|reply| reply.is_empty())
            }
            _ => false,
        };
        if matches!(self.state, State::Open(_)) {
            self.hand_out(batch);
        }
        Ok(match &self.state {
            _ if !batch.is_empty() => Step::More,
            State::Open(_) if empty => Step::CaughtUp,
            State::Open(tail) if tail.proof.is_some() => Step::Blocked,
            State::Open(_) => Step::More,
            State::Closed { due, .. } if *due <= Instant::now() => Step::More,
            State::Closed { .. } | State::Halted(_) => Step::Blocked,
        })
    }

    fn wait(&mut self) -> Woken {
        let runtime = self.runtime.clone();
        let _context = runtime.enter();
        let until = Instant::now() + REST;
        loop {
            let rest = match &self.state {
                State::Halted(_) => return self.wake.wait(HALTED_REST),
                State::Closed { due, .. } => return self.wake.wait(due.saturating_duration_since(Instant::now())),
                State::Open(tail) if tail.reply.as_ref().is_some_and(|reply| !reply.is_empty()) => Duration::ZERO,
                State::Open(_) => until.saturating_duration_since(Instant::now()),
            };
            let woken = self.wake.wait(Duration::ZERO);
            if woken != Woken::TimedOut || rest.is_zero() {
                return woken;
            }
            self.cover();
            self.pull();
        }
    }

    fn durable(&mut self, _until: Sequence) -> Result<(), Failure> {
        // The source keeps no view of its own, and its log is not trimmed by us.
        Ok(())
    }

    fn needs_from(&self) -> Option<Sequence> {
        None
    }

    fn conditions(&self) -> Vec<(StreamId, Condition)> {
        let condition = self.condition();
        self.taking.streams().iter().map(|stream| (stream.id, condition.clone())).collect()
    }

    fn contact(&self) -> Option<Contact> {
        Some(self.contact.clone())
    }

    fn gauges(&self) -> Option<SourceGauges> {
        Some(self.figures())
    }

    fn adopt(&mut self, _stream: StreamId, _keys: Vec<Vec<u8>>) -> bool {
        false
    }

    fn decide(&mut self, decision: &Decision) -> bool {
        let ours = self.taking.streams().iter().any(|stream| stream.id == decision.stream);
        ours && self.decided(&decision.subject, decision.ruling)
    }
}

impl Drop for MongoSource {
    /// Closes the stream and says farewell.
    fn drop(&mut self) {
        let runtime = self.runtime.clone();
        let _context = runtime.enter();
        self.state = State::due();
        if let Some(client) = self.client.take() {
            runtime.block_on(farewell(client));
        }
    }
}
