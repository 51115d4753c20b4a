//! The live schema and one beside it change places; and the end of one beside.
//!
//! The live streams rest (`worker::errand`) while those beside come up to where they stand; then one transaction exchanges them. Whatever the answer
//! to it is, both sets of workers end with this life of the service: a commit of theirs would find that nobody owns the stream. The service then
//! begins anew within its process, with the mapping that is live from now on.

use super::follow::{ident, refused};
use super::kept::{self, Configuration, beside_name};
use super::own_checkpoint;
use super::shadow::Shadow;
use crate::assemble::Target;
use crate::assemble::{Side, fingerprint};
use crate::config::Pipeline;
use crate::control::Refused;
use crate::replay::{base_copy, cut};
use crate::service::Service;
use crate::streams::RunningStream;
use crate::worker::{AtRest, StreamState};
use landfall_connectors::checkpoints::{Checkpoint, OwnerNonce, Phase};
use landfall_connectors::failure::Failure;
use landfall_schemas::ident::Ident;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long the live streams may take to rest, and those beside to come up to them: nothing is applied meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at how far those beside are.
const LOOK: Duration = Duration::from_millis(10);
/// The answer is on its way before the service that gives it ends.
const ANSWERED: Duration = Duration::from_millis(300);

/// The pipeline that the service becomes, once it shall.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    next: Mutex<Option<Pipeline>>,
    called: CancellationToken,
}

impl Succession {
    fn name(&self, next: Pipeline) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    fn call(&self) {
        self.called.cancel();
    }

    /// Waits until the service shall end for its successor.
    pub(crate) async fn called(&self) {
        self.called.cancelled().await;
    }

    /// Whether it does.
    pub(crate) fn is_called(&self) -> bool {
        self.called.is_cancelled()
    }

    /// The successor, if one was called.
    pub(crate) fn take(&self) -> Option<Pipeline> {
        let called = self.is_called();
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| called)
    }
}

/// Changes places, to the end whatever becomes of whoever asked. When it fails, what is live is as it was.
pub(crate) async fn swap(
    service: &Arc<Service>,
    (live, target): (&Arc<Pipeline>, &Arc<Target>),
    (schema, uncompared, actor): (String, bool, String),
) -> Result<(), Refused> {
    let (tell, told) = oneshot::channel();
    let (running, live, target) = (Arc::clone(service), Arc::clone(live), Arc::clone(target));
    service.supervisor.task("swap", async move {
        let changed = Box::pin(change_places(&running, (&live, &target), (&schema, uncompared, &actor))).await;
        // Whoever asked may be gone; what was done is done.
        let _ = tell.send(changed);
        Ok(())
    });
    told.await.unwrap_or_else(|_| Err(busy()))
}

async fn change_places(
    service: &Arc<Service>,
    (live, target): (&Arc<Pipeline>, &Arc<Target>),
    (schema, uncompared, actor): (&str, bool, &str),
) -> Result<(), Refused> {
    let schema = ident(schema)?;
    let shadow = service.shadows.find(schema.as_str()).ok_or_else(|| missing(live, &schema))?;
    may_be_live(service, &shadow)?;
    if !uncompared {
        compared(&shadow).await?;
    }
    Configuration::of(live).keep(&live.state_dir, &shadow.schema).map_err(refused)?;
    let rest = Rest { over: CancellationToken::new(), drain: service.drain.clone() };
    // Whatever ends this before it is done lets the streams go on.
    let until = rest.over.clone().drop_guard();
    let at_rest = async {
        let stand = rest.all(service, &service.streams.all()).await?;
        come_up(&shadow, &stand).await;
        rest.all(service, &shadow.streams).await?;
        Ok(stand)
    };
    let stand = tokio::time::timeout(PATIENCE, at_rest).await.unwrap_or_else(|_| Err(busy()))?;
    let owner = stand.first().map_or(shadow.owner, |(_, owner, _)| *owner);
    commit(service, (live, target), (&shadow, owner, actor)).await?;
    // Neither side goes on in this life of the service: what it was admitted with belongs to the other one now.
    until.disarm();
    Ok(())
}

/// A stream that rests: its name, its owner, and where it stands.
type Stand = (String, OwnerNonce, Vec<Checkpoint>);

/// Has streams rest until it is over, or the service ends.
struct Rest {
    over: CancellationToken,
    drain: CancellationToken,
}

impl Rest {
    /// Returns when all of them rest; a stream that cannot says why.
    async fn all(&self, service: &Service, streams: &[Arc<RunningStream>]) -> Result<Vec<Stand>, Refused> {
        let (tell, mut told) = mpsc::channel(streams.len().max(1));
        for stream in streams {
            let (over, drain, rests) = (self.over.clone(), self.drain.clone(), tell.clone());
            let (desk, tell) = (stream.desk.clone(), tell.clone());
            let rest = move |rest: AtRest| async move {
                let stand = (rest.mapping.name.to_string(), rest.owner, rest.checkpoints);
                if rests.send(Ok(stand)).await.is_ok() {
                    tokio::select! {
                        () = over.cancelled() => {}
                        () = drain.cancelled() => {}
                    }
                }
                Ok(())
            };
            service.supervisor.task("rest", async move {
                if let Err(failure) = desk.ask(rest).await {
                    // Whoever waits for it may have given up.
                    let _ = tell.send(Err(failure)).await;
                }
                Ok(())
            });
        }
        drop(tell);
        let mut stand = Vec::with_capacity(streams.len());
        while stand.len() < streams.len() {
            stand.push(told.recv().await.ok_or_else(busy)?.map_err(refused)?);
        }
        Ok(stand)
    }
}

/// Nothing is followed by this name: for good, or not yet since the service began.
fn missing(live: &Pipeline, schema: &Ident) -> Refused {
    if !kept::is_begun(&live.state_dir, schema) {
        return refused(kept::unknown(schema));
    }
    Refused::new(
        "stream_busy",
        format!("schema {schema} is not followed yet since the service began; try again in a moment"),
    )
}

fn busy() -> Refused {
    let detail = "the streams did not come to rest, or those beside did not come up to them, in time; nothing was changed: try again in a moment";
    Refused::new("stream_busy", detail)
}

/// The transaction, and what follows from it.
async fn commit(
    service: &Arc<Service>,
    (live, target): (&Arc<Pipeline>, &Arc<Target>),
    (shadow, owner, actor): (&Arc<Shadow>, OwnerNonce, &str),
) -> Result<(), Refused> {
    let whole = live.with_streams(shadow.streams.iter().map(|stream| stream.mapping.name.as_str()));
    let beside = beside_name(&live.name, &shadow.schema);
    let ours = Side {
        pipeline: &live.name,
        schema: &live.target.schema,
        owner,
        moved: mappings(&whole.into_schema(&shadow.schema)),
    };
    let theirs = Side { pipeline: &beside, schema: &shadow.schema, owner: shadow.owner, moved: mappings(&shadow.next) };
    let exchanged = target.exchange(&ours, &theirs, actor).await;
    if let Err(failure) = &exchanged
        && failure.class != landfall_connectors::failure::FailureClass::Unknown
    {
        return Err(refused(failure.clone()));
    }
    // Nothing that was admitted before may go on, and after a lost answer only a new admission tells which of the two is live.
    let next = if exchanged.is_ok() { shadow.next.clone() } else { (**live).clone() };
    service.succession.name(next);
    let (service, answered) = (Arc::clone(service), exchanged.map_err(refused));
    let calling = Arc::clone(&service);
    service.supervisor.task("succession", async move {
        tokio::time::sleep(ANSWERED).await;
        calling.succession.call();
        Ok(())
    });
    answered
}

/// The fingerprints of all streams of a pipeline.
fn mappings(pipeline: &Pipeline) -> BTreeMap<String, [u8; 32]> {
    pipeline.streams.iter().map(|stream| (stream.name.to_string(), fingerprint::of(stream))).collect()
}

/// Every live stream has its twin, which is live itself and does not stand still.
fn may_be_live(service: &Service, shadow: &Shadow) -> Result<(), Refused> {
    for stream in service.streams.all() {
        let name = &stream.mapping.name;
        let Some(twin) = shadow.streams.iter().find(|twin| twin.mapping.name == *name) else {
            let detail = format!(
                "stream {name} came after schema {} was begun and is not in it: drop it and begin anew",
                shadow.schema
            );
            return Err(Refused::new("swap_refused", detail));
        };
        match twin.progress.view().state {
            StreamState::Applying(Phase::Live) => {}
            StreamState::Halted(failure) => {
                return Err(Refused::new(
                    "swap_refused",
                    format!("stream {name} is halted in schema {}: {failure}", shadow.schema),
                ));
            }
            _ => {
                let detail = format!("stream {name} is not live in schema {} yet: `landfall status`", shadow.schema);
                return Err(Refused::new("swap_refused", detail));
            }
        }
    }
    Ok(())
}

/// The last thing that happened to the schema is a comparison that found the two sides equal.
async fn compared(shadow: &Shadow) -> Result<(), Refused> {
    let last = shadow.target.last_event(&["compared", "into_begun", "swapped"]).await.map_err(refused)?;
    if last.is_some_and(|evidence| evidence["equal"] == true) {
        return Ok(());
    }
    let detail = format!(
        "no comparison has shown that schema {0} holds what the sources hold: `landfall replay compare {0}`, or say --uncompared",
        shadow.schema
    );
    Err(Refused::new("not_compared", detail))
}

/// Waits until each partition beside has come at least as far as the live one that rests.
async fn come_up(shadow: &Shadow, stand: &[Stand]) {
    let is_there = || {
        stand.iter().all(|(name, _, at)| {
            let twin = shadow.streams.iter().find(|twin| twin.mapping.name.as_str() == name);
            twin.is_some_and(|twin| {
                at.iter().all(|known| twin.progress.next(known.partition).is_some_and(|next| next >= known.next))
            })
        })
    };
    while !is_there() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends a schema beside: its workers, its tables, what is kept of it. Repeatable.
pub(crate) async fn end(
    service: &Service,
    (live, target): (&Pipeline, &Target),
    (schema, actor): (&str, &str),
) -> Result<(), Refused> {
    let schema = ident(schema)?;
    if let Some(shadow) = service.shadows.find(schema.as_str()) {
        shadow.stop().await;
        service.shadows.remove(&schema);
        shadow.unpin(service);
    }
    clear(live, &schema, actor).await.map_err(refused)?;
    let gone = cut::remove(target, &service.held(), (&own_checkpoint(schema.as_str()), actor)).await;
    gone.or_else(|refused| if refused.code == "unknown_checkpoint" { Ok(()) } else { Err(refused) })
}

/// The tables and the files of a schema beside.
pub(crate) async fn clear(live: &Pipeline, schema: &Ident, actor: &str) -> Result<(), Failure> {
    let beside = Pipeline { name: beside_name(&live.name, schema), ..live.clone() };
    crate::assemble::target(&beside)?.drop_pipeline(actor).await?;
    kept::forget(&live.state_dir, schema)?;
    base_copy::remove(&live.state_dir, &own_checkpoint(schema.as_str()))
}
