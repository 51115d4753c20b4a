//! The status of a pipeline that no service runs for: the state lock is taken, queues and target are read.

use crate::assemble::{self, StreamStatus};
use crate::config::Pipeline;
use crate::queue::Queue;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::lock::{LockRefused, StateLock};
use crate::status::{
    EvolutionReport, QueueReport, SourceReport, StatusReport, StreamCondition, StreamPhase, StreamReport, TargetReport,
    Trouble,
};
use landfall_connectors::checkpoints::Counts;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::mapping::StreamMapping;
use std::collections::BTreeMap;

/// What disk and target hold. The target may be away: the report then says so. A pipeline that never ran has no state directory;
/// none is made, and nothing is registered: looking changes nothing.
pub async fn offline_status(pipeline: &Pipeline) -> Result<StatusReport, Failure> {
    let lock = if pipeline.state_dir.exists() { Some(lock(pipeline)?) } else { None };
    let asked = assemble::target(pipeline)?;
    let (stored, target) = match asked.status().await {
        Ok(stored) => (stored, TargetReport { reachable: true, waiting_for: None, health: None }),
        Err(failure) => {
            let waiting_for = Some(Trouble::from(&failure));
            (Vec::new(), TargetReport { reachable: false, waiting_for, health: None })
        }
    };
    let controls = if target.reachable { asked.controls().await.unwrap_or_default() } else { BTreeMap::new() };
    let mut report = StatusReport { pipeline: pipeline.name.clone(), target, ..StatusReport::default() };
    for source in &pipeline.sources {
        let held = lock.is_some() && assemble::queue_dir(&pipeline.state_dir, &source.name).exists();
        let queue = if held { Some(assemble::open_queue(pipeline, &source.name)?) } else { None };
        let usage = queue.as_ref().map(|queue| queue.usage()).unwrap_or_default();
        report.sources.push(SourceReport {
            name: source.name.to_string(),
            kind: source.kind.name().to_owned(),
            queue: QueueReport::of(usage, None),
            watch: None,
            polls_because: None,
            log: None,
            left_out: Vec::new(),
        });
        let made = queue.as_ref().map(|queue| assemble::made_by_patterns(pipeline, source, queue)).unwrap_or_default();
        for mapping in pipeline.streams_of(&source.name).chain(&made) {
            let control = controls.get(mapping.name.as_str()).cloned().unwrap_or_default();
            report.streams.push(stream(mapping, queue.as_ref(), &stored).controlled(&control));
        }
    }
    Ok(report)
}

fn lock(pipeline: &Pipeline) -> Result<StateLock, Failure> {
    StateLock::acquire(&pipeline.state_dir).map_err(|refused| match refused {
        LockRefused::AlreadyHeld => {
            let detail = "another process holds the state directory and does not answer; try again in a moment";
            Failure::new(FailureClass::Fenced, "other_owner", detail)
        }
        LockRefused::Failed(failure) => failure,
    })
}

fn stream(mapping: &StreamMapping, queue: Option<&EmbeddedQueue>, stored: &[StreamStatus]) -> StreamReport {
    let known = stored.iter().find(|known| known.stream == mapping.name.as_str());
    let counts = known.map_or_else(Counts::default, counts);
    let ends = queue.and_then(|queue| {
        let (id, _, partitions) = queue.streams().into_iter().find(|(_, name, _)| *name == mapping.name)?;
        Some(partitions.all().map(|partition| queue.offsets(id, partition).end.0).sum())
    });
    let table = format!("{}.{}", mapping.table.schema, mapping.table.name);
    let mut report = StreamReport::new(mapping.name.as_str(), mapping.source.as_str(), &table)
        // Without a queue nothing waits in one.
        .counted(ends.unwrap_or(counts.total()), counts)
        .in_condition(StreamCondition::Stopped);
    let evolution = EvolutionReport { columns: known.map_or(0, |known| known.added), ..Default::default() };
    report.evolution = evolution.says_something().then_some(evolution);
    report.phase = known.map_or(StreamPhase::Prepared, |known| known.phase.into());
    report
}

fn counts(stored: &StreamStatus) -> Counts {
    let mut sum = Counts::default();
    for checkpoint in &stored.checkpoints {
        sum.add(checkpoint.counts);
    }
    sum
}
