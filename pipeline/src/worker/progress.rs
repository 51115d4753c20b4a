//! What a stream's worker says about itself, for `status`, readiness and "caught up".

use crate::metrics::StreamMeters;
use landfall_connectors::checkpoints::{Admission, Checkpoint, Counts, Phase};
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::{Offset, OffsetRange};
use landfall_schemas::stream::PartitionId;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a lag that was seen counts: a stream that is behind commits more often.
const LAG_COUNTS: Duration = Duration::from_secs(10);

/// Where a stream's worker stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamState {
    /// Not admitted yet; what it waits for, if anything is known.
    Starting(Option<Failure>),
    /// Applying.
    Applying(Phase),
    /// Applying, but the last try failed and is being repeated: what it waits for.
    Waiting(Phase, Failure),
    /// Needs an operator.
    Halted(Failure),
}

/// How far a copy from the source itself has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CopyProgress {
    /// Records read and committed.
    pub records: u64,
    /// About how many there are.
    pub estimate: u64,
    /// There are exactly so many.
    pub exact: bool,
}

/// A snapshot of a stream's progress.
#[derive(Clone, Debug)]
pub struct StreamProgressView {
    /// Where the worker stands.
    pub state: StreamState,
    /// Checkpoints as last committed or read; empty before admission.
    pub checkpoints: Vec<Checkpoint>,
    /// Sum of what became of all events.
    pub counts: Counts,
    /// A copy under way.
    pub copy: Option<CopyProgress>,
    /// Time between append and commit of the newest event of the last batch, milliseconds.
    pub lag_ms: Option<u64>,
    /// When that was seen: a stream without events says nothing new.
    pub lag_seen: Option<Instant>,
    /// What vanished from the source, or changed in it, while nothing knew of it is still to be looked for. The name of this doubt: whoever
    /// looks says for which one, so that a later one is not taken for settled.
    pub resync: Option<Uuid>,
    /// Columns that the service added.
    pub added: usize,
    /// Values that they did not take since this process began: a batch that is prepared twice counts twice.
    pub misfits: u64,
    /// Why new fields get no columns for now.
    pub fields_rest: Option<Failure>,
}

impl StreamProgressView {
    /// It is followed live and lags more than `most`, as was seen not long before `now`. Of a stream that has caught up and has no events,
    /// the last lag is the one it caught up with.
    pub(crate) fn lags(&self, most: Duration, now: Instant) -> bool {
        let live = matches!(self.state, StreamState::Applying(Phase::Live) | StreamState::Waiting(Phase::Live, _));
        let fresh = self.lag_seen.is_some_and(|seen| now.saturating_duration_since(seen) < LAG_COUNTS);
        live && fresh && self.copy.is_none() && self.lag_ms.is_some_and(|lag| u128::from(lag) > most.as_millis())
    }
}

/// Shared between a worker and whoever reports.
#[derive(Debug)]
pub struct StreamProgress(Mutex<StreamProgressView>, StreamMeters);

impl Default for StreamProgress {
    fn default() -> Self {
        let view = StreamProgressView {
            state: StreamState::Starting(None),
            checkpoints: Vec::new(),
            counts: Counts::default(),
            copy: None,
            lag_ms: None,
            lag_seen: None,
            resync: None,
            added: 0,
            misfits: 0,
            fields_rest: None,
        };
        Self(Mutex::new(view), StreamMeters::default())
    }
}

impl StreamProgress {
    /// What it says now.
    pub fn view(&self) -> StreamProgressView {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What its worker counts.
    pub fn meters(&self) -> &StreamMeters {
        &self.1
    }

    pub(crate) fn admitted(&self, admission: &Admission) {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        view.state = StreamState::Applying(admission.phase);
        view.resync = admission.resync.then(|| view.resync.unwrap_or_else(Uuid::new_v4));
        view.added = admission.added.len();
        view.checkpoints.clone_from(&admission.checkpoints);
        view.counts = admission.checkpoints.iter().fold(Counts::default(), |mut sum, checkpoint| {
            sum.add(checkpoint.counts);
            sum
        });
    }

    /// A copy begins, goes on or (`None`) ends.
    pub(crate) fn copy(&self, copy: Option<CopyProgress>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).copy = copy;
    }

    /// A chunk of a copy is committed.
    pub(crate) fn copied(&self, phase: Phase, records: u64) {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = &mut view.copy {
            copy.records += records;
            copy.estimate = copy.estimate.max(copy.records);
        }
        view.state = StreamState::Applying(phase);
    }

    /// So many more values stayed in the rest that columns of ours did not take.
    pub(super) fn misfits(&self, more: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).misfits += more;
    }

    /// New fields get no columns for now, and why; or they do again.
    pub(super) fn fields_rest(&self, why: Option<Failure>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fields_rest = why;
    }

    /// What vanished or changed unseen has been found.
    pub(crate) fn resynchronised(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).resync = None;
    }

    /// Changes passed unseen from here on.
    pub(crate) fn doubted(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).resync = Some(Uuid::new_v4());
    }

    pub(crate) fn state(&self, state: StreamState) {
        if let StreamState::Starting(Some(failure)) | StreamState::Waiting(_, failure) = &state {
            self.1.failed(failure.class);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).state = state;
    }

    pub(crate) fn committed(&self, phase: Phase, steps: &[(PartitionId, OffsetRange, Counts)], lag_ms: Option<u64>) {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, range, counts) in steps {
            view.counts.add(*counts);
            if let Some(checkpoint) = view.checkpoints.iter_mut().find(|known| known.partition == *partition) {
                checkpoint.next = range.until;
                checkpoint.counts.add(*counts);
            }
        }
        if lag_ms.is_some() {
            (view.lag_ms, view.lag_seen) = (lag_ms, Some(Instant::now()));
        }
        view.state = StreamState::Applying(phase);
    }

    /// The next offset of a partition, as last committed.
    pub fn next(&self, partition: PartitionId) -> Option<Offset> {
        let view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        view.checkpoints.iter().find(|known| known.partition == partition).map(|known| known.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_counts_while_a_live_stream_is_behind_and_not_after_it_has_fallen_silent() {
        let progress = StreamProgress::default();
        let most = Duration::from_secs(1);
        let lags = |later: u64| progress.view().lags(most, Instant::now() + Duration::from_secs(later));
        assert!(!lags(0), "nothing is known");
        progress.committed(Phase::Live, &[], Some(5_000));
        assert!(lags(0));
        assert!(!lags(11), "it caught up with that lag and has had no event since");
        progress.committed(Phase::Live, &[], None);
        assert!(lags(0), "a commit that says nothing of lag changes nothing");
        progress.committed(Phase::Live, &[], Some(900));
        assert!(!lags(0));
        progress.committed(Phase::Bulk, &[], Some(5_000));
        assert!(!lags(0), "a first load is not behind");
        progress.committed(Phase::Live, &[], Some(5_000));
        progress.copy(Some(CopyProgress::default()));
        assert!(!lags(0), "a stream that is copied itself holds up nobody");
    }
}
