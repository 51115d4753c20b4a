//! `landfall pause`, `resume` and `throttle`: said to the running service, or written to the target for the next one to find (then
//! under the state lock, so that no service starts meanwhile).

use super::Outcome;
use super::args::{Actor, Controlled, Throttled};
use super::decide::lock;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::assemble;
use crate::config::Pipeline;
use crate::control::protocol::{ControlChange, MAX_REASON};
use crate::control::{ControlClient, Request};
use crate::log_dial::LogLevel;
use landfall_connectors::control::Change;
use landfall_schemas::stream::StreamName;
use serde_json::json;

pub(super) async fn throttle(throttled: Throttled, settings: &Settings) -> Outcome {
    let change = match throttled.target_health {
        Some(heeding) => ControlChange::TargetHealth { heeding },
        None => ControlChange::Throttle { rows_per_second: throttled.rows_per_second },
    };
    control(throttled.controlled, change, settings).await
}

pub(super) async fn control(controlled: Controlled, change: ControlChange, settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline()?;
    let streams = streams(&controlled, &pipeline).await?;
    let actor = settings.actor(controlled.actor.actor.clone());
    let reason: String =
        controlled.reason.unwrap_or_default().chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    match ControlClient::connect(&pipeline.state_dir).await? {
        Some(mut client) => {
            let streams = streams.iter().map(StreamName::to_string).collect();
            client.control(&Request::Control { streams, change, actor, reason }).await?;
        }
        None => {
            let _lock = lock(&pipeline)?;
            assemble::target(&pipeline)?.control(&streams, Change::from(change), (&actor, &reason)).await?;
        }
    }
    let names: Vec<_> = streams.iter().map(StreamName::as_str).collect();
    Ok(Finished {
        result: json!({ "streams": names, "change": change }),
        ..Finished::done(format!("{}: {}", change.word(), names.join(", ")))
    })
}

/// Said to the running service; one that does not run has no log.
pub(super) async fn log_level(level: LogLevel, actor: Actor, settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline()?;
    let none = || {
        CliFailure::new(Exit::Failed, "no_service", "no service runs whose log could be turned")
            .suggest("landfall run -v says more from its start on")
    };
    let mut client = ControlClient::connect(&pipeline.state_dir).await?.ok_or_else(none)?;
    client.log_level(level, settings.actor(actor.actor)).await?;
    Ok(Finished {
        result: json!({ "level": level }),
        ..Finished::done(format!("the log is at {level:?} until the service ends").to_lowercase())
    })
}

/// The stream that was named, or all there are.
async fn streams(controlled: &Controlled, pipeline: &Pipeline) -> Result<Vec<StreamName>, CliFailure> {
    let Some(wanted) = &controlled.stream else {
        let whole = super::status::with_found_streams(pipeline).await?;
        return Ok(whole.streams.into_iter().map(|stream| stream.name).collect());
    };
    match pipeline.stream(wanted) {
        Some(stream) => Ok(vec![stream.name]),
        None => Err(super::decide::unknown_stream(pipeline)),
    }
}
