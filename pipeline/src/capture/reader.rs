//! The reader thread: asks the source for changes and waits when there are none.

use super::doubts::Doubts;
use super::{BATCHES, CaptureReport, Order, Shared, ended, partner_gone, take_orders};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::source::{Condition, Source, Step};
use landfall_connectors::wake::Woken;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

/// Pause after a read that failed for a passing reason.
const RETRY: Duration = Duration::from_millis(500);

/// The pin under which a source's file indexes hold back trimming.
const INDEX_PIN: &str = "file-index";

pub(super) struct Reader {
    pub(super) shared: Shared,
    pub(super) source: Box<dyn Source>,
    pub(super) full: SyncSender<ChangeBatch>,
    pub(super) emptied: Receiver<ChangeBatch>,
    pub(super) ordered: Receiver<Order>,
    pub(super) doubts: Doubts,
}

impl Reader {
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut known = self.shared.queue.sequences().end;
        self.acknowledge(known)?;
        loop {
            if self.shared.wake.is_stopping() {
                return self.finish(known);
            }
            take_orders(&self.ordered, &mut *self.source, &self.shared, &mut self.doubts);
            if self.hand_out_doubted().is_none() {
                return ended();
            }
            let Some(mut batch) = partner_gone(self.emptied.recv()) else { return ended() };
            let step = match self.source.next(&mut batch) {
                Ok(step) => step,
                Err(failure) if failure.class == FailureClass::Transient => {
                    tracing::warn!(code = failure.code, "{}", failure.detail);
                    batch.clear();
                    self.give_back(batch);
                    self.publish(Step::Blocked);
                    if self.shared.wake.wait(RETRY) == Woken::Stopping {
                        return self.finish(known);
                    }
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if batch.is_empty() {
                self.give_back(batch);
            } else if partner_gone(self.full.send(batch)).is_none() {
                return ended();
            }
            if step == Step::More {
                known = self.heard(known)?;
                continue;
            }
            let Some(durable) = self.drained() else { return ended() };
            self.acknowledge(durable)?;
            known = durable;
            self.publish(step);
            if self.source.wait() == Woken::Stopping {
                return self.finish(known);
            }
        }
    }

    /// Hands out what is captured again, piece by piece. `None`: the appender has ended.
    fn hand_out_doubted(&mut self) -> Option<()> {
        loop {
            let batches = self.doubts.take_up(&mut *self.source);
            if batches.is_empty() {
                return Some(());
            }
            for doubted in batches {
                // It takes the place of an empty one, so that as many circulate as before.
                partner_gone(self.emptied.recv())?;
                partner_gone(self.full.send(doubted))?;
            }
        }
    }

    /// Tells the source what has become durable meanwhile.
    fn heard(&mut self, known: Sequence) -> Result<Sequence, Failure> {
        let durable = self.shared.report.lock().unwrap_or_else(std::sync::PoisonError::into_inner).durable;
        if durable <= known {
            return Ok(known);
        }
        self.acknowledge(durable)?;
        self.tell(|_| ());
        Ok(durable)
    }

    fn acknowledge(&mut self, durable: Sequence) -> Result<(), Failure> {
        self.source.durable(durable)?;
        self.shared.queue.pin(INDEX_PIN, self.source.needs_from());
        Ok(())
    }

    /// At the end of a pass, when everything it handed out is durable.
    fn publish(&self, step: Step) {
        self.tell(|report| {
            let follows = |id: &StreamId| report.conditions.contains(&(*id, Condition::Following));
            report.compared = report.adopted.iter().copied().filter(follows).collect();
            report.blocked = step == Step::Blocked;
            if step == Step::CaughtUp {
                report.caught_up_passes += 1;
            }
        });
    }

    /// Reports what the source says of itself, and what follows from it.
    fn tell(&self, follows: impl FnOnce(&mut CaptureReport)) {
        let source = &self.source;
        let (conditions, gauges, noticing) = (source.conditions(), source.gauges(), source.noticing());
        self.shared.update(|report| {
            (report.conditions, report.gauges, report.noticing) = (conditions, gauges, noticing);
            follows(report);
        });
    }

    /// Puts an unused batch back into circulation: collecting all of them is how `drained` knows that nothing is in flight.
    fn give_back(&mut self, batch: ChangeBatch) {
        // An empty batch is appended as nothing; sending it round keeps one path.
        let _ = self.full.send(batch);
    }

    /// Waits until every batch has come back empty, then lends them out again. `None`: the appender has ended.
    fn drained(&mut self) -> Option<Sequence> {
        let mut home = Vec::with_capacity(BATCHES);
        while home.len() < BATCHES {
            home.push(self.emptied.recv().ok()?);
        }
        let durable = self.shared.queue.sequences().end;
        for batch in home {
            self.full.send(batch).ok()?;
        }
        Some(durable)
    }

    /// Stopping: what was handed out becomes durable and the source hears of it, so that it can write its index.
    fn finish(mut self, known: Sequence) -> Result<(), Failure> {
        match self.drained() {
            Some(durable) if durable >= known => self.acknowledge(durable),
            _ => ended(),
        }
    }
}
