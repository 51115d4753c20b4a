//! `landfall checkpoint`: named cuts that a replay can begin at, through the running service or under the state lock where none runs.

use super::Outcome;
use super::args::CheckpointCommand;
use super::decide::not_locked;
use super::envelope::Finished;
use super::settings::Settings;
use crate::control::ControlClient;
use crate::control::protocol::CheckpointVerb;
use crate::replay::cut::{self, CutReport};
use crate::replay::offline::Offline;
use crate::status::measure::{bytes, count};
use serde_json::json;

pub(super) async fn checkpoint(command: CheckpointCommand, settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline()?;
    let (what, summary) = match command {
        CheckpointCommand::Create { name, stream, actor } => {
            let said = format!("checkpoint {name} made");
            (CheckpointVerb::Create { name, streams: stream, actor: settings.actor(actor.actor) }, said)
        }
        CheckpointCommand::List => (CheckpointVerb::List, String::new()),
        CheckpointCommand::Delete { name, actor } => {
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
    let summary = match (summary.is_empty(), cuts.len()) {
        (false, _) => summary,
        (true, 0) => "there is no checkpoint".to_owned(),
        (true, some) => format!("{} checkpoints", count(some as u64)),
    };
    Ok(Finished {
        text: cuts.iter().map(line).collect(),
        result: json!({ "checkpoints": cuts }),
        ..Finished::done(summary)
    })
}

fn line(cut: &CutReport) -> String {
    let mut line = format!("{}  {}  by {}\n", cut.name, cut.created, cut.actor);
    for source in &cut.sources {
        let held = if source.usable {
            format!("{} events to replay, about {} on disk", count(source.events), bytes(source.bytes))
        } else {
            "of another queue: nothing can be replayed from it".to_owned()
        };
        line.push_str(&format!("  {}: {}: {held}\n", source.source, source.streams.join(", ")));
    }
    line
}
