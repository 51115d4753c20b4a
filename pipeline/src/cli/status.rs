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

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

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

async fn look(pipeline: &Pipeline) -> Result<StatusReport, CliFailure> {
    match ControlClient::connect(&pipeline.state_dir).await? {
        Some(mut client) => Ok(client.status().await?),
        None => Ok(offline::offline_status(pipeline).await?),
    }
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
