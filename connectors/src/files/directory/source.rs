//! The directory as the capture loop meets it: steps, waits, what became durable, and an operator's word.
//!
//! Owns how soon a busy directory is looked at again, and none of the looking: it leads each call to the state the source is
//! in. Decisions and adopted keys are taken between looks only, since a look counts slots of the index it began with. Keeps
//! promise 1 on this side: the index is saved between looks, behind what is durable. Fails never: what goes wrong is a
//! [`Condition`].

use super::{DirectorySource, State};
use crate::failure::Failure;
use crate::files::index::FirstRevision;
use crate::source::{Condition, Decision, Doubt, Noticing, Source, Step};
use crate::wake::Woken;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use std::time::{Duration, Instant};

/// After a look during which files changed, the next one follows this soon, and later each time they still do.
const PACE: Duration = Duration::from_millis(10);
const SLOWEST_PACE: Duration = Duration::from_millis(320);

impl Source for DirectorySource {
    fn next(&mut self, batch: &mut ChangeBatch) -> Result<Step, Failure> {
        Ok(match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.look(),
            State::Reading(reading) => self.read_on(reading),
            State::HandingOut(compared) => self.hand_out(compared, batch),
        })
    }

    fn wait(&mut self) -> Woken {
        self.save();
        let due = self.due_at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        if self.unsteady_looks == 0 {
            return self.watch.wait_at_most(due);
        }
        // At least this long, or every write of a busy file would list the directory.
        let pace = (PACE * (1 << self.unsteady_looks.min(5))).min(SLOWEST_PACE);
        if !self.wake.is_stopping() {
            std::thread::sleep(PACE);
        }
        self.watch.wait_at_most(due.min(pace))
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
        let stream = &self.ledger.streams[0];
        let copying = stream.standing.first == FirstRevision::Open && self.condition == Condition::Following;
        let condition = match &self.state {
            State::Reading(reading) if copying => {
                Condition::Copying { records: 0, bytes: reading.bytes / 2, total: self.total }
            }
            State::HandingOut(compared) if copying => {
                let (done, of) = compared.progress();
                let bytes = self.total / 2 + self.total / 2 * done / of.max(1);
                Condition::Copying { records: done, bytes, total: self.total }
            }
            _ => self.condition.clone(),
        };
        vec![(stream.stream.id, condition)]
    }

    fn adopt(&mut self, stream: StreamId, keys: Vec<Vec<u8>>) -> bool {
        // A pass under way counts slots of the old index: the offer is made again.
        let idle = matches!(self.state, State::Idle) && self.ledger.is_settled();
        let adopted = idle && self.ledger.adopt(stream, &keys);
        if adopted {
            self.condition = Condition::Following;
            self.dirty = true;
            self.wake.ring();
        }
        adopted
    }

    fn doubt(&mut self, stream: StreamId, keys: &[Vec<u8>]) -> Doubt {
        if !matches!(self.state, State::Idle) || !self.ledger.is_settled() || !self.ledger.doubt(stream, keys) {
            return Doubt::NotNow;
        }
        self.dirty = true;
        self.wake.ring();
        Doubt::Taken
    }

    fn decide(&mut self, decision: &Decision) -> bool {
        if decision.stream != self.ledger.streams[0].stream.id {
            return false;
        }
        self.guard.decide(&decision.subject, decision.accepts());
        let held = matches!(&self.condition, Condition::Held { revision, .. } if *revision == decision.subject);
        if held {
            self.dirty = true;
            self.wake.ring();
        }
        held
    }
}

impl Drop for DirectorySource {
    /// Saves what changed, so that the next start has less to roll forward; if it fails, only that is lost.
    fn drop(&mut self) {
        self.ledger.close();
    }
}
