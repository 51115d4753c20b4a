//! `landfall checkpoint`: named cuts that a replay can begin at, through the running service or under the state lock where none runs.

use super::Outcome;
use super::args::CheckpointCommand;
use super::console::Console;
use super::decide::not_locked;
use super::envelope::Finished;
use super::failure::CliFailure;
use super::settings::Settings;
use super::verify::show;
use crate::config::Pipeline;
use crate::control::ControlClient;
use crate::control::protocol::CheckpointVerb;
use crate::replay::base_copy;
use crate::replay::cut::{self, CutReport};
use crate::replay::offline::Offline;
use crate::status::measure::{bytes, count};
use crate::verify::Progress;
use landfall_schemas::mapping::StreamMapping;
use serde_json::{Value, json};

pub(super) async fn checkpoint(command: CheckpointCommand, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline()?;
    let (mut based, mut ended) = (None, None);
    let (what, summary) = match command {
        CheckpointCommand::Create { name, stream, with_base, actor } => {
            if with_base {
                based = Some((name.clone(), settings.actor(actor.actor.clone())));
            }
            let said = format!("checkpoint {name} made");
            (CheckpointVerb::Create { name, streams: stream, actor: settings.actor(actor.actor) }, said)
        }
        CheckpointCommand::List => (CheckpointVerb::List, String::new()),
        CheckpointCommand::Delete { name, actor } => {
            ended = Some(name.clone());
            let said = format!("checkpoint {name} deleted");
            (CheckpointVerb::Delete { name, actor: settings.actor(actor.actor) }, said)
        }
    };
    let cuts = match ControlClient::connect(&pipeline.state_dir).await? {
        Some(mut client) => client.checkpoint(what).await?,
        None => {
            let offline = Offline::open(&pipeline).map_err(not_locked)?;
            let done = cut::attend(&offline.target, &offline.held, what).await;
            done.map_err(|refused| super::replay::failure(&refused))?
        }
    };
    if let Some((name, actor)) = &based {
        let wanted = in_cut(&pipeline, name, &cuts).await?;
        with_base(&pipeline, &wanted, (name, actor), console).await?;
    }
    if let Some(name) = &ended {
        base_copy::remove(&pipeline.state_dir, name)?;
    }
    let bases: Vec<Option<u64>> = cuts.iter().map(|cut| base_copy::size(&pipeline.state_dir, &cut.name)).collect();
    let summary = match (summary.is_empty(), cuts.len()) {
        (false, _) => summary,
        (true, 0) => "there is no checkpoint".to_owned(),
        (true, some) => format!("{} checkpoints", count(some as u64)),
    };
    Ok(Finished {
        text: cuts.iter().zip(&bases).map(|(cut, base)| line(cut, *base)).collect(),
        result: json!({ "checkpoints": cuts.iter().zip(&bases).map(|(cut, base)| told(cut, *base)).collect::<Vec<_>>() }),
        ..Finished::done(summary)
    })
}

/// The streams of a cut as the configuration has them. One that is missing is not live yet.
async fn in_cut(pipeline: &Pipeline, name: &str, cuts: &[CutReport]) -> Result<Vec<StreamMapping>, CliFailure> {
    let pipeline = super::status::with_found_streams(pipeline).await?;
    let cut = cuts.iter().find(|cut| cut.name == name);
    let names = cut.into_iter().flat_map(|cut| cut.sources.iter().flat_map(|source| &source.streams));
    Ok(names.filter_map(|stream| pipeline.stream(stream)).collect())
}

/// Reads a base beside a checkpoint that was just made; the checkpoint goes when that fails.
pub(super) async fn with_base(
    pipeline: &Pipeline,
    streams: &[StreamMapping],
    (name, actor): (&str, &str),
    console: &Console,
) -> Result<(), CliFailure> {
    let progress = Progress::default();
    let taken = tokio::select! {
        taken = Box::pin(base_copy::take(pipeline, streams, (name, &progress))) => taken,
        never = show(&progress, console) => match never {},
    };
    let Err(failure) = taken else { return Ok(()) };
    base_copy::remove(&pipeline.state_dir, name)?;
    let gone = CheckpointVerb::Delete { name: name.to_owned(), actor: actor.to_owned() };
    if let Ok(Some(mut client)) = ControlClient::connect(&pipeline.state_dir).await {
        // A checkpoint that stays without a base is seen in the list, and keeps the queue.
        let _ = client.checkpoint(gone).await;
    } else if let Ok(offline) = Offline::open(pipeline) {
        let _ = cut::attend(&offline.target, &offline.held, gone).await;
    }
    Err(failure.into())
}

/// A checkpoint as JSON.
pub(super) fn told(cut: &CutReport, base: Option<u64>) -> Value {
    // Strings and numbers only: this cannot fail.
    let mut told = serde_json::to_value(cut).unwrap_or_default();
    if let (Some(bytes), Some(fields)) = (base, told.as_object_mut()) {
        fields.insert("base_bytes".to_owned(), json!(bytes));
    }
    told
}

fn line(cut: &CutReport, base: Option<u64>) -> String {
    let mut line = format!("{}  {}  by {}\n", cut.name, cut.created, cut.actor);
    for source in &cut.sources {
        let held = if source.usable {
            format!("{} events to replay, about {} on disk", count(source.events), bytes(source.bytes))
        } else {
            "of another queue: nothing can be replayed from it".to_owned()
        };
        line.push_str(&format!("  {}: {}: {held}\n", source.source, source.streams.join(", ")));
    }
    if let Some(size) = base {
        line.push_str(&format!("  with a base of {}\n", bytes(size)));
    }
    line
}
