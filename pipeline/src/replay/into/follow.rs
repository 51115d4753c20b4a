//! A schema beside begins to be followed, and is followed again after each start.

use super::kept::{self, Begun, BegunStream};
use super::shadow::{Shadow, needs, pin_name};
use super::{beside_name, own_checkpoint};
use crate::assemble::{self, Target};
use crate::config::Pipeline;
use crate::control::Refused;
use crate::queue::Queue;
use crate::replay::{base_copy, cut};
use crate::service::Service;
use crate::streams::RunningStream;
use landfall_connectors::failure::Failure;
use landfall_connectors::retry::Pace;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::Offset;
use landfall_schemas::stream::PartitionId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at what the queues must keep.
const LOOK: Duration = Duration::from_secs(2);
/// What a `json_lines` source is called.
const LINES: &str = "json_lines";

pub(super) fn refused(failure: Failure) -> Refused {
    Refused::new(failure.code, failure.detail)
}

pub(super) fn ident(schema: &str) -> Result<Ident, Refused> {
    Ident::new(schema).map_err(|error| Refused::new("bad_name", format!("not a schema: {error}")))
}

/// Whether the configuration in the state directory can be replayed into the schema: the names of the streams that need a base.
pub(crate) fn examine(service: &Service, live: &Pipeline, schema: &str) -> Result<Vec<String>, Refused> {
    let schema = ident(schema)?;
    let next = kept::only(&live.state_dir, &schema).map_err(refused)?;
    let streams = fitting(service, live, (&schema, &next))?;
    // Lines are all events: where the queue holds them from the first on, it is the better beginning.
    let needs_one = |stream: &&Arc<RunningStream>| {
        let source = &service.sources[stream.source];
        source.kind != LINES || whole_in_queue(&*source.queue, stream).is_err()
    };
    Ok(streams.iter().filter(needs_one).map(|stream| stream.mapping.name.to_string()).collect())
}

/// The streams, if each means the same records under both configurations.
fn fitting(
    service: &Service,
    live: &Pipeline,
    (schema, next): (&Ident, &Pipeline),
) -> Result<Vec<Arc<RunningStream>>, Refused> {
    let differs = |what: String| {
        let detail =
            format!("{what}; a replay into another schema maps the same records otherwise, and reads no others");
        Refused::new("not_the_same_records", detail)
    };
    if next.name != live.name
        || next.target.url.reveal() != live.target.url.reveal()
        || next.target.schema != live.target.schema
    {
        return Err(differs(
            "its name, its target or target.schema is another than that of the service that runs".to_owned(),
        ));
    }
    if *schema == live.target.schema {
        return Err(Refused::new("bad_name", format!("{schema} is the live schema; name another one")));
    }
    let streams = service.streams.all();
    for stream in &streams {
        let name = &stream.mapping.name;
        let Some(mapping) = next.stream(name.as_str()) else { return Err(differs(format!("it has no stream {name}"))) };
        if !is_same_record(&stream.mapping, &mapping) {
            return Err(differs(format!("stream {name} has another source, selection or key")));
        }
        let kind = |pipeline: &Pipeline| pipeline.source_of(&stream.mapping).map(|source| format!("{:?}", source.kind));
        if kind(live) != kind(next) {
            return Err(differs(format!("source {} is another", stream.mapping.source)));
        }
    }
    match next.streams.iter().find(|stream| service.streams.find(stream.name.as_str()).is_none()) {
        Some(unknown) => Err(differs(format!(
            "nothing captures stream {} yet: add it to the live configuration first",
            unknown.name
        ))),
        None => Ok(streams),
    }
}

fn is_same_record(live: &StreamMapping, next: &StreamMapping) -> bool {
    live.source == next.source
        && live.select == next.select
        && live.key.from == next.key.from
        && live.partitions == next.partitions
        && live.format == next.format
}

fn whole_in_queue(queue: &dyn Queue, stream: &RunningStream) -> Result<Vec<(PartitionId, Offset)>, Refused> {
    let start = |partition| (partition, queue.offsets(stream.id, partition).start);
    let places: Vec<_> = stream.mapping.partitions.all().map(start).collect();
    if places.iter().all(|(_, at)| *at == Offset(0)) {
        return Ok(places);
    }
    let detail = format!(
        "the queue no longer holds the first events of stream {}: begin with a checkpoint made --with-base, or leave --from away for a new copy of \
         the sources",
        stream.mapping.name
    );
    Err(Refused::new("history_trimmed", detail))
}

/// Begins to follow. What the checkpoint pins is pinned for this as well before it returns.
pub(crate) async fn follow(
    service: &Service,
    (live, target): (&Pipeline, &Target),
    (schema, checkpoint, ours): (&str, Option<String>, bool),
) -> Result<(), Refused> {
    let schema = ident(schema)?;
    if kept::is_begun(&live.state_dir, &schema) {
        return Err(Refused::new("already_there", format!("schema {schema} is followed already: `landfall status`")));
    }
    let next = kept::only(&live.state_dir, &schema).map_err(refused)?;
    let streams = fitting(service, live, (&schema, &next))?;
    let next = next.with_streams(streams.iter().map(|stream| stream.mapping.name.as_str()));
    let mut begun = Begun { checkpoint, ours, streams: BTreeMap::new() };
    for stream in &streams {
        let began = began(service, (live, target), (stream, begun.checkpoint.as_deref())).await?;
        begun.streams.insert(stream.mapping.name.to_string(), began);
    }
    begun.keep(&live.state_dir, &schema).map_err(refused)?;
    let shadow = launch(service, live, (schema, next, begun)).map_err(refused)?;
    tracing::info!(schema = %shadow.schema, "the queue is replayed into it");
    Ok(())
}

/// Where a stream begins.
async fn began(
    service: &Service,
    (live, target): (&Pipeline, &Target),
    (stream, checkpoint): (&Arc<RunningStream>, Option<&str>),
) -> Result<BegunStream, Refused> {
    let source = &service.sources[stream.source];
    let whole = || whole_in_queue(&*source.queue, stream);
    let has_base = |name: &str| base_copy::holds(&base_copy::directory(&live.state_dir, name), &stream.mapping.name);
    let name = match checkpoint {
        Some(name) if source.kind != LINES || has_base(name) => name,
        _ => return Ok(BegunStream::new(None, &whole()?)),
    };
    let places = cut::places(target, name, (&stream.mapping.name, &*source.queue)).await?;
    if places.iter().all(|(_, at)| *at == Offset(0)) {
        return Ok(BegunStream::new(None, &whole()?));
    }
    if !has_base(name) {
        let detail = format!(
            "the checkpoint {name} has no base of stream {}: make one --with-base, or leave --from away",
            stream.mapping.name
        );
        return Err(Refused::new("no_base", detail));
    }
    let first = needs(&*source.queue, stream.id, &places).map_err(refused)?;
    let Some(before) = first.0.checked_sub(1) else {
        return Err(Refused::new("stream_busy", "the first event is not applied yet; try again in a moment"));
    };
    Ok(BegunStream::new(Some(landfall_schemas::offset::Sequence(before)), &places))
}

fn launch(service: &Service, live: &Pipeline, of: (Ident, Pipeline, Begun)) -> Result<Arc<Shadow>, Failure> {
    let shadow = Shadow::launch(service, (&live.state_dir, &live.name), of)?;
    // Events that are gone already: its workers say so, where `status` shows it.
    if let Err(failure) = shadow.pin(service) {
        tracing::warn!(schema = %shadow.schema, code = failure.code, "{}", failure.detail);
    }
    service.shadows.add(Arc::clone(&shadow));
    Ok(shadow)
}

/// Holds the queues for the schemas that are kept, until [`recall`] has begun to follow them. Call when they are opened.
pub(crate) fn hold(live: &Pipeline, queue: &dyn Queue) {
    for schema in kept::all(&live.state_dir) {
        queue.pin(&pin_name(&schema), Some(queue.sequences().start));
    }
}

/// Follows the schemas that are kept, once the target has said with which mapping, and looks after those that are followed, until the service stops.
pub(crate) async fn recall(service: Arc<Service>, live: Arc<Pipeline>, target: Arc<Target>) -> Result<(), Failure> {
    let work = async {
        for schema in kept::all(&live.state_dir) {
            begin_again(&service, &live, schema).await;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            for shadow in service.shadows.all() {
                if let Err(failure) = tend(&service, (&live, &target), &shadow).await {
                    tracing::warn!(schema = %shadow.schema, code = failure.code, "{}", failure.detail);
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = service.supervisor.stop().cancelled() => {}
    }
    Ok(())
}

/// Until it is followed, or cannot be: then the queues keep everything for it, and the log says why.
async fn begin_again(service: &Service, live: &Pipeline, schema: Ident) {
    let mut pace = Pace::new();
    loop {
        let failure = match try_again(service, live, &schema).await {
            Ok(()) => return,
            Err(failure) => failure,
        };
        tracing::warn!(schema = %schema, code = failure.code, "what is replayed into it is not followed yet: {}", failure.detail);
        tokio::time::sleep(pace.next_wait()).await;
    }
}

async fn try_again(service: &Service, live: &Pipeline, schema: &Ident) -> Result<(), Failure> {
    let begun = Begun::of(&live.state_dir, schema)?;
    let named = Pipeline { name: beside_name(&live.name, schema), ..live.clone() };
    let next = kept::registered(&live.state_dir, schema, &assemble::target(&named)?).await?;
    launch(service, live, (schema.clone(), next, begun)).map(drop)
}

/// Moves the pins on; lets the checkpoint go that was made for the base.
async fn tend(
    service: &Arc<Service>,
    (live, target): (&Pipeline, &Target),
    shadow: &Arc<Shadow>,
) -> Result<(), Failure> {
    let (of, ours) = (Arc::clone(service), Arc::clone(shadow));
    if let Ok(pinned) = tokio::task::spawn_blocking(move || ours.pin(&of)).await {
        pinned?;
    }
    let own = own_checkpoint(shadow.schema.as_str());
    let kept = base_copy::directory(&live.state_dir, &own).exists();
    if shadow.begun.ours && shadow.begun.checkpoint.as_deref() == Some(&*own) && kept && shadow.is_loaded() {
        // The base last: as long as it stands the checkpoint is looked for again.
        let gone = cut::remove(target, &service.held(), (&own, "landfall run")).await;
        gone.or_else(|refused| if refused.code == "unknown_checkpoint" { Ok(()) } else { Err(refused) }).map_err(
            |refused| {
                Failure::new(landfall_connectors::failure::FailureClass::Transient, "checkpoint_kept", refused.detail)
            },
        )?;
        base_copy::remove(&live.state_dir, &own)?;
    }
    Ok(())
}
