//! `landfall run`: the service, with progress for whoever looks.

use super::Outcome;
use super::args::RunArguments;
use super::console::Console;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::progress;
use super::settings::Settings;
use crate::config::permission;
use crate::log_dial::LogDial;
use crate::run::{self, RunOptions, RunOutcome, RunUntil};
use crate::status::StatusReport;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::watch;

pub(super) async fn run(options: RunArguments, settings: &Settings, console: &Console, log: LogDial) -> Outcome {
    // Everything the service writes is its owner's alone (S14).
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let pipeline = settings.pipeline_with_warnings(console)?;
    permission::prepare_state_dir(&pipeline.state_dir).map_err(|refusal| {
        CliFailure::new(Exit::Failed, "state_dir_unusable", refusal.to_string()).suggest(refusal.suggestion())
    })?;
    let until = if options.until_caught_up { RunUntil::CaughtUp } else { RunUntil::Stopped };
    let (publish, mut reports) = watch::channel(Arc::new(StatusReport::default()));
    let last = reports.clone();
    let service = Box::pin(run::run_service(&pipeline, RunOptions { until, log }, publish));
    let outcome = tokio::select! {
        outcome = service => outcome,
        never = progress::show(&mut reports, console) => match never {},
    };
    let report = last.borrow().clone();
    finished(outcome, until, &report)
}

fn finished(outcome: RunOutcome, until: RunUntil, report: &StatusReport) -> Outcome {
    let result = serde_json::to_value(report).unwrap_or_default();
    let done = |summary: String, exit| Finished { exit, summary, text: String::new(), result: result.clone() };
    match outcome {
        RunOutcome::Done if until == RunUntil::CaughtUp => {
            Ok(done(format!("caught up: {}", crate::status::render::line(report)), Exit::Done))
        }
        RunOutcome::Done => Ok(done("stopped".to_owned(), Exit::Done)),
        RunOutcome::NeedsDecision(streams) => {
            let mut summary = "everything else is applied; a decision is needed:".to_owned();
            for (stream, state) in &streams {
                let _ = write!(summary, "\n  {stream}: {state}");
            }
            let hints = report.streams.iter().flat_map(|stream| &stream.how_to);
            hints.for_each(|command| _ = write!(summary, "\n  → {command}"));
            let waiting = streams.iter().map(|(stream, state)| json!({ "stream": stream, "state": state }));
            let mut finished = done(summary, Exit::NeedsDecision);
            finished.result = json!({ "needs_decision": waiting.collect::<Vec<_>>(), "status": result });
            Ok(finished)
        }
        RunOutcome::OtherOwner(detail) => Err(CliFailure::new(Exit::OtherOwner, "other_owner", detail)
            .suggest("`landfall status` shows the service that runs; stop it first to run another one")),
        RunOutcome::Interrupted => Err(CliFailure::new(
            Exit::Interrupted,
            "interrupted",
            "ended at once by a second signal; the next start goes on where the target stands",
        )),
        RunOutcome::Failed(failure) => Err(failure.into()),
    }
}
