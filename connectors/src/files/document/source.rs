//! The document as the capture loop meets it: steps, waits, what became durable, and an operator's word.
//!
//! Owns none of the reading: it leads each call to the state the source is in. Decisions and adopted keys are taken between
//! passes only, since a pass counts slots of the index it began with; each takes back the last look, so that the next pass
//! reads the file whatever its numbers say. Keeps promise 1 on this side: indexes are saved between passes, behind what is
//! durable. Fails never: what goes wrong is a [`Condition`].

use super::conditions::copying;
use super::{DocumentSource, Noted, PACE, State};
use crate::failure::Failure;
use crate::files::look::Look;
use crate::source::{Condition, Decision, Doubt, Noticing, Source, Step};
use crate::wake::Woken;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;

impl Source for DocumentSource {
    fn next(&mut self, batch: &mut ChangeBatch) -> Result<Step, Failure> {
        Ok(match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.look(),
            State::Reading(reading) => self.read_on(reading, batch),
            State::HandingOut(out) => self.hand_out(out, batch),
        })
    }

    fn wait(&mut self) -> Woken {
        self.save();
        if self.unripe && !self.wake.is_stopping() {
            std::thread::sleep(PACE);
        }
        match self.look.as_ref().and_then(Look::due_in) {
            Some(due) => self.watch.wait_at_most(due),
            None => self.watch.wait(),
        }
    }

    fn durable(&mut self, until: Sequence) -> Result<(), Failure> {
        self.ledger.durable(until);
        self.save();
        Ok(())
    }

    fn needs_from(&self) -> Option<Sequence> {
        self.ledger.needs_from()
    }

    fn noticing(&self) -> Option<Noticing> {
        Some(self.watch.state().into())
    }

    fn conditions(&self) -> Vec<(StreamId, Condition)> {
        let progress = match &self.state {
            State::Idle => None,
            State::Reading(reading) => Some((reading.splitter.position() / 2, 0, reading.stat.size)),
            State::HandingOut(out) => {
                let (bytes, records) = out.position();
                Some(((out.stat.size + bytes) / 2, records as u64, out.stat.size))
            }
        };
        let streams = self.ledger.streams.iter().zip(&self.conditions);
        streams.map(|(stream, condition)| (stream.stream.id, copying(stream, condition, progress))).collect()
    }

    fn adopt(&mut self, stream: StreamId, keys: Vec<Vec<u8>>) -> bool {
        // A pass under way counts slots of the old index: the offer is made again.
        let at = self.ledger.streams.iter().position(|known| known.stream.id == stream);
        let idle = matches!(self.state, State::Idle);
        let Some(at) = at.filter(|_| idle && self.ledger.is_settled()) else { return false };
        let adopted = self.ledger.adopt(stream, &keys);
        if adopted {
            self.conditions[at] = Condition::Following;
            self.stored = None;
            self.noted = Some(Noted::Stored);
            self.look = None;
            self.wake.ring();
        }
        adopted
    }

    fn doubt(&mut self, stream: StreamId, keys: &[Vec<u8>]) -> Doubt {
        if !matches!(self.state, State::Idle) || !self.ledger.is_settled() || !self.ledger.doubt(stream, keys) {
            return Doubt::NotNow;
        }
        self.stored = None;
        self.noted = Some(Noted::Stored);
        self.look = None;
        self.wake.ring();
        Doubt::Taken
    }

    fn decide(&mut self, decision: &Decision) -> bool {
        let Some(at) = self.ledger.streams.iter().position(|stream| stream.stream.id == decision.stream) else {
            return false;
        };
        self.guards[at].decide(&decision.subject, decision.accepts());
        let held = matches!(&self.conditions[at], Condition::Held { revision, .. } if *revision == decision.subject);
        if held {
            self.look = None;
            self.wake.ring();
        }
        held
    }
}

impl Drop for DocumentSource {
    /// Saves what changed, so that the next start has less to roll forward; if it fails, only that is lost.
    fn drop(&mut self) {
        self.ledger.close();
    }
}
