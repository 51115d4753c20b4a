//! The appender thread: makes batches durable, in order, and waits when the queue is full.

use super::{Shared, Traced, ended, partner_gone};
use crate::queue::AppendFailure;
use crate::traces::Name;
use landfall_connectors::failure::Failure;
use landfall_schemas::event::ChangeBatch;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

/// How long a full queue is left alone before the next try: trimming needs applied batches, which take about this long.
const FULL_RETRY: Duration = Duration::from_millis(100);

pub(super) struct Appender {
    pub(super) shared: Shared,
    pub(super) traced: Traced,
}

impl Appender {
    pub(super) fn run(self, filled: &Receiver<ChangeBatch>, empty: &SyncSender<ChangeBatch>) -> Result<(), Failure> {
        while let Some(mut batch) = partner_gone(filled.recv()) {
            if !self.append(&batch)? {
                return ended();
            }
            batch.clear();
            if partner_gone(empty.send(batch)).is_none() {
                return ended();
            }
        }
        ended()
    }

    /// Returns `false` when the service stops while the queue is full: the batch is read again after the next start.
    fn append(&self, batch: &ChangeBatch) -> Result<bool, Failure> {
        if batch.is_empty() {
            return Ok(true);
        }
        loop {
            fail::fail_point!("capture::before_append");
            let (tracer, source) = &self.traced;
            let mut span = tracer.begin(Name::Append);
            match self.shared.queue.append(batch) {
                Ok(durable) => {
                    if span.is_sampled() {
                        span.say("landfall.source", source.clone());
                        span.say("landfall.changes", batch.changes().len() as u64);
                        span.end();
                    }
                    fail::fail_point!("capture::after_append");
                    self.shared.update(|report| {
                        report.full = None;
                        report.durable = durable.until;
                    });
                    return Ok(true);
                }
                Err(AppendFailure::Failed(failure)) => return Err(failure),
                Err(AppendFailure::Full(reason)) => {
                    self.shared.update(|report| {
                        if report.full.is_none() {
                            tracing::warn!(?reason, "the queue is full: capture waits");
                        }
                        report.full = Some(reason);
                    });
                    self.shared.queue.trim()?;
                    if self.shared.wake.is_stopping() {
                        return Ok(false);
                    }
                    std::thread::sleep(FULL_RETRY);
                }
            }
        }
    }
}
