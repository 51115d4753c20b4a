//! `landfall verify`: the comparison, once or again and again, and what it comes to.

use super::Outcome;
use super::args::VerifyArguments;
use super::console::Console;
use super::envelope::{self, Finished};
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::config::Pipeline;
use crate::status::measure;
use crate::verify::{
    self, Options, Progress, Reached, Repair, Sample, Start, Values, Verdict, VerifyReport, html, render,
};
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::path::Path;
use std::time::{Duration, Instant};

/// The first lines of progress come this often …
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// … and later ones this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a terminal is drawn.
const DRAW: Duration = Duration::from_millis(250);
/// Shortest pause between two runs of --continuous.
const LEAST_REST: Duration = Duration::from_secs(1);

pub(super) async fn verify(arguments: VerifyArguments, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline_with_warnings(console)?;
    let pipeline = super::status::with_found_streams(&pipeline).await?;
    if let Some(unknown) = arguments.stream.iter().find(|name| pipeline.stream(name).is_none()) {
        return Err(CliFailure::new(Exit::Usage, "unknown_stream", format!("there is no stream {unknown}"))
            .suggest("`landfall status` lists the streams"));
    }
    let options = Options {
        streams: arguments.stream.clone(),
        values: if arguments.show_values { Values::Shown } else { Values::Hidden },
        start: if arguments.fresh { Start::Anew } else { Start::GoOn },
        patience: arguments.patience,
        repair: match (arguments.repair, arguments.dry_run) {
            (false, _) => Repair::No,
            (true, true) => Repair::DryRun,
            (true, false) => Repair::Yes,
        },
        sample: arguments.sample.map_or(Sample::All, Sample::OneIn),
        beside: None,
    };
    if !arguments.continuous {
        return Ok(finished(once(&pipeline, &options, arguments.html.as_deref(), console).await?));
    }
    loop {
        let began = Instant::now();
        let outcome = once(&pipeline, &options, arguments.html.as_deref(), console).await.map(finished);
        say(&outcome, console);
        // A share of the time: what a run costs is spread over what it rests.
        let rest = began.elapsed().mul_f64(100.0 / f64::from(arguments.cost) - 1.0).max(LEAST_REST);
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => {
                // Without a handler the signal ends the process by itself.
                let _ = stopped;
                return outcome.map(|last| Finished { text: String::new(), ..last });
            }
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// One run of --continuous, as it ends: an envelope a line, or the table.
fn say(outcome: &Outcome, console: &Console) {
    match outcome {
        _ if console.is_json() => console.data(&envelope::line("verify", outcome)),
        Ok(finished) => console.data(&format!("{}{}\n\n", finished.text, finished.summary)),
        Err(failure) => console.note(&failure.to_string()),
    }
}

pub(super) async fn once(
    pipeline: &Pipeline,
    options: &Options,
    html: Option<&Path>,
    console: &Console,
) -> Result<VerifyReport, CliFailure> {
    let progress = Progress::default();
    let report = tokio::select! {
        report = Box::pin(verify::verify(pipeline, options, &progress)) => report?,
        never = show(&progress, console) => match never {},
    };
    if let Some(file) = html {
        write(file, &html::page(&report)).map_err(|error| {
            CliFailure::new(Exit::Failed, "report_unwritable", format!("{}: {}", file.display(), error.kind()))
        })?;
    }
    Ok(report)
}

/// Whole or not at all: an auditor never sees half a page.
fn write(file: &Path, page: &str) -> std::io::Result<()> {
    let beside = file.with_extension("html.new");
    std::fs::write(&beside, page)?;
    std::fs::rename(beside, file)
}

pub(super) fn finished(report: VerifyReport) -> Finished {
    let tallies = &report.tallies;
    let summary = match report.verdict {
        Verdict::Equal => format!("OK: {} records are equal", tallies.equal),
        Verdict::Different => format!("{} records differ", tallies.differences()),
        Verdict::Unknown => "equality cannot be shown".to_owned(),
    };
    Finished {
        exit: if report.verdict == Verdict::Equal { Exit::Done } else { Exit::Differences },
        summary,
        text: render::text(&report),
        // Strings and numbers only: this cannot fail.
        result: serde_json::to_value(&report).unwrap_or_default(),
    }
}

/// Shows how far it is until the caller drops this future.
pub(super) async fn show(progress: &Progress, console: &Console) -> std::convert::Infallible {
    if !console.shows_progress() {
        return std::future::pending().await;
    }
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    let bar = console.is_terminal().then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
    loop {
        tokio::time::sleep(if bar.is_some() { DRAW } else { pause }).await;
        let text = text(progress.reached(), began.elapsed());
        match &bar {
            Some(bar) => bar.set_message(text),
            None => console.note(&text),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// `1,200,000 records of the source, 900,000 of about 2,000,000 rows · 1m 10s left`
fn text(reached: Reached, elapsed: Duration) -> String {
    let Reached { records, rows, expected, suspects } = reached;
    if suspects > 0 {
        return format!("{} records are looked at again", measure::count(suspects));
    }
    let of = if expected > 0 { format!(" of about {}", measure::count(expected)) } else { String::new() };
    let mut text = format!("{} records of the source, {}{of} rows", measure::count(records), measure::count(rows));
    // Before 1 % a forecast says more about the start than about the rest.
    if rows > 0 && rows < expected && rows.saturating_mul(100) >= expected {
        let left = elapsed.as_secs_f64() * (expected - rows) as f64 / rows as f64;
        text.push_str(&format!(" · {} left", measure::span((left * 1_000.0) as u64)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_is_made_once_something_is_known() {
        let minute = Duration::from_secs(60);
        let early = Reached { records: 10, rows: 9, expected: 1_000, suspects: 0 };
        assert_eq!(text(early, minute), "10 records of the source, 9 of about 1,000 rows");
        let half = Reached { rows: 500, ..early };
        assert_eq!(text(half, minute), "10 records of the source, 500 of about 1,000 rows · 1m 0s left");
        assert_eq!(text(Reached { expected: 0, ..half }, minute), "10 records of the source, 500 rows");
        assert_eq!(text(Reached { suspects: 3, ..half }, minute), "3 records are looked at again");
    }
}
