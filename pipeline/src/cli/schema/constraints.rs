//! `schema plan|apply --constraints`: foreign keys and uniqueness, built when the streams are quiet.

use crate::cli::Outcome;
use crate::cli::envelope::Finished;
use crate::cli::exit::Exit;
use crate::cli::failure::CliFailure;
use crate::cli::status;
use crate::config::Pipeline;
use landfall_connectors::postgres::{Examined, PostgresTarget};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) async fn planned(target: &PostgresTarget, pipeline: &Pipeline) -> Outcome {
    let seen = target.examine(&pipeline.constraints()).await?;
    let mut text = String::new();
    for one in seen.iter().filter(|one| !one.stands) {
        let _ = writeln!(text, "-- {}", one.constraint);
        for statement in one.constraint.build() {
            let _ = writeln!(text, "{statement};");
        }
        text.push('\n');
    }
    Ok(judged(&seen, text, "to build: landfall schema apply --constraints"))
}

pub(super) async fn apply(target: &PostgresTarget, pipeline: &Pipeline, actor: &str) -> Outcome {
    let report = status::look(pipeline).await?;
    let loud = report.streams.iter().find(|stream| !stream.is_quiet());
    if let Some(stream) = loud {
        let what =
            format!("stream {} still has changes to apply, or is not live: constraints would stop it", stream.name);
        let advice = "stop what writes to the source, wait until landfall status shows no lag, then again";
        return Err(CliFailure::new(Exit::NeedsDecision, "not_quiet", what).suggest(advice));
    }
    let seen = target.examine(&pipeline.constraints()).await?;
    if seen.iter().any(|one| one.violations > 0) {
        return Ok(judged(&seen, String::new(), ""));
    }
    let run = Box::pin(target.build_constraints(&seen, actor)).await?;
    let text = run.iter().map(|statement| format!("{statement}\n")).collect();
    let summary = match run.len() {
        0 => "all constraints stood already".to_owned(),
        count => format!("{count} statements were run; the streams must stay quiet from now on"),
    };
    Ok(Finished { exit: Exit::Done, summary, text, result: result(&seen) })
}

/// What is against them is a finding, as differences are.
fn judged(seen: &[Examined], mut text: String, to_do: &str) -> Finished {
    let against: Vec<_> = seen.iter().filter(|one| one.violations > 0).collect();
    let open = seen.iter().filter(|one| !one.stands).count();
    let mut summary = match (against.len(), open) {
        (0, 0) => "all constraints stand".to_owned(),
        (0, open) => format!("{open} constraints {to_do}"),
        (count, _) => format!("{count} constraints cannot be built; nothing was changed"),
    };
    for one in against {
        let what = match one.constraint.rule {
            landfall_schemas::ddl::Rule::References { .. } => "orphans",
            landfall_schemas::ddl::Rule::Unique => "values that stand more than once",
        };
        let _ = write!(summary, "\n  {}: {} {what}", one.constraint, one.violations);
        let _ = writeln!(text, "-- shows them:\n-- {};", one.constraint.violations());
    }
    let found = seen.iter().any(|one| one.violations > 0);
    Finished { exit: if found { Exit::Differences } else { Exit::Done }, summary, text, result: result(seen) }
}

fn result(seen: &[Examined]) -> Value {
    let one = |one: &Examined| {
        json!({ "constraint": one.constraint.to_string(), "name": one.constraint.name.as_str(), "stood": one.stands,
                "violations": one.violations })
    };
    json!({ "constraints": seen.iter().map(one).collect::<Vec<_>>() })
}
