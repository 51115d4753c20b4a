//! `landfall verify`: the comparison, and what it comes to.

use super::Outcome;
use super::args::VerifyArguments;
use super::console::Console;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::verify::{self, Options, Start, Values, Verdict, render};

pub(super) async fn verify(arguments: VerifyArguments, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline_with_warnings(console)?;
    let pipeline = super::status::with_found_streams(&pipeline).await?;
    if let Some(unknown) = arguments.stream.iter().find(|name| pipeline.stream(name).is_none()) {
        return Err(CliFailure::new(Exit::Usage, "unknown_stream", format!("there is no stream {unknown}"))
            .suggest("`landfall status` lists the streams"));
    }
    let options = Options {
        streams: arguments.stream,
        values: if arguments.show_values { Values::Shown } else { Values::Hidden },
        start: if arguments.fresh { Start::Anew } else { Start::GoOn },
        patience: arguments.patience,
    };
    let report = Box::pin(verify::verify(&pipeline, &options)).await?;
    let tallies = &report.tallies;
    let summary = match report.verdict {
        Verdict::Equal => format!("OK: {} records are equal", tallies.equal),
        Verdict::Different => format!("{} records differ", tallies.differences()),
        Verdict::Unknown => "equality cannot be shown".to_owned(),
    };
    Ok(Finished {
        exit: if report.verdict == Verdict::Equal { Exit::Done } else { Exit::Differences },
        summary,
        text: render::text(&report),
        // Strings and numbers only: this cannot fail.
        result: serde_json::to_value(&report).unwrap_or_default(),
    })
}
