//! Errands: what somebody else has to do with a stream's rows while nothing else writes them.
//!
//! Owns the rest of a stream: its worker ends its lanes between two batches, hands the errand what it was admitted with, and is admitted anew
//! when the errand is done, so that the lanes go on from what it left (checkpoints, parked keys). An errand writes under the worker's own nonce:
//! to the target there is one owner (promise 17). Pause and throttle do not hold an errand: it is an order of its own. While a copy is under way
//! errands wait. One that comes to a halted stream is done too, if the stream can be admitted at all; else it is told why not.
//!
//! Also owns a halt that is asked for from outside (`Desk::halt`): the stream halts between two batches and goes on when it is taken back.

use futures_util::future::BoxFuture;
use landfall_connectors::checkpoints::{Admission, Checkpoint, OwnerNonce, Phase};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::Generation;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex, oneshot, watch};

/// Errands that wait for one worker: more than a few askers at once get in each other's way.
const MOST: usize = 4;

/// A stream at rest: its owner, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct AtRest {
    /// The mapping, with the columns that were added.
    pub(crate) mapping: Arc<StreamMapping>,
    /// Whose nonce the target expects.
    pub(crate) owner: OwnerNonce,
    /// How its rows get into the table.
    pub(crate) phase: Phase,
    /// The generation of its queue.
    pub(crate) generation: Generation,
    /// Where each partition stands.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Keys that wait behind a dead letter.
    pub(crate) parked: Arc<HashSet<KeyHash>>,
}

impl AtRest {
    /// A stream behind its admission.
    pub(crate) fn of(mapping: Arc<StreamMapping>, owner: OwnerNonce, admission: Admission) -> Self {
        let Admission { phase, generation, checkpoints, parked, .. } = admission;
        Self { mapping, owner, phase, generation, checkpoints, parked: Arc::new(parked) }
    }
}

type Job = Box<dyn FnOnce(Result<AtRest, Failure>) -> BoxFuture<'static, ()> + Send + Sync>;

/// One errand.
pub(super) struct Errand(Job);

impl Errand {
    /// Does it, or tells it why it cannot be done.
    pub(super) async fn run(self, rest: Result<AtRest, Failure>) {
        (self.0)(rest).await;
    }
}

/// Where errands are left.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "errands are closures")]
pub struct Desk {
    errands: Sender<Errand>,
    halt: watch::Sender<Option<Failure>>,
}

/// Where a worker finds them.
#[expect(missing_debug_implementations, reason = "errands are closures")]
pub struct Errands {
    errands: Mutex<Receiver<Errand>>,
    halt: watch::Receiver<Option<Failure>>,
}

/// A desk and its worker's side of it.
pub fn desk() -> (Desk, Errands) {
    let (left, found) = channel(MOST);
    let (told, heard) = watch::channel(None);
    (Desk { errands: left, halt: told }, Errands { errands: Mutex::new(found), halt: heard })
}

impl Desk {
    /// Has `work` done while the stream rests; what comes of it. Safe to drop: work that has begun is done to its end, other work not at all.
    pub(crate) async fn ask<R, F>(&self, work: impl FnOnce(AtRest) -> F + Send + Sync + 'static) -> Result<R, Failure>
    where
        R: Send + 'static,
        F: Future<Output = Result<R, Failure>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |rest| {
            Box::pin(async move {
                // Nobody waits for it any more, and it was told that nothing was done.
                if tell.is_closed() {
                    return;
                }
                let outcome = match rest {
                    Ok(rest) => work(rest).await,
                    Err(failure) => Err(failure),
                };
                // Whoever asked may be gone; what was done is done.
                let _ = tell.send(outcome);
            })
        });
        self.errands.try_send(Errand(job)).map_err(|_| busy())?;
        told.await.unwrap_or_else(|_| Err(busy()))
    }

    /// Halts the stream between two batches, or (`None`) lets it go on.
    pub(crate) fn halt(&self, why: Option<Failure>) {
        self.halt.send_if_modified(|stands| {
            let changes = *stands != why;
            *stands = why;
            changes
        });
    }
}

fn busy() -> Failure {
    Failure::new(FailureClass::Transient, "stream_busy", "the stream is not to be had now: try again in a moment")
}

impl Errands {
    /// The next errand. Cancel-safe: one that was not handed out waits on.
    pub(super) async fn next(&self) -> Errand {
        match self.errands.lock().await.recv().await {
            Some(errand) => errand,
            // Nobody can leave one any more: the service ends.
            None => std::future::pending().await,
        }
    }

    /// Why the stream shall halt, if it shall.
    pub(super) fn halt(&self) -> Option<Failure> {
        self.halt.borrow().clone()
    }

    /// Waits until the stream shall halt.
    pub(super) async fn halted(&self) -> Failure {
        let mut halt = self.halt.clone();
        match halt.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            _ => std::future::pending().await,
        }
    }

    /// Waits until a halt from outside is taken back.
    pub(super) async fn released(&self) {
        let mut halt = self.halt.clone();
        if halt.wait_for(Option::is_none).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
