//! `verify`: proof that the target's rows are what the sources say, while both are written to.
//!
//! Both sides are read independently of capture and worker: the source by a second reading of its store ([`landfall_connectors::reread`]),
//! the target as PostgreSQL sends it. Source records go through the mapping; rows of both sides are brought to one canonical form, hashed,
//! and spilled to disk in buckets, since files and encoded keys have no common order. Buckets with equal sums are equal; the others are opened.
//! A record that differs is *suspect* until the difference has survived everything that was in flight when it was seen.
//!
//! Keeps promise 15: equal is said only where every record of both sides was compared; what is parked, suspect or could not be compared
//! is told apart. Shares no queue, index or position with capture. Reads only: the one thing it writes is `STATE/verify`.

mod bucket;
mod canonical;
mod cases;
mod comparison;
mod finding;
mod fingerprint;
mod follower;
mod grown;
pub mod html;
mod last;
pub mod news;
mod progress;
mod record_state;
pub mod render;
mod repair;
mod repairing;
pub mod report;
mod run_state;
mod sample;
mod second_look;
mod sides;
mod source_side;
mod spill;
mod target_side;
mod under_way;

pub use finding::Values;
pub use last::LastComparison;
pub(crate) use progress::Counted;
pub use progress::{Progress, Reached};
pub use repair::Repair;
pub(crate) use repair::take as keys_to_repair;
pub use report::{Verdict, VerifyReport};
pub use sample::Sample;

use crate::assemble::{self, Target};
use crate::config::Pipeline;
use crate::queue::clock::{Clock, SystemClock};
use comparison::Comparison;
use follower::{Follower, Settled};
use grown::Grown;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::mapping::StreamMapping;
use report::{Service, StreamResult};
use run_state::RunState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use under_way::Telling;

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// These streams; all when empty.
    pub streams: Vec<String>,
    /// Whether values are told.
    pub values: Values,
    /// Whether an earlier run is gone on with.
    pub start: Start,
    /// How long suspects are looked at again, and applying may stand still.
    pub patience: Duration,
    /// Which records.
    pub sample: Sample,
    /// What is done about differences.
    pub repair: Repair,
    /// The pipeline is one beside a live one.
    pub beside: Option<Beside>,
}

/// A schema beside the live one, and where the service that follows it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beside {
    /// The schema.
    pub schema: String,
    /// The service's state directory.
    pub service: PathBuf,
}

/// Where a run begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// Where an earlier one was ended.
    #[default]
    GoOn,
    /// At the beginning.
    Anew,
}

/// Compares. Fails only where nothing can be compared at all (state directory, target's address, unknown stream): everything else is part
/// of the report.
pub async fn verify(pipeline: &Pipeline, options: &Options, progress: &Progress) -> Result<VerifyReport, Failure> {
    let now_ms = SystemClock.now_ms();
    let target = assemble::target(pipeline)?;
    let mut wanted = Vec::new();
    for stream in self::wanted(pipeline, options)? {
        wanted.push(Grown::of(stream, &target).await);
    }
    let mut state = RunState::open(&pipeline.state_dir, now_ms)?;
    if options.start == Start::Anew || !state.resumed {
        state.forget(now_ms)?;
    }
    let mut telling = Telling::of(&pipeline.state_dir, state.started_ms());
    let compare = compare((pipeline, options, progress), (&target, &wanted), state);
    tokio::select! {
        report = Box::pin(compare) => report,
        never = telling.tell(progress) => match never {},
    }
}

async fn compare(
    (pipeline, options, progress): (&Pipeline, &Options, &Progress),
    (target, wanted): (&Target, &[Grown]),
    mut state: RunState,
) -> Result<VerifyReport, Failure> {
    let clock = SystemClock;
    expect(target, wanted, progress).await;
    let follower = Follower::of(pipeline, options);
    let mut service = follower.settle(&[]).await;
    // Only what stands before anything is read can be settled by it.
    let doubts = if state.resumed { Vec::new() } else { follower.doubts().await };
    let mut results: Vec<StreamResult> = Vec::new();
    let mut told = Vec::new();
    for spec in &pipeline.sources {
        let grown: Vec<&Grown> = wanted.iter().filter(|stream| stream.mapping.source == spec.name).collect();
        if grown.is_empty() {
            continue;
        }
        let comparison = Comparison {
            target,
            spec,
            grown,
            follower: &follower,
            clock: &clock,
            values: options.values,
            sample: options.sample,
            progress,
            repair: options.repair,
            settling: options.patience,
        };
        for (result, is_final) in comparison.run(&mut state, &mut service).await? {
            told.extend(is_final.then(|| result.stream.clone()));
            results.push(result);
        }
    }
    let report = VerifyReport {
        pipeline: pipeline.name.clone(),
        service: if service == Settled::NoService { Service::None } else { Service::Running },
        resumed: state.resumed,
        started_ms: state.started_ms(),
        ended_ms: clock.now_ms(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        server_version: target.server_version().await.ok(),
        ..VerifyReport::default()
    };
    follower.shown(shown(doubts, &results)).await;
    state.end(&told, results.len())?;
    let order = |result: &StreamResult| wanted.iter().position(|stream| stream.mapping.name.as_str() == result.stream);
    results.sort_by_key(order);
    let report = report.of(results);
    last::remember(&pipeline.state_dir, &report);
    Ok(report)
}

/// Learns how much there is to read. A target that does not answer costs the forecast, not the comparison.
async fn expect(target: &Target, wanted: &[Grown], progress: &Progress) {
    for grown in wanted {
        let counted = progress.of(grown.mapping.name.as_str());
        match target.about(&grown.mapping).await {
            Ok(about) => counted.expect((about.records, about.rows)),
            Err(failure) => {
                tracing::debug!(code = failure.code, "how much there is to read is not known: {}", failure.detail)
            }
        }
    }
}

/// The doubts whose streams were compared whole, and are equal.
fn shown(doubts: Vec<(String, String)>, results: &[StreamResult]) -> Vec<(String, String)> {
    let equal = |name: &str| results.iter().any(|result| result.stream == name && result.verdict == Verdict::Equal);
    doubts.into_iter().filter(|(stream, _)| equal(stream)).collect()
}

fn wanted(pipeline: &Pipeline, options: &Options) -> Result<Vec<Arc<StreamMapping>>, Failure> {
    if options.streams.is_empty() {
        return Ok(pipeline.streams.iter().cloned().map(Arc::new).collect());
    }
    let find = |name: &String| {
        pipeline.stream(name).map(Arc::new).ok_or_else(|| {
            let detail = format!("the configuration has no stream {name}");
            Failure::new(FailureClass::Halt, "unknown_stream", detail)
        })
    };
    options.streams.iter().map(find).collect()
}
