//! The database as the capture loop meets it: steps, waits, what became durable, and an operator's word.

use super::{PACE, SqliteSource, State};
use crate::failure::Failure;
use crate::files::index::FirstRevision;
use crate::source::{Condition, Decision, Doubt, Noticing, Source, Step};
use crate::wake::Woken;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use std::time::Instant;

impl Source for SqliteSource {
    fn next(&mut self, batch: &mut ChangeBatch) -> Result<Step, Failure> {
        Ok(match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.look(),
            State::Reading(pass) => self.read_on(pass, batch),
            State::HandingOut(out) => self.hand_out(out, batch),
        })
    }

    fn wait(&mut self) -> Woken {
        self.ledger.save_due();
        let rest = self.rests_until.map(|until| until.saturating_duration_since(Instant::now()));
        self.watch.wait_at_most(rest.filter(|rest| !rest.is_zero()).unwrap_or(PACE))
    }

    fn durable(&mut self, until: Sequence) -> Result<(), Failure> {
        self.ledger.durable(until);
        if matches!(self.state, State::Idle) {
            self.ledger.save_due();
        }
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
            State::Reading(pass) => Some((pass.rows() / 2, pass.expected)),
            State::HandingOut(out) => Some((out.pass.expected, out.pass.expected)),
        };
        let streams = self.ledger.streams.iter().zip(&self.conditions);
        let shown = streams.map(|(stream, condition)| match progress {
            Some((rows, expected))
                if stream.standing.first == FirstRevision::Open && *condition == Condition::Following =>
            {
                (stream.stream.id, Condition::Copying { records: rows, bytes: rows, total: expected })
            }
            _ => (stream.stream.id, condition.clone()),
        });
        shown.collect()
    }

    fn adopt(&mut self, stream: StreamId, keys: Vec<Vec<u8>>) -> bool {
        // A pass under way counts slots of the old index: the offer is made again.
        let at = self.ledger.streams.iter().position(|known| known.stream.id == stream);
        let idle = matches!(self.state, State::Idle);
        let Some(at) = at.filter(|_| idle && self.ledger.is_settled()) else { return false };
        let adopted = self.ledger.adopt(stream, &keys);
        if adopted {
            self.conditions[at] = Condition::Following;
            self.taken = None;
            // What the adopted keys hold, only a whole pass tells.
            if let Some(log) = &mut self.change_log {
                log.distrust();
            }
            self.rests_until = None;
            self.wake.ring();
        }
        adopted
    }

    fn doubt(&mut self, stream: StreamId, keys: &[Vec<u8>]) -> Doubt {
        if !matches!(self.state, State::Idle) || !self.ledger.is_settled() || !self.ledger.doubt(stream, keys) {
            return Doubt::NotNow;
        }
        // No log names those keys.
        if let Some(log) = &mut self.change_log {
            log.distrust();
        }
        self.taken = None;
        self.rests_until = None;
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
            self.taken = None;
            self.rests_until = None;
            self.wake.ring();
        }
        held
    }
}

impl Drop for SqliteSource {
    /// Saves what changed, so that the next start has less to roll forward.
    fn drop(&mut self) {
        self.ledger.close();
    }
}
