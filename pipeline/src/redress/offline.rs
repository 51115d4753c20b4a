//! The same with no service running: under the state lock, with an owner of its own, so that neither a service nor a second command writes
//! meanwhile. A service that starts later is admitted anew and goes on from what was left.

use super::{Done, Order, redress};
use crate::assemble::{self, Target};
use crate::config::Pipeline;
use crate::queue::lock::{LockRefused, StateLock};
use crate::worker::AtRest;
use landfall_connectors::checkpoints::{Checkpoints, OwnerNonce, QueueId};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::mapping::StreamMapping;
use std::sync::Arc;
use uuid::Uuid;

/// Holds the lock for as long as it lives.
#[expect(missing_debug_implementations, reason = "parts hold connections, not values")]
pub struct Offline {
    target: Arc<Target>,
    owner: OwnerNonce,
    _lock: StateLock,
}

impl Offline {
    /// Takes the state lock.
    pub fn open(pipeline: &Pipeline) -> Result<Self, LockRefused> {
        let lock = StateLock::acquire(&pipeline.state_dir)?;
        Ok(Self { target: Arc::new(assemble::target(pipeline)?), owner: OwnerNonce(Uuid::new_v4()), _lock: lock })
    }

    /// Does one piece of an order about this stream.
    pub async fn redress(&self, stream: &StreamMapping, order: &Order, after: i64) -> Result<Done, Failure> {
        let known = self.target.status().await?;
        let queue = known.iter().find(|known| known.stream == stream.name.as_str()).and_then(|known| known.queue);
        let queue = queue.ok_or_else(|| {
            let detail = "the stream was never applied: there is nothing of it in the target";
            Failure::new(FailureClass::Halt, "schema_missing", detail)
        })?;
        let admission = self.target.admit(stream, QueueId(queue), self.owner).await?;
        let mapping = Arc::new(stream.widened(&admission.added));
        let rest = AtRest::of(mapping, self.owner, admission);
        redress(Arc::clone(&self.target), rest, order.clone(), after).await
    }
}
