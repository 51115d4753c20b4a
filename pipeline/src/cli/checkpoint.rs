//! `landfall checkpoint`: named cuts that a replay can begin at, through the running service or under the state lock where none runs.

use super::Outcome;
use super::args::CheckpointCommand;
use super::console::Console;
use super::decide::not_locked;
use super::envelope::Finished;
use super::failure::CliFailure;
use super::settings::Settings;
use super::verify::show;
use crate::config::{Pipeline, SourceKind};
use crate::control::ControlClient;
use crate::control::protocol::CheckpointVerb;
use crate::replay::base_copy::{self, Positions};
use crate::replay::cut::{self, CutReport};
use crate::replay::offline::Offline;
use crate::status::measure::{bytes, count};
use crate::verify::Progress;
use landfall_schemas::mapping::StreamMapping;
use serde_json::{Value, json};
use std::path::Path;

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
    let (cuts, positions) = match ControlClient::connect(&pipeline.state_dir).await? {
        Some(mut client) => {
            let cuts = client.checkpoint(what).await?;
            let cut = based.as_ref().and_then(|(name, _)| cuts.iter().find(|cut| cut.name == *name));
            let sources: Vec<&str> = cut.into_iter().flat_map(|cut| &cut.sources).map(|one| &*one.source).collect();
            let positions = positions(&mut client, &pipeline, &sources).await?;
            (cuts, positions)
        }
        None => {
            let offline = Offline::open(&pipeline).map_err(not_locked)?;
            let done = cut::attend(&offline.target, &offline.held, what).await;
            let cuts = done.map_err(|refused| super::replay::failure(&refused))?;
            (cuts, offline.held.iter().map(|held| (held.source.clone(), held.queue.positions())).collect())
        }
    };
    if let Some((name, actor)) = &based {
        let wanted = in_cut(&pipeline, name, &cuts).await?;
        with_base(&pipeline, (&wanted, &positions), (name, actor), console).await?;
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

/// Where the captures of those of these sources stand that hold lines.
pub(super) async fn positions(
    client: &mut ControlClient,
    pipeline: &Pipeline,
    sources: &[&str],
) -> Result<Positions, CliFailure> {
    let lines = |name: &str| {
        let spec = pipeline.sources.iter().find(|source| source.name.as_str() == name);
        spec.is_some_and(|source| matches!(source.kind, SourceKind::Lines { .. }))
    };
    let mut positions = Positions::new();
    for name in sources.iter().filter(|name| lines(name)) {
        positions.insert((*name).to_owned(), client.positions(name).await?);
    }
    Ok(positions)
}

/// Reads a base beside a checkpoint that was just made; the checkpoint goes when that fails.
pub(super) async fn with_base(
    pipeline: &Pipeline,
    of: (&[StreamMapping], &Positions),
    (name, actor): (&str, &str),
    console: &Console,
) -> Result<(), CliFailure> {
    let progress = Progress::default();
    let taken = tokio::select! {
        taken = Box::pin(base_copy::take(pipeline, of, (name, &progress))) => taken,
        never = show(&progress, console) => match never {},
    };
    let failure = match taken {
        Ok(gone) => {
            gone.iter().for_each(|path| console.note(&absent(path)));
            return Ok(());
        }
        Err(failure) => failure,
    };
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

fn absent(path: &Path) -> String {
    format!("warning: {} is gone or holds less than was captured of it: its lines are not in the base", path.display())
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
