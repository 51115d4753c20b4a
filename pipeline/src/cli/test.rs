//! `landfall test`: cases of a mapping, for a team's CI. Connects to nothing and needs no variable to be set.

use super::Outcome;
use super::args::TestArguments;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::trial;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

pub(super) fn test(options: TestArguments, settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline_offline()?;
    let files = if options.files.is_empty() { vec![beside(&pipeline.file)] } else { options.files };
    let (mut text, mut results, mut failed) = (String::new(), Vec::new(), 0);
    for file in &files {
        let shown = file.display().to_string();
        let source = std::fs::read_to_string(file).map_err(|error| {
            CliFailure::new(Exit::Usage, "no_tests", format!("{shown} cannot be read: {}", error.kind()))
                .suggest("landfall test FILE.yaml, or a file called like the configuration that ends in .test.yaml")
        })?;
        let cases = trial::read(&shown, &source)
            .map_err(|problems| CliFailure::new(Exit::Usage, "bad_tests", problems.to_string()))?;
        for case in cases {
            let faults = trial::attempt(&pipeline, &case);
            let _ = writeln!(text, "{} {}", if faults.is_empty() { "ok    " } else { "FAILED" }, case.name);
            for fault in &faults {
                let _ = writeln!(text, "         {fault}");
            }
            failed += usize::from(!faults.is_empty());
            results.push(json!({ "file": shown, "case": case.name, "stream": case.stream, "faults": faults }));
        }
    }
    let summary = match (results.len(), failed) {
        (0, _) => return Err(CliFailure::new(Exit::Usage, "no_tests", "there is no case to try")),
        (all, 0) => format!("{all} cases, all as expected"),
        (all, failed) => format!("{failed} of {all} cases are not as expected"),
    };
    let exit = if failed == 0 { Exit::Done } else { Exit::Failed };
    Ok(Finished { exit, summary, text, result: json!({ "cases": results }) })
}

/// `landfall.test.yaml` beside `landfall.yaml`.
fn beside(config: &std::path::Path) -> PathBuf {
    config.with_extension("test.yaml")
}
