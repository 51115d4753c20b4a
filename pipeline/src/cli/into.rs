//! `landfall replay --into SCHEMA`, and what is done with it afterwards. A base is read and tables are made here; all else is the running service's.

use super::Outcome;
use super::args::{IntoCommand, ReplayArguments};
use super::checkpoint::{positions, with_base};
use super::console::Console;
use super::decide::not_locked;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use super::verify::{finished, once};
use crate::assemble::{MappingChange, Target, WantedStream};
use crate::config::{Pipeline, SourceKind};
use crate::control::ControlClient;
use crate::control::protocol::CheckpointVerb;
use crate::replay::base_copy;
use crate::replay::into::{self, IntoVerb};
use crate::replay::offline::Offline;
use crate::verify::{Beside, Options, Repair, Sample, Start, Values, Verdict};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::StreamMapping;
use serde_json::json;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Longest that a service which begins anew is waited for: it goes on without anybody.
const UP: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// A service whose streams do not come to rest is asked again this often …
const BUSY_TRIES: u32 = 5;
/// … with such a pause.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn perform(command: IntoCommand, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline()?;
    match command {
        IntoCommand::Compare { schema, show_values, patience, html, actor } => {
            let options = Options {
                streams: Vec::new(),
                values: if show_values { Values::Shown } else { Values::Hidden },
                start: Start::Anew,
                patience,
                sample: Sample::All,
                repair: Repair::No,
                beside: Some(Beside { schema: schema.clone(), service: pipeline.state_dir.clone() }),
            };
            let of = (pipeline, ident(&schema)?, settings.actor(actor.actor));
            compare(of, (&options, html.as_deref()), console).await
        }
        IntoCommand::Swap { schema, uncompared, actor } => {
            let actor = settings.actor(actor.actor);
            let what = IntoVerb::Swap { schema: schema.clone(), uncompared, actor };
            let asked = Instant::now();
            patiently(&pipeline, &what).await?;
            up_again(&pipeline, (&schema, asked)).await;
            let live = &pipeline.target.schema;
            let summary = format!(
                "what was replayed is live in schema {live} now, and the service goes on with its mapping: from here on start it with that \
                 configuration. What was live stands in schema {schema} and is followed there until `landfall replay drop {schema}`"
            );
            Ok(Finished { result: json!({ "schema": schema, "swapped": true }), ..Finished::done(summary) })
        }
        IntoCommand::Drop { schema, actor } => {
            let actor = settings.actor(actor.actor);
            drop_schema(&pipeline, ident(&schema)?, &actor).await?;
            Ok(Finished {
                result: json!({ "schema": schema }),
                ..Finished::done(format!("schema {schema} is given up"))
            })
        }
    }
}

async fn drop_schema(pipeline: &Pipeline, schema: Ident, actor: &str) -> Result<(), CliFailure> {
    if let Some(mut client) = ControlClient::connect(&pipeline.state_dir).await? {
        client.beside(IntoVerb::Drop { schema: schema.to_string(), actor: actor.to_owned() }).await?;
        return Ok(());
    }
    let offline = Offline::open(pipeline).map_err(not_locked)?;
    into::clear(pipeline, &schema, actor).await?;
    let own = into::own_checkpoint(schema.as_str());
    let gone = crate::replay::cut::remove(&offline.target, &offline.held, (&own, actor)).await;
    match gone {
        Err(refused) if refused.code != "unknown_checkpoint" => Err(super::replay::failure(&refused)),
        _ => Ok(()),
    }
}

/// A new schema, filled and followed.
pub(super) async fn begin(
    (arguments, schema): (&ReplayArguments, &str),
    settings: &Settings,
    console: &Console,
) -> Outcome {
    let next = settings.pipeline_with_warnings(console)?;
    let (schema, actor) = (ident(schema)?, settings.actor(arguments.actor.actor.clone()));
    if arguments.from.as_deref().is_some_and(|from| jiff::Timestamp::from_str(from).is_ok()) {
        return Err(CliFailure::new(
            Exit::Usage,
            "usage",
            "what was before a time is nowhere: --into begins with all there is",
        )
        .suggest("--from CHECKPOINT (made --with-base), --from earliest, or no --from for a new copy of the sources"));
    }
    if into::is_begun(&next.state_dir, &schema) {
        return Err(CliFailure::new(Exit::Failed, "already_there", format!("schema {schema} is followed already"))
            .suggest(format!("`landfall status`; `landfall replay drop {schema}` gives it up")));
    }
    let mut client = service(&next).await?;
    into::begin_directory(&next.state_dir, &schema, &next)?;
    let begun = Box::pin(fill(&mut client, (&next, &schema), (arguments.from.as_deref(), &actor), console)).await;
    if let Err(failure) = begun {
        // Nothing is followed: nothing of it stays. What cannot be taken away now is by the next try.
        let _ = into::forget(&next.state_dir, &schema);
        return Err(failure);
    }
    let summary = format!(
        "the queue is replayed into schema {schema} and followed there: `landfall status` says how far it is, then `landfall replay compare {schema}` \
         and `landfall replay swap {schema}`"
    );
    Ok(Finished { result: json!({ "schema": schema.as_str() }), ..Finished::done(summary) })
}

async fn fill(
    client: &mut ControlClient,
    (next, schema): (&Pipeline, &Ident),
    (from, actor): (Option<&str>, &str),
    console: &Console,
) -> Result<(), CliFailure> {
    let needing = client.beside(IntoVerb::Examine { schema: schema.to_string() }).await?;
    let status = client.status().await?;
    let next = next.with_streams(status.streams.iter().map(|stream| stream.name.as_str()));
    let own = into::own_checkpoint(schema.as_str());
    let (checkpoint, ours) = match from {
        Some("earliest") => (None, false),
        Some(name) if base_copy::size(&next.state_dir, name).is_some() => (Some(name.to_owned()), false),
        Some(name) => {
            return Err(CliFailure::new(Exit::Failed, "no_base", format!("there is no checkpoint {name} with a base"))
                .suggest("`landfall checkpoint create NAME --with-base`, or no --from for a new copy of the sources"));
        }
        None if needing.is_empty() => (None, false),
        None => {
            let wanted: Vec<StreamMapping> = needing.iter().filter_map(|name| next.stream(name)).collect();
            // One that an earlier try has left.
            let _ = client.checkpoint(CheckpointVerb::Delete { name: own.clone(), actor: actor.to_owned() }).await;
            let create = CheckpointVerb::Create { name: own.clone(), streams: needing, actor: actor.to_owned() };
            client.checkpoint(create).await?;
            let sources: Vec<&str> = wanted.iter().map(|stream| stream.source.as_str()).collect();
            let positions = positions(client, &next, &sources).await?;
            with_base(&next, (&wanted, &positions), (&own, actor), console).await?;
            (Some(own.clone()), true)
        }
    };
    let directory = checkpoint.as_ref().map(|name| base_copy::directory(&next.state_dir, name));
    let based = |stream: &StreamMapping| directory.as_ref().is_some_and(|all| base_copy::holds(all, &stream.name));
    let made = tables(&next, (schema, &based), actor).await;
    let begun = match made {
        Ok(()) => {
            let follow = IntoVerb::Follow { schema: schema.to_string(), checkpoint, ours };
            client.beside(follow).await.map(drop).map_err(CliFailure::from)
        }
        Err(failure) => Err(failure),
    };
    if begun.is_err() && ours {
        let _ = client.checkpoint(CheckpointVerb::Delete { name: own.clone(), actor: actor.to_owned() }).await;
        base_copy::remove(&next.state_dir, &own)?;
    }
    begun
}

/// The tables of the schema, empty; those of a try that came to nothing are dropped before.
async fn tables(
    next: &Pipeline,
    (schema, based): (&Ident, &(dyn Fn(&StreamMapping) -> bool + Sync)),
    actor: &str,
) -> Result<(), CliFailure> {
    let beside = next.into_schema(schema);
    let target: Target = super::schema::target(&beside)?;
    if !target.registered_mappings().await?.is_empty() {
        target.drop_pipeline(actor).await?;
    }
    let bulk = |stream: &StreamMapping| match beside.source_of(stream).map(|source| &source.kind) {
        Some(SourceKind::Lines { .. }) if !based(stream) => BulkLoad::None,
        None => BulkLoad::None,
        Some(_) => BulkLoad::Expected,
    };
    let wanted: Vec<WantedStream<'_>> =
        beside.streams.iter().map(|mapping| WantedStream { mapping, bulk: bulk(mapping) }).collect();
    Box::pin(target.schema_apply(&wanted, MappingChange::Refuse, actor)).await?;
    target.note("into_begun", actor, &json!({ "schema": schema.as_str() })).await?;
    Ok(())
}

async fn compare(
    (pipeline, schema, actor): (Pipeline, Ident, String),
    (options, html): (&Options, Option<&std::path::Path>),
    console: &Console,
) -> Outcome {
    if !into::is_begun(&pipeline.state_dir, &schema) {
        return Err(CliFailure::new(
            Exit::Failed,
            "unknown_schema",
            format!("nothing is replayed into schema {schema}"),
        ));
    }
    let named = Pipeline { name: into::beside_name(&pipeline.name, &schema), ..pipeline.clone() };
    let target: Target = super::schema::target(&named)?;
    let next = into::registered(&pipeline.state_dir, &schema, &target).await?;
    let mut beside = next.into_schema(&schema);
    // What is spilled is the comparison's own, and so is its lock.
    beside.state_dir = into::directory(&pipeline.state_dir, &schema);
    let report = once(&beside, options, html, console).await?;
    let tallies = &report.tallies;
    let evidence = json!({ "equal": report.verdict == Verdict::Equal, "records": tallies.equal, "differences": tallies.differences() });
    target.note("compared", &actor, &evidence).await?;
    Ok(finished(report))
}

/// Asks again while streams are not to be had for a moment.
async fn patiently(pipeline: &Pipeline, what: &IntoVerb) -> Result<(), CliFailure> {
    let mut tries = 0;
    loop {
        match service(pipeline).await?.beside(what.clone()).await {
            Err(error) if error.is_busy() && tries < BUSY_TRIES => tries += 1,
            done => return Ok(done.map(drop)?),
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}

/// Waits until the service that began anew answers, so that what is asked next is asked of it.
async fn up_again(pipeline: &Pipeline, (schema, asked): (&str, Instant)) {
    while asked.elapsed() < UP {
        if let Ok(Some(mut client)) = ControlClient::connect(&pipeline.state_dir).await
            && let Ok(report) = client.status().await
            && report.uptime_ms.is_some_and(|uptime| u128::from(uptime) < asked.elapsed().as_millis())
            && report.beside.iter().any(|beside| beside.schema == schema)
            && report.target.reachable
        {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The service that runs.
async fn service(pipeline: &Pipeline) -> Result<ControlClient, CliFailure> {
    let none = || {
        let what = "a schema beside the live one is filled and followed by the running service, and none runs";
        CliFailure::new(Exit::Failed, "no_service", what).suggest("landfall run")
    };
    ControlClient::connect(&pipeline.state_dir).await?.ok_or_else(none)
}

fn ident(schema: &str) -> Result<Ident, CliFailure> {
    let reserved =
        schema == "landfall" || schema == "information_schema" || schema.starts_with("pg_") || schema.contains('/');
    match Ident::new(schema) {
        Ok(ident) if !reserved && !schema.starts_with('.') => Ok(ident),
        _ => Err(CliFailure::new(Exit::Usage, "bad_name", "this is not a schema for tables of yours")
            .suggest("another name")),
    }
}
