//! Named checkpoints over the queues: made, pinned, listed with what they cost, deleted.
//!
//! A cut stands in the target; the queues keep everything behind it while it does. The pin is derived from the cut at every start, before
//! anything is trimmed: there is no second home of it. Pinned events count towards `queue.max_bytes` like all others (promise 5).

use super::compaction::Places;
use crate::assemble::{Cut, Target};
use crate::control::Refused;
use crate::control::protocol::CheckpointVerb;
use crate::queue::{Cursor, Queue, ReadLimit};
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::{StreamId, StreamName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What holds a queue while nobody knows yet which cuts there are.
const STARTING: &str = "named-checkpoints-not-read-yet";
/// Longest name.
const LONGEST: usize = 63;

/// A source as far as cuts are concerned.
pub(crate) struct Held {
    pub(crate) source: String,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) streams: Vec<(StreamName, StreamId)>,
}

/// A named checkpoint, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutReport {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub actor: String,
    /// When, RFC 3339.
    pub created: String,
    /// What it holds in each source.
    pub sources: Vec<CutSource>,
}

/// What a checkpoint holds of one source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutSource {
    /// The source.
    pub source: String,
    /// Streams in the cut.
    pub streams: Vec<String>,
    /// The queue is the one it was made over; of another one nothing can be replayed.
    pub usable: bool,
    /// Events behind the cut that the queue keeps, of all streams.
    pub events: u64,
    /// About as many bytes on disk.
    pub bytes: u64,
}

/// Holds a queue until [`recall`] has said what is to be kept. Call when it is opened.
pub(crate) fn hold(queue: &dyn Queue) {
    queue.pin(STARTING, Some(queue.sequences().start));
}

/// Pins what the cuts of the target need, and lets the rest go.
pub(crate) async fn recall(target: &Target, held: &[Held]) -> Result<(), Failure> {
    for cut in target.cuts().await? {
        // One that cannot be kept any more must not hold up everything else; `checkpoint list` says that it is of no use.
        if let Err(failure) = pin(&cut, held) {
            tracing::warn!(checkpoint = cut.name, code = failure.code, "{}", failure.detail);
        }
    }
    held.iter().for_each(|held| held.queue.pin(STARTING, None));
    Ok(())
}

/// Does what is asked; the cuts there are then.
pub(crate) async fn attend(target: &Target, held: &[Held], what: CheckpointVerb) -> Result<Vec<CutReport>, Refused> {
    match what {
        CheckpointVerb::List => {}
        CheckpointVerb::Delete { name, actor } => remove(target, held, (&name, &actor)).await?,
        CheckpointVerb::Create { name, streams, actor } => {
            let known = || held.iter().flat_map(|held| held.streams.iter().map(|(name, _)| name));
            if let Some(unknown) = streams.iter().find(|wanted| !known().any(|name| name.as_str() == wanted.as_str())) {
                let detail = format!("nothing is captured of a stream {unknown}; `landfall status` lists them");
                return Err(Refused::new("unknown_stream", detail));
            }
            let wanted =
                |name: &&StreamName| streams.is_empty() || streams.iter().any(|one| one.as_str() == name.as_str());
            let chosen: Vec<StreamName> = known().filter(wanted).cloned().collect();
            // Nothing is trimmed between the cut and its pin. Whether there is a cut then is the target's word, whatever this answered.
            held.iter().for_each(|held| hold(&*held.queue));
            let made = create(target, (&name, &chosen, &actor)).await;
            recall(target, held).await.map_err(refused)?;
            made?;
        }
    }
    list(target, held).await.map_err(refused)
}

/// Makes a cut; the caller keeps everything until its pin is set.
async fn create(target: &Target, (name, streams, actor): (&str, &[StreamName], &str)) -> Result<(), Refused> {
    let named = !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !named || name == "earliest" {
        let detail = "a checkpoint's name has 1 to 63 letters, digits, `-`, `_` and `.`, and is not `earliest`";
        return Err(Refused::new("bad_name", detail));
    }
    if target.cuts().await.map_err(refused)?.iter().any(|cut| cut.name == name) {
        return Err(Refused::new("name_taken", "there is a checkpoint of this name: `landfall checkpoint list`"));
    }
    if target.cut(name, streams, actor).await.map_err(refused)? == 0 {
        let detail = "none of the streams is live yet, or somebody took the name meanwhile; nothing was made";
        return Err(Refused::new("nothing_to_cut", detail));
    }
    Ok(())
}

/// Deletes a cut and lets go what it held.
pub(crate) async fn remove(target: &Target, held: &[Held], (name, actor): (&str, &str)) -> Result<(), Refused> {
    if target.forget_cut(name, actor).await.map_err(refused)? == 0 {
        return Err(Refused::new(
            "unknown_checkpoint",
            "there is no checkpoint of this name: `landfall checkpoint list`",
        ));
    }
    held.iter().for_each(|held| held.queue.pin(&pin_name(name), None));
    Ok(())
}

/// All cuts with what they cost.
async fn list(target: &Target, held: &[Held]) -> Result<Vec<CutReport>, Failure> {
    Ok(target.cuts().await?.into_iter().map(|cut| report(cut, held)).collect())
}

/// Where a stream stood in a cut.
pub(crate) async fn places(
    target: &Target,
    name: &str,
    (stream, queue): (&StreamName, &dyn Queue),
) -> Result<Places, Refused> {
    let cuts = target.cuts().await.map_err(refused)?;
    let unknown =
        || Refused::new("unknown_checkpoint", "there is no checkpoint of this name: `landfall checkpoint list`");
    let cut = cuts.into_iter().find(|cut| cut.name == name).ok_or_else(unknown)?;
    let Some(found) = cut.streams.get(stream.as_str()) else {
        return Err(Refused::new(
            "not_in_checkpoint",
            format!("the checkpoint {name} does not hold the stream {stream}"),
        ));
    };
    if found.queue != queue.id() {
        let detail = format!(
            "the checkpoint {name} was made over another queue of the source {}: nothing of it can be replayed",
            found.source
        );
        return Err(Refused::new("other_queue", detail));
    }
    Ok(found.places.clone())
}

fn refused(failure: Failure) -> Refused {
    Refused::new(failure.code, failure.detail)
}

fn pin_name(name: &str) -> String {
    format!("checkpoint {name}")
}

fn pin(cut: &Cut, held: &[Held]) -> Result<(), Failure> {
    for held in held {
        if let Some(from) = needs_from(cut, held)? {
            held.queue.pin(&pin_name(&cut.name), Some(from));
        }
    }
    Ok(())
}

/// The first sequence that a cut needs of a source; `None`: it does not concern it.
fn needs_from(cut: &Cut, held: &Held) -> Result<Option<Sequence>, Failure> {
    let mut first: Option<Sequence> = None;
    for (name, stream) in &held.streams {
        let Some(of_cut) = cut.streams.get(name.as_str()).filter(|of_cut| of_cut.queue == held.queue.id()) else {
            continue;
        };
        let cursor = Cursor { stream: *stream, next: of_cut.places.clone() };
        let next = held.queue.read(&cursor, ReadLimit { events: 1, bytes: 1 })?;
        let sequence = next.events.first().map_or(held.queue.sequences().end, |event| event.sequence);
        first = Some(first.map_or(sequence, |first| first.min(sequence)));
    }
    Ok(first)
}

fn report(cut: Cut, held: &[Held]) -> CutReport {
    let mut sources: Vec<CutSource> = Vec::new();
    for (name, of_cut) in &cut.streams {
        if let Some(source) = sources.iter_mut().find(|known| known.source == of_cut.source) {
            source.streams.push(name.clone());
            continue;
        }
        let (mut usable, mut events, mut bytes) = (false, 0, 0);
        if let Some(held) = held.iter().find(|held| held.source == of_cut.source)
            && let Ok(Some(from)) = needs_from(&cut, held)
        {
            let (range, usage) = (held.queue.sequences(), held.queue.usage());
            events = range.end.0.saturating_sub(from.0.max(range.start.0));
            let all = range.end.0.saturating_sub(range.start.0).max(1);
            bytes = (u128::from(usage.bytes) * u128::from(events) / u128::from(all)) as u64;
            usable = true;
        }
        sources.push(CutSource { source: of_cut.source.clone(), streams: vec![name.clone()], usable, events, bytes });
    }
    CutReport { name: cut.name, actor: cut.actor, created: cut.created, sources }
}
