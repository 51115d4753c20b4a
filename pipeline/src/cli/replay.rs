//! `landfall replay`: stream by stream, turn by turn, through the running service or under the state lock where none runs.

use super::Outcome;
use super::args::{ReplayArguments, ReplayWords};
use super::console::Console;
use super::decide::not_locked;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::into;
use super::settings::Settings;
use crate::config::Pipeline;
use crate::control::{ControlClient, Refused};
use crate::replay::offline::Offline;
use crate::replay::{From, Order, Standing};
use crate::status::measure::{count, span};
use landfall_schemas::mapping::StreamMapping;
use serde_json::{Value, json};
use std::str::FromStr;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Between two lines of progress.
const SAY: Duration = Duration::from_secs(5);
/// A stream that is busy is asked again this often …
const BUSY_TRIES: u32 = 60;
/// … with such a pause.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// Into the live tables, or into a schema beside them.
pub(super) async fn replay(words: ReplayWords, settings: &Settings, console: &Console) -> Outcome {
    let arguments = words.arguments;
    match (words.command, &arguments.into, &arguments.from) {
        (Some(command), ..) => into::perform(command, settings, console).await,
        (None, Some(schema), _) => into::begin((&arguments, schema), settings, console).await,
        (None, None, Some(begin)) => in_place((&arguments, from(begin)), settings, console).await,
        (None, None, None) => {
            Err(CliFailure::new(Exit::Usage, "usage", "a replay begins somewhere").suggest("--from earliest"))
        }
    }
}

async fn in_place((arguments, from): (&ReplayArguments, From), settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline_with_warnings(console)?;
    let pipeline = super::status::with_found_streams(&pipeline).await?;
    let streams = chosen(&arguments.stream, &pipeline)?;
    let actor = settings.actor(arguments.actor.actor.clone());
    let mut client = ControlClient::connect(&pipeline.state_dir).await?;
    let offline = if client.is_some() { None } else { Some(Offline::open(&pipeline).map_err(not_locked)?) };
    let (mut text, mut results, mut refused) = (String::new(), Vec::new(), 0);
    for stream in &streams {
        let order = Order {
            act: Uuid::new_v4(),
            stream: stream.name.to_string(),
            from: from.clone(),
            dry_run: arguments.dry_run,
            actor: actor.clone(),
        };
        let mut progress =
            Progress { console, stream: order.stream.clone(), began: Instant::now(), said: Instant::now() };
        let standing = match (&mut client, &offline) {
            (Some(client), _) => through(client, &order, &mut progress).await?,
            (None, Some(offline)) => {
                let done = Box::pin(offline.replay(stream, &order, &mut |standing| progress.say(standing))).await;
                done.map_err(|refused| failure(&refused))?
            }
            (None, None) => Standing::default(),
        };
        refused += standing.refused;
        text.push_str(&line(&order, standing));
        results.push(json!({ "stream": order.stream, "events": standing.total, "replayed": standing.replayed,
            "refused": standing.refused, "behind_letters": standing.behind_letters, "rows_before": standing.rows_before }));
    }
    let summary = if arguments.dry_run { "nothing was written" } else { "replayed" };
    Ok(Finished {
        exit: if refused > 0 { Exit::Differences } else { Exit::Done },
        text,
        result: json!({ "dry_run": arguments.dry_run, "streams": Value::Array(results) }),
        ..Finished::done(summary.to_owned())
    })
}

/// Turn after turn. A service that goes away in between has done the turns it answered for.
async fn through(
    client: &mut ControlClient,
    order: &Order,
    progress: &mut Progress<'_>,
) -> Result<Standing, CliFailure> {
    let mut tries = 0;
    loop {
        match client.replay(order).await {
            Ok(standing) if standing.finished => return Ok(standing),
            Ok(standing) => {
                tries = 0;
                progress.say(standing);
            }
            Err(error) if error.is_busy() && tries < BUSY_TRIES => {
                tries += 1;
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn failure(refused: &Refused) -> CliFailure {
    CliFailure::new(Exit::Failed, &refused.code, refused.detail.clone())
}

/// `earliest`, a time, or the name of a checkpoint.
fn from(text: &str) -> From {
    if text == "earliest" {
        return From::Earliest;
    }
    if let Ok(time) = jiff::Timestamp::from_str(text) {
        return From::Time(u64::try_from(time.as_millisecond()).unwrap_or_default());
    }
    From::Name(text.to_owned())
}

fn chosen(names: &[String], pipeline: &Pipeline) -> Result<Vec<StreamMapping>, CliFailure> {
    if names.is_empty() {
        return Ok(pipeline.streams.clone());
    }
    let find = |name: &String| pipeline.stream(name).ok_or_else(|| super::decide::unknown_stream(pipeline));
    names.iter().map(find).collect()
}

struct Progress<'a> {
    console: &'a Console,
    stream: String,
    began: Instant,
    said: Instant,
}

impl Progress<'_> {
    fn say(&mut self, standing: Standing) {
        if !self.console.shows_progress() || self.said.elapsed() < SAY {
            return;
        }
        self.said = Instant::now();
        let Standing { total, passed, .. } = standing;
        let left = self.began.elapsed().as_secs_f64() * total.saturating_sub(passed) as f64 / passed.max(1) as f64;
        let left = span((left * 1_000.0) as u64);
        self.console.note(&format!("{}: {} of {} events · {left} left", self.stream, count(passed), count(total)));
    }
}

fn line(order: &Order, standing: Standing) -> String {
    let Standing { total, replayed, behind_letters, refused, rows_before, .. } = standing;
    let mut line = format!("{}: {} events in the range", order.stream, count(total));
    if !order.dry_run {
        line.push_str(&format!(", the last of {} keys replayed", count(replayed)));
    }
    if refused > 0 {
        line.push_str(&format!(", {} refused and parked now", count(refused)));
    }
    if behind_letters > 0 {
        line.push_str(&format!(", {} left to wait behind their dead letters", count(behind_letters)));
    }
    if rows_before > 0 {
        line.push_str(&format!(
            "\n  {} rows were last written before the range and are as they were: only a new copy or an older place brings them up to date",
            count(rows_before)
        ));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_a_time_or_a_name() {
        assert!(matches!(from("earliest"), From::Earliest));
        assert!(matches!(from("2026-11-27T10:00:00Z"), From::Time(1_795_773_600_000)));
        assert!(matches!(from("before-the-fix"), From::Name(_)));
    }
}
