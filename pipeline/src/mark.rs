//! A mark: everything that stood in some streams' sources at one moment is captured, and so many events there are then.
//!
//! A pass of a source that ends caught up has handed out all that stood there when it began. The pass under way when the mark is asked for
//! may have begun before; the one after it has not. Changes nothing; fails with a refusal when a source does not get there in time.

use crate::control::Refused;
use crate::service::Service;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest a source is waited for: below what an answer may take.
const LONGEST: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Passes that have to end: the one that may be under way, and the one that begins after it.
const PASSES: u64 = 2;

/// Events of each stream once everything that stands in its source now is captured.
pub(crate) async fn mark(service: &Service, names: Vec<String>) -> Result<Vec<(String, u64)>, Refused> {
    let unknown = || Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them");
    let found = names.iter().map(|name| service.streams.find(name).ok_or_else(unknown));
    let streams = found.collect::<Result<Vec<_>, _>>()?;
    let passes = |source: usize| service.sources[source].capture.report().caught_up_passes;
    let before: BTreeMap<usize, u64> = streams.iter().map(|stream| (stream.source, passes(stream.source))).collect();
    let began = Instant::now();
    loop {
        let waiting: Vec<usize> =
            before.iter().filter(|(source, before)| passes(**source) < **before + PASSES).map(|(at, _)| *at).collect();
        if waiting.is_empty() {
            break;
        }
        if began.elapsed() > LONGEST {
            let names: Vec<&str> = waiting.iter().map(|source| service.sources[*source].name.as_str()).collect();
            let detail = format!("{}: not everything that stands there is captured yet", names.join(", "));
            return Err(Refused::new("not_captured", detail));
        }
        waiting.into_iter().for_each(|source| service.sources[source].capture.look());
        tokio::time::sleep(LOOK).await;
    }
    let events = |stream: &crate::streams::RunningStream| {
        let queue = &service.sources[stream.source].queue;
        stream.mapping.partitions.all().map(|partition| queue.offsets(stream.id, partition).end.0).sum()
    };
    Ok(names.into_iter().zip(&streams).map(|(name, stream)| (name, events(stream))).collect())
}
