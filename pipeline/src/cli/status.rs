//! `landfall status`: from the running service over its socket, else from disk and target.

use super::Outcome;
use super::args::StatusArguments;
use super::console::Console;
use super::envelope::{self, Finished};
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::config::Pipeline;
use crate::control::ControlClient;
use crate::offline;
use crate::status::{StatusReport, render};
use std::time::{Duration, Instant};

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";
/// How long a held lock without a socket is waited for: a service opens its queues in less, or drains.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);

pub(super) async fn status(options: StatusArguments, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline()?;
    if !options.watch {
        return Ok(finished(look(&pipeline).await?));
    }
    loop {
        let outcome = look(&pipeline).await.map(finished);
        if console.is_json() {
            console.data(&envelope::line("status", &outcome));
        } else {
            let text = outcome.map_or_else(|failure| failure.to_string(), |finished| finished.text);
            let clear = if std::io::IsTerminal::is_terminal(&std::io::stdout()) { CLEAR } else { "" };
            console.data(&format!("{clear}{text}"));
        }
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => {
                // Without a handler the signal ends the process by itself.
                let _ = stopped;
                return Ok(Finished::done(""));
            }
            () = tokio::time::sleep(options.interval) => {}
        }
    }
}

/// Asks the service, else looks by itself. A lock without a socket is a service that starts or ends, or another look: it is tried
/// again, since one of the two ways opens soon.
pub(super) async fn look(pipeline: &Pipeline) -> Result<StatusReport, CliFailure> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(mut client) = ControlClient::connect(&pipeline.state_dir).await? {
            return Ok(client.status().await?);
        }
        match offline::offline_status(pipeline).await {
            Err(failure) if failure.code == "other_owner" && Instant::now() < until => tokio::time::sleep(RETRY).await,
            looked => return Ok(looked?),
        }
    }
}

/// The pipeline with the streams that its patterns have made so far, as the running service or the queues know them.
pub(super) async fn with_found_streams(pipeline: &Pipeline) -> Result<Pipeline, CliFailure> {
    if pipeline.templates.is_empty() {
        return Ok(pipeline.clone());
    }
    let report = look(pipeline).await?;
    Ok(pipeline.with_streams(report.streams.iter().map(|stream| stream.name.as_str())))
}

fn finished(report: StatusReport) -> Finished {
    let deciding = report.needs_decision();
    let summary = match (deciding, report.running) {
        (true, _) => "a stream needs a decision",
        (false, true) => "running",
        (false, false) => "no service runs",
    };
    Finished {
        exit: if deciding { Exit::NeedsDecision } else { Exit::Done },
        summary: if deciding { summary.to_owned() } else { String::new() },
        text: render::text(&report),
        // Strings and numbers only: this cannot fail.
        result: serde_json::to_value(&report).unwrap_or_default(),
    }
}
