//! Capture: from a source into its queue, never waiting for the target.
//!
//! Two threads per source: the *reader* asks the source for changes, the *appender* makes them durable, so that reading
//! and syncing overlap. Three batches circulate between them, which bounds memory. Keeps promise 1: the source hears of a
//! position only after the append that covers it returned. A full queue stops the reader; nothing is dropped (promise 5).

mod appender;
mod doubts;
mod reader;

pub(crate) use doubts::Rereading;

use crate::queue::{FullReason, Queue};
use crate::supervise::Supervisor;
use crate::traces::Tracer;
use landfall_connectors::contact::Contact;
use landfall_connectors::failure::Failure;
use landfall_connectors::source::{Condition, Decision, Noticing, Source, SourceGauges};
use landfall_connectors::wake::Wake;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Batches in circulation: one being filled, one waiting, one being synced.
const BATCHES: usize = 3;

/// What appends are traced with, and the source's name there.
pub(crate) type Traced = (Tracer, String);

/// What the reader thread is told from outside.
#[derive(Debug)]
pub(crate) enum Order {
    /// An operator's decision.
    Decide(Decision),
    /// The keys that stand in the table of a stream whose index is lost.
    Adopt(StreamId, Vec<Vec<u8>>),
    /// Keys whose rows differ from the source, to be captured once more.
    Doubt(StreamId, Vec<Vec<u8>>),
}

/// What capture says about itself.
#[derive(Clone, Debug, Default)]
pub struct CaptureReport {
    /// What each stream is doing.
    pub conditions: Vec<(StreamId, Condition)>,
    /// How the source notices changes.
    pub noticing: Option<Noticing>,
    /// What the source knows of its log.
    pub gauges: Option<SourceGauges>,
    /// The queue takes nothing, and why.
    pub full: Option<FullReason>,
    /// Passes in which everything was handed out and made durable.
    pub caught_up_passes: u64,
    /// The last pass ended with something waiting, held or halted.
    pub blocked: bool,
    /// Everything handed out so far is durable up to here.
    pub durable: Sequence,
    /// Streams to which the keys of their table are offered, not answered yet.
    pub offered: Vec<StreamId>,
    /// Streams that took the last offer.
    pub adopted: Vec<StreamId>,
    /// Of them those that have followed through: what the keys told to be gone was handed out and is durable.
    pub compared: Vec<StreamId>,
}

/// A running capture as the rest of the service sees it.
#[derive(Clone, Debug)]
pub struct CaptureHandle {
    report: Arc<Mutex<CaptureReport>>,
    contact: Option<Contact>,
    orders: Sender<Order>,
    wake: Wake,
}

impl CaptureHandle {
    /// What it says now, less what it cannot know while it is asking.
    pub fn report(&self) -> CaptureReport {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(contact) = &self.contact {
            for (_, condition) in &mut report.conditions {
                *condition = contact.seen(std::mem::replace(condition, Condition::Following));
            }
        }
        report
    }

    /// Hands over an operator's decision; the source takes it before its next read.
    pub fn decide(&self, decision: Decision) {
        // A closed channel means capture has ended; decisions are kept in PostgreSQL and sent again at start.
        let _ = self.orders.send(Order::Decide(decision));
        self.wake.ring();
    }

    /// Offers the keys of a stream's table, in place of its lost index or beside one that was begun anew; the offer is made again
    /// until it is taken.
    pub fn adopt(&self, stream: StreamId, keys: Vec<Vec<u8>>) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.adopted.retain(|known| *known != stream);
        report.compared.retain(|known| *known != stream);
        report.offered.push(stream);
        drop(report);
        let _ = self.orders.send(Order::Adopt(stream, keys));
        self.wake.ring();
    }

    /// Has records captured once more, in order with everything else. What cannot be done at once is done as soon as it can.
    pub fn doubt(&self, stream: StreamId, keys: Vec<Vec<u8>>) {
        let _ = self.orders.send(Order::Doubt(stream, keys));
        self.wake.ring();
    }

    /// Has the source looked at again now.
    pub fn look(&self) {
        self.wake.ring();
    }

    /// Ends it: reading stops, what was read is made durable.
    pub fn stop(&self) {
        self.wake.stop();
    }
}

/// What both threads share.
pub(crate) struct Shared {
    queue: Arc<dyn Queue>,
    report: Arc<Mutex<CaptureReport>>,
    wake: Wake,
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut CaptureReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts capture of one source.
pub fn start(supervisor: &Supervisor, source: Box<dyn Source>, queue: Arc<dyn Queue>, wake: Wake) -> CaptureHandle {
    start_with(supervisor, source, (queue, wake), Traced::default(), None)
}

/// The same of a source that may be read a second time for records in doubt.
pub(crate) fn start_with(
    supervisor: &Supervisor,
    source: Box<dyn Source>,
    (queue, wake): (Arc<dyn Queue>, Wake),
    traced: Traced,
    reread: Option<Rereading>,
) -> CaptureHandle {
    let report = Arc::new(Mutex::new(CaptureReport::default()));
    let (orders, ordered) = channel();
    let (full, filled) = sync_channel::<ChangeBatch>(BATCHES);
    let (empty, emptied) = sync_channel::<ChangeBatch>(BATCHES);
    for _ in 0..BATCHES {
        // The channel holds as many as circulate.
        let _ = empty.send(ChangeBatch::default());
    }
    let shared = |report: &Arc<Mutex<CaptureReport>>| Shared {
        queue: Arc::clone(&queue),
        report: Arc::clone(report),
        wake: wake.clone(),
    };
    let contact = source.contact();
    let doubts = doubts::Doubts::of(reread);
    let reader = reader::Reader { shared: shared(&report), source, full, emptied, ordered, doubts };
    let appender = appender::Appender { shared: shared(&report), traced };
    supervisor.thread("capture reader", move || reader.run());
    supervisor.thread("capture appender", move || appender.run(&filled, &empty));
    CaptureHandle { report, contact, orders, wake }
}

/// A failure of a channel between the two threads: the other one has ended and said why itself.
fn partner_gone<T, E>(result: Result<T, E>) -> Option<T> {
    result.ok()
}

/// What a thread returns when its partner is gone.
fn ended() -> Result<(), Failure> {
    Ok(())
}

/// Passes on what was ordered.
fn take_orders(ordered: &Receiver<Order>, source: &mut dyn Source, shared: &Shared, doubts: &mut doubts::Doubts) {
    while let Ok(order) = ordered.try_recv() {
        match order {
            Order::Decide(decision) => {
                let known = source.decide(&decision);
                tracing::info!(ruling = ?decision.ruling, known, "decision taken");
            }
            Order::Doubt(stream, keys) => doubts.add(stream, keys),
            Order::Adopt(stream, keys) => {
                let count = keys.len();
                let adopted = source.adopt(stream, keys);
                tracing::info!(adopted, keys = count, "the keys of a table offered to its stream");
                shared.update(|report| {
                    report.offered.retain(|known| *known != stream);
                    if adopted {
                        report.adopted.push(stream);
                    }
                });
            }
        }
    }
}
