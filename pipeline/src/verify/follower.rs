//! The running service, asked how far it is: everything that stands in the sources now captured, and all of that applied.
//!
//! Two steps: a *mark* (the service looks at its sources once more and says how many events of each stream there are then), and waiting
//! until as many are settled in the target. With no service running nothing is in flight, and there is nothing to wait for.

use super::Options;
use crate::config::Pipeline;
use crate::control::{ControlClient, ControlError};
use crate::status::{StatusReport, StreamCondition, Trouble};
use landfall_schemas::position::PositionTable;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two looks at how much is applied.
const LOOK: Duration = Duration::from_millis(50);

/// Asks a service.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) state_dir: PathBuf,
    /// How long applying may make no step before it is no longer waited for.
    pub(super) patience: Duration,
    /// The schema beside the live one whose streams are waited for.
    beside: Option<String>,
}

/// What became of waiting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// Everything that stood in the sources when it was asked is applied.
    Through,
    /// No service runs.
    NoService,
    /// It does not get there.
    Not(Trouble),
}

impl Follower {
    pub(super) fn of(pipeline: &Pipeline, options: &Options) -> Self {
        let beside = options.beside.as_ref();
        Self {
            state_dir: beside.map_or_else(|| pipeline.state_dir.clone(), |beside| beside.service.clone()),
            patience: options.patience,
            beside: beside.map(|beside| beside.schema.clone()),
        }
    }

    /// Waits until everything of these streams that stands in their sources now is applied.
    pub(super) async fn settle(&self, streams: &[&str]) -> Settled {
        match self.through(streams).await {
            Ok(settled) => settled,
            Err(ControlError::Refused(refused)) => Settled::Not(Trouble { code: refused.code, detail: refused.detail }),
            Err(error) => Settled::Not(Trouble { code: "service_lost".to_owned(), detail: error.to_string() }),
        }
    }

    /// Has the service capture the records again whose keys were put into the state directory.
    pub(super) async fn repair(&self, stream: &str) -> Result<u64, Trouble> {
        let none = || Trouble {
            code: "no_service".to_owned(),
            detail: "repairs go through the service that captures: start it (`landfall run`) and ask again".to_owned(),
        };
        let lost = |error: ControlError| Trouble { code: "service_lost".to_owned(), detail: error.to_string() };
        let mut client = ControlClient::connect(&self.state_dir).await.map_err(lost)?.ok_or_else(none)?;
        client.repair(stream.to_owned()).await.map_err(lost)
    }

    /// Where the capture of a source stands. None where no service runs or answers.
    pub(super) async fn positions(&self, source: &str) -> Option<PositionTable> {
        let mut client = ControlClient::connect(&self.state_dir).await.ok()??;
        client.positions(source).await.ok()
    }

    /// The doubts that stand now: stream and name. None where no service runs or answers.
    pub(super) async fn doubts(&self) -> Vec<(String, String)> {
        if self.beside.is_some() {
            return Vec::new();
        }
        let Ok(Some(mut client)) = ControlClient::connect(&self.state_dir).await else { return Vec::new() };
        let report = client.status().await.unwrap_or_default();
        report.streams.into_iter().filter_map(|stream| Some((stream.name, stream.doubt?))).collect()
    }

    /// Tells the service which doubts are settled. What it does not hear stays in doubt, until another run.
    pub(super) async fn shown(&self, doubts: Vec<(String, String)>) {
        if doubts.is_empty() {
            return;
        }
        let told =
            async { ControlClient::connect(&self.state_dir).await?.ok_or(ControlError::Foreign)?.shown(doubts).await };
        if let Err(error) = told.await {
            tracing::warn!("the service was not told what was shown, and keeps its doubt: {error}");
        }
    }

    /// The streams that are compared.
    fn of_report(&self, mut report: StatusReport) -> StatusReport {
        if let Some(schema) = &self.beside {
            let beside = report.beside.iter_mut().find(|beside| beside.schema == *schema);
            report.streams = beside.map(|beside| std::mem::take(&mut beside.streams)).unwrap_or_default();
        }
        report
    }

    async fn through(&self, streams: &[&str]) -> Result<Settled, ControlError> {
        let Some(mut client) = ControlClient::connect(&self.state_dir).await? else { return Ok(Settled::NoService) };
        let marks = client.mark(streams.iter().map(|stream| (*stream).to_owned()).collect()).await?;
        let (mut settled, mut moved) = (0, Instant::now());
        loop {
            let report = self.of_report(client.status().await?);
            let done = |(stream, mark): &(String, u64)| settled_events(&report, stream) >= *mark;
            if marks.iter().all(done) {
                return Ok(Settled::Through);
            }
            let now = marks.iter().map(|(stream, _)| settled_events(&report, stream)).sum();
            if now > settled {
                (settled, moved) = (now, Instant::now());
            }
            let stuck = marks.iter().filter(|mark| !done(mark)).find_map(|(stream, _)| stands_still(&report, stream));
            if let Some(trouble) = stuck {
                return Ok(Settled::Not(trouble));
            }
            if moved.elapsed() > self.patience {
                let detail = format!("nothing was applied for {} seconds", self.patience.as_secs());
                return Ok(Settled::Not(Trouble { code: "not_settled".to_owned(), detail }));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn settled_events(report: &StatusReport, stream: &str) -> u64 {
    let found = report.streams.iter().find(|known| known.name == stream);
    found.map_or(0, |stream| stream.captured - stream.queued)
}

/// Why a stream does not go on by itself.
fn stands_still(report: &StatusReport, stream: &str) -> Option<Trouble> {
    let stream = report.streams.iter().find(|known| known.name == stream)?;
    if stream.is_paused() {
        return Some(Trouble { code: "paused".to_owned(), detail: format!("stream {} is paused", stream.name) });
    }
    match &stream.condition {
        StreamCondition::Halted(trouble) => Some(trouble.clone()),
        StreamCondition::Held { .. } => {
            let detail = format!("a revision of stream {} is held", stream.name);
            Some(Trouble { code: "held".to_owned(), detail })
        }
        _ => None,
    }
}
