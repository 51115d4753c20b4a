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
use crate::status::screen::{Canvas, Screen};
use crate::status::{StatusReport, render};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The other screen of a terminal, without a cursor; and back to what stood there before.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To the first line; the rest of a line, and of the screen, is emptied as it is drawn: clearing all of it before would flicker.
const HOME: &str = "\u{1b}[H";
const REST_OF_LINE: &str = "\u{1b}[K\n";
const REST_OF_SCREEN: &str = "\u{1b}[J";
/// Where the terminal does not say how large it is.
const USUAL: (usize, usize) = (120, 40);
/// How long a held lock without a socket is waited for: a service opens its queues in less, or drains.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);

pub(super) async fn status(options: StatusArguments, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline()?;
    if !options.watch {
        return Ok(finished(look(&pipeline).await?));
    }
    let live = !console.is_json() && std::io::stdout().is_terminal();
    if live {
        console.data(ENTER);
    }
    let mut screen = Screen::default();
    loop {
        // The signal is heard while the service is asked too: the terminal is given back whatever happens.
        let shown = async {
            let looked = look(&pipeline).await;
            console.data(&match (looked, live) {
                (Ok(report), true) => drawn(&screen.frame(&report, Instant::now(), canvas())),
                (Err(failure), true) => drawn(&failure.to_string()),
                (looked, false) => plain(looked.map(finished), console),
            });
            tokio::time::sleep(options.interval).await;
        };
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => {
                // Without a handler the signal ends the process by itself.
                let _ = stopped;
                if live {
                    console.data(LEAVE);
                }
                return Ok(Finished::done(""));
            }
            () = shown => {}
        }
    }
}

fn plain(outcome: Outcome, console: &Console) -> String {
    if console.is_json() {
        return envelope::line("status", &outcome);
    }
    outcome.map_or_else(|failure| failure.to_string(), |finished| finished.text)
}

fn drawn(frame: &str) -> String {
    let lines: String = frame.lines().map(|line| format!("{line}{REST_OF_LINE}")).collect();
    format!("{HOME}{lines}{REST_OF_SCREEN}")
}

/// The terminal as it is now: it may be drawn larger or smaller at any time.
fn canvas() -> Canvas {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let (columns, lines) = size.map_or(USUAL, |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    let (columns, lines) = if columns == 0 || lines == 0 { USUAL } else { (columns, lines) };
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Canvas { columns, lines, colour }
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
