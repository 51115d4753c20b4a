//! `landfall check`: everything that can be known before the first row, each point by itself, with what to do about it.

mod database;
mod destination;
pub(super) mod finding;
mod round_trip;
mod sqlite;
mod store;

use super::Outcome;
use super::envelope::Finished;
use super::exit::Exit;
use super::settings::Settings;
use crate::config::{Pipeline, SourceKind, permission};
use crate::queue::DiskRoom;
use crate::queue::embedded::disk::Space;
use crate::queue::embedded::disk::real::space;
use crate::status::measure::bytes;
use finding::{Finding, Level};
use serde_json::json;
use std::fs::File;

pub(super) async fn check(settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline()?;
    let mut findings = vec![configuration(&pipeline)];
    findings.extend(warnings(&pipeline));
    findings.push(state_dir(&pipeline));
    findings.extend(state_disk(&pipeline));
    for source in &pipeline.sources {
        findings.extend(match &source.kind {
            SourceKind::Mongo { config, .. } => database::look(&pipeline, &source.name, config).await,
            SourceKind::Document { .. }
            | SourceKind::Lines { .. }
            | SourceKind::Directory { .. }
            | SourceKind::Sqlite { .. } => store::look(source, &pipeline.streams_of(&source.name).collect::<Vec<_>>()),
        });
    }
    findings.extend(destination::look(&pipeline).await);
    Ok(finished(&findings))
}

fn configuration(pipeline: &Pipeline) -> Finding {
    let (streams, sources) = (pipeline.streams.len(), pipeline.sources.len());
    let patterns = match pipeline.templates.len() {
        0 => String::new(),
        count => format!(", patterns: {count}"),
    };
    let message = format!("{}: streams: {streams}{patterns}, sources: {sources}", pipeline.file.display());
    Finding::pass("config", "config_valid", message)
}

fn warnings(pipeline: &Pipeline) -> Vec<Finding> {
    let finding = |report: crate::config::problem::ProblemReport| {
        let message = format!("line {}: {}", report.line, report.problem);
        let finding = Finding::warn("config", "config_warning", message);
        match report.instead {
            Some(instead) => finding.suggest(format!("write {instead} instead")),
            None => finding,
        }
    };
    pipeline.warnings.reports().into_iter().map(finding).collect()
}

fn state_dir(pipeline: &Pipeline) -> Finding {
    let path = &pipeline.state_dir;
    if !path.exists() {
        return Finding::pass("state", "state_dir_new", format!("{} will be made by the first run", path.display()));
    }
    match permission::inspect_state_dir(path) {
        Ok(()) => Finding::pass("state", "state_dir_usable", format!("{} is ours", path.display())),
        Err(refusal) => Finding::fail("state", "state_dir_unusable", refusal.to_string()).suggest(refusal.suggestion()),
    }
}

/// The disk that the queues stand on, or will.
fn state_disk(pipeline: &Pipeline) -> Option<Finding> {
    let there = pipeline.state_dir.ancestors().find(|path| path.is_dir())?;
    let Space { total, free } = File::open(there).and_then(|directory| space(&directory)).ok()?;
    let room = DiskRoom::of((total, free), &pipeline.retention);
    let (free, reserve) = (bytes(room.free), bytes(room.reserve));
    let message = format!("{free} are free on the file system of {}, {reserve} of them stay so", there.display());
    Some(match room.is_short() {
        false => Finding::pass("state", "state_disk", message),
        true => Finding::fail("state", "disk_reserve", message)
            .suggest("capture would wait from the start: make room there, choose another `state.dir`, or lower `queue.disk_reserve`"),
    })
}

fn finished(findings: &[Finding]) -> Finished {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (warned, failed) = (count(Level::Warn), count(Level::Fail));
    let summary = match (warned, failed) {
        (0, 0) => "all is well".to_owned(),
        _ => format!("{} passed, {warned} to look at, {failed} failed", count(Level::Pass)),
    };
    Finished {
        exit: if failed == 0 { Exit::Done } else { Exit::Failed },
        summary,
        text: findings.iter().map(Finding::to_string).collect(),
        result: json!({ "checks": findings }),
    }
}
