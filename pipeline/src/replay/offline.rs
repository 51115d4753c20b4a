//! Replays and named checkpoints with no service running: under the state lock, over queues opened for it.

use super::begin::{Over, begin};
use super::cut::Held;
use super::live::tell;
use super::order::{Order, Standing};
use crate::assemble::{self, Target};
use crate::config::Pipeline;
use crate::control::Refused;
use crate::queue::lock::{LockRefused, StateLock};
use crate::worker::AtRest;
use landfall_connectors::checkpoints::{Checkpoints, OwnerNonce};
use landfall_connectors::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use std::sync::Arc;
use uuid::Uuid;

/// Holds the lock for as long as it lives.
#[expect(missing_debug_implementations, reason = "parts hold connections, not values")]
pub struct Offline {
    pub(crate) target: Arc<Target>,
    pub(crate) held: Vec<Held>,
    owner: OwnerNonce,
    _lock: StateLock,
}

impl Offline {
    /// Takes the state lock and opens the queues that are there.
    pub fn open(pipeline: &Pipeline) -> Result<Self, LockRefused> {
        let lock = StateLock::acquire(&pipeline.state_dir)?;
        let mut held = Vec::new();
        for source in &pipeline.sources {
            if !assemble::queue_dir(&pipeline.state_dir, &source.name).exists() {
                continue;
            }
            let queue = assemble::open_queue(pipeline, &source.name)?;
            let streams = queue.streams().into_iter().map(|(id, name, _)| (name, id)).collect();
            held.push(Held { source: source.name.to_string(), queue: Arc::new(queue), streams });
        }
        let target = Arc::new(assemble::target(pipeline)?);
        Ok(Self { target, held, owner: OwnerNonce(Uuid::new_v4()), _lock: lock })
    }

    /// Replays a stream from beginning to end; `tell` hears how far it is.
    pub(crate) async fn replay(
        &self,
        stream: &StreamMapping,
        order: &Order,
        tell_of: &mut dyn FnMut(Standing),
    ) -> Result<Standing, Refused> {
        let refused = |failure: Failure| Refused::new(failure.code, failure.detail);
        let held = self.held.iter().find(|held| held.source == stream.source.as_str());
        let known = held.and_then(|held| Some((held, held.streams.iter().find(|(name, _)| *name == stream.name)?.1)));
        let Some((held, id)) = known else {
            return Err(Refused::new("nothing_captured", "nothing of the stream was captured yet"));
        };
        let admission = self.target.admit(stream, held.queue.id(), self.owner).await.map_err(refused)?;
        let goal = admission.checkpoints.iter().map(|known| (known.partition, known.next)).collect();
        let mapping = Arc::new(stream.widened(&admission.added));
        let over = Over { queue: Arc::clone(&held.queue), stream: id, mapping: Arc::clone(&mapping), goal };
        let mut replay = begin(&self.target, over, &order.from).await?;
        if order.dry_run {
            return Ok(Standing { finished: true, ..replay.standing() });
        }
        let mut admitted = Some(admission);
        while !replay.standing().finished {
            let admission = match admitted.take() {
                Some(admission) => admission,
                // What was parked by the turn before is known by the next one.
                None => self.target.admit(stream, held.queue.id(), self.owner).await.map_err(refused)?,
            };
            let turn = Box::pin(
                replay.turn(Arc::clone(&self.target), AtRest::of(Arc::clone(&mapping), self.owner, admission)),
            );
            replay = turn.await.map_err(refused)?;
            tell_of(replay.standing());
        }
        tell(&self.target, &mapping, (&replay, order)).await.map_err(refused)
    }
}
