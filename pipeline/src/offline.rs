//! The status of a pipeline that no service runs for: the state lock is taken, queues and target are read.

use crate::assemble::{self, StreamStatus};
use crate::config::Pipeline;
use crate::queue::Queue;
use crate::queue::lock::{LockRefused, StateLock};
use crate::status::{
    QueueReport, SourceReport, StatusReport, StreamCondition, StreamPhase, StreamReport, TargetReport, Trouble,
};
use landfall_connectors::checkpoints::Counts;
use landfall_connectors::failure::{Failure, FailureClass};

/// What disk and target hold. The target may be away: the report then says so and counts what the queues hold as captured.
pub async fn offline_status(pipeline: &Pipeline) -> Result<StatusReport, Failure> {
    let _lock = match StateLock::acquire(&pipeline.state_dir) {
        Ok(lock) => lock,
        Err(LockRefused::AlreadyHeld) => {
            let detail = "another process holds the state directory and does not answer; try again in a moment";
            return Err(Failure::new(FailureClass::Fenced, "other_owner", detail));
        }
        Err(LockRefused::Failed(failure)) => return Err(failure),
    };
    let target = assemble::target(pipeline)?;
    let (stored, target) = match target.status().await {
        Ok(stored) => (stored, TargetReport { reachable: true, waiting_for: None }),
        Err(failure) => (Vec::new(), TargetReport { reachable: false, waiting_for: Some(Trouble::from(&failure)) }),
    };
    let mut report = StatusReport { pipeline: pipeline.name.clone(), target, ..StatusReport::default() };
    for source in &pipeline.sources {
        let queue = assemble::open_queue(pipeline, &source.name)?;
        let usage = queue.usage();
        report.sources.push(SourceReport {
            name: source.name.to_string(),
            kind: source.kind.name().to_owned(),
            queue: QueueReport { bytes: usage.bytes, events: usage.events, segments: usage.segments, full: None },
            watch: None,
        });
        for mapping in pipeline.streams_of(&source.name) {
            let id = queue.register(&mapping.name, mapping.partitions)?;
            let captured = mapping.partitions.all().map(|partition| queue.offsets(id, partition).end.0).sum();
            let known = stored.iter().find(|known| known.stream == mapping.name.as_str());
            let table = format!("{}.{}", mapping.table.schema, mapping.table.name);
            let mut stream = StreamReport::new(mapping.name.as_str(), source.name.as_str(), &table)
                .counted(captured, known.map_or_else(Counts::default, counts))
                .in_condition(StreamCondition::Stopped);
            stream.phase = known.map_or(StreamPhase::Prepared, |known| known.phase.into());
            report.streams.push(stream);
        }
    }
    Ok(report)
}

fn counts(stored: &StreamStatus) -> Counts {
    let mut sum = Counts::default();
    for checkpoint in &stored.checkpoints {
        sum.add(checkpoint.counts);
    }
    sum
}
