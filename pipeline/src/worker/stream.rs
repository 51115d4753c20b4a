//! A stream's worker: admission, the bulk phase, then lanes until the service stops or the stream halts.

use super::apply::{Applier, unless_abandoned};
use super::barrier::{Base, Passed, arrival, begin, pass};
use super::brake::Brake;
use super::copy_source::CopySource;
use super::errand::{AtRest, Errand, Errands};
use super::evolution::Evolution;
use super::lane::{Lane, LaneEnd};
use super::prepare::Preparer;
use super::progress::{StreamProgress, StreamState};
use super::words::{Words, settles};
use super::writers::WriterPool;
use crate::queue::clock::Clock;
use crate::queue::{Cursor, Queue};
use crate::supervise::reaction::{Reaction, reaction};
use futures_util::future::join_all;
use landfall_connectors::checkpoints::{
    Admission, Checkpoint, Checkpoints, Leftovers, OwnerNonce, Phase, Rebinding, Word,
};
use landfall_connectors::evolve::Evolves;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use landfall_connectors::sink::{Applied, Ranges, Sink, Writer};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{Offset, OffsetRange};
use landfall_schemas::stream::StreamId;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// All that a stream's worker needs.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct StreamWorker<T: Sink> {
    /// Sink and checkpoints.
    pub target: Arc<T>,
    /// The writers it shares with the other streams.
    pub writers: Arc<WriterPool<T::Writer>>,
    /// The mapping.
    pub mapping: Arc<StreamMapping>,
    /// Its number in the queue.
    pub stream: StreamId,
    /// The queue of its source.
    pub queue: Arc<dyn Queue>,
    /// What finds rows whose records vanished while nothing knew of them.
    pub leftovers: Leftovers,
    /// What operators say to it while it is halted.
    pub words: Words,
    /// What others want of it.
    pub errands: Errands,
    /// This process.
    pub owner: OwnerNonce,
    /// Pause and throttle.
    pub brake: Arc<Brake>,
    /// What it says about itself.
    pub progress: Arc<StreamProgress>,
    /// Finish what is queued, then end.
    pub stop: CancellationToken,
    /// End now, between two batches.
    pub deadline: CancellationToken,
    /// For showing lag only.
    pub clock: Arc<dyn Clock>,
    /// Where the stream can be copied from, if its source can be read again.
    pub copy: Option<CopySource>,
    /// What is loaded before its first event, where the queue does not hold the whole history.
    pub base: Option<Base>,
    /// What its batches are traced with.
    pub tracer: crate::traces::Tracer,
}

/// What a failed try means for the stream.
enum Next {
    Again,
    /// Be admitted again, with this word on the state it halted in.
    Told(Word),
    /// Be admitted again for this errand.
    Asked(Errand),
    End,
}

/// Why lanes are ended before their time.
enum Called {
    /// Somebody has something to do with the rows.
    For(Errand),
    /// The stream shall halt.
    ToHalt(Failure),
}

/// How often a table that somebody changed is looked at.
const MENDED: Duration = Duration::from_secs(2);

/// Waits until the tables are as mapped again, or a halt from outside is taken back, where that is what the stream halted for; for any other
/// reason, for ever.
async fn mended(target: &impl Checkpoints, (stream, errands): (&StreamMapping, &Errands), halted: &Failure) {
    if errands.halt().as_ref() == Some(halted) {
        return errands.released().await;
    }
    if halted.code != "schema_drift" {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(MENDED).await;
        if target.fits(stream).await.is_ok() {
            tracing::info!(stream = %stream.name, "the table is as mapped again");
            return;
        }
    }
}

/// Runs the stream until the service stops. A halted stream stays halted and says so; only what must end the whole process is
/// an error.
pub async fn run<T: Sink + Checkpoints + Ranges + Evolves + 'static>(
    mut worker: StreamWorker<T>,
) -> Result<(), Failure> {
    let mut backoff = Pace::new();
    let evolution = Arc::new(Evolution::new(&worker.mapping, Arc::clone(&worker.progress)));
    let (mut told, mut asked) = (None::<Word>, None::<Errand>);
    loop {
        if worker.stop.is_cancelled() {
            return Ok(());
        }
        let admit = worker.admit(told.as_ref(), &evolution);
        let Some(admitted) = unless_abandoned(&worker.deadline, admit).await else { return Ok(()) };
        // A word is good for one answer of the target, whatever it is; while none comes, the word waits.
        let mut spoken = None;
        if !matches!(&admitted, Err(failure) if reaction(failure.class) == Reaction::Retry) {
            spoken = told.take();
        }
        let tried = match admitted {
            Ok(admission) => {
                backoff = Pace::new();
                match (worker.check(&admission), asked.take()) {
                    (Ok(()), Some(errand)) => {
                        let mapping = worker.widened(&admission);
                        errand.run(Ok(AtRest::of(mapping, worker.owner, admission))).await;
                        Ok(Next::Again)
                    }
                    (Ok(()), None) => worker.follow(admission, (spoken.as_ref(), &evolution)).await,
                    (Err(failure), errand) => {
                        asked = errand;
                        Err(failure)
                    }
                }
            }
            Err(failure) => Err(failure),
        };
        if let (Err(failure), Some(errand)) = (&tried, asked.take()) {
            errand.run(Err(failure.clone())).await;
        }
        let next = match tried {
            Ok(next) => next,
            Err(failure) => worker.failed(failure, &mut backoff).await?,
        };
        match next {
            Next::End => return Ok(()),
            Next::Told(word) => told = Some(word),
            Next::Asked(errand) => asked = Some(errand),
            Next::Again => {}
        }
    }
}

impl<T: Sink + Checkpoints + Ranges + Evolves + 'static> StreamWorker<T> {
    /// Asks for the columns that are waited for, carries out a word, if there is one, and is admitted. A word that names no work of its own
    /// means: try again.
    async fn admit(&self, told: Option<&Word>, evolution: &Evolution) -> Result<Admission, Failure> {
        self.widen(evolution).await?;
        let queue = self.queue.id();
        if let Some(word) = told.filter(|word| word.subject == "queue_changed") {
            tracing::warn!(stream = %self.mapping.name, actor = word.actor, "the stream is bound to another queue");
            let to = Rebinding { queue, owner: self.owner, leftovers: self.leftovers, actor: &word.actor };
            self.target.rebind(&self.mapping, to).await?;
        }
        self.target.admit(&self.mapping, queue, self.owner).await
    }

    /// Asks for columns. Where they cannot be had the fields rest, and nothing fails; what only passes is waited for.
    async fn widen(&self, evolution: &Evolution) -> Result<(), Failure> {
        let wanted = evolution.wanted();
        if wanted.is_empty() {
            return Ok(());
        }
        match self.target.widen(&self.mapping, self.owner, &wanted).await {
            Ok(widened) => {
                evolution.say(&self.mapping, &widened);
                evolution.settled(widened);
                Ok(())
            }
            // The admission says who owns the stream.
            Err(failure) if reaction(failure.class) == Reaction::Readmit => Ok(()),
            Err(failure) => {
                tracing::warn!(stream = %self.mapping.name, code = failure.code, "columns for new fields: {}", failure.detail);
                evolution.refused(wanted, failure).map_or(Ok(()), Err)
            }
        }
    }

    /// Promise 5 and Q9: a checkpoint outside what the queue holds stops the stream before anything is written.
    fn check(&self, admission: &Admission) -> Result<(), Failure> {
        if self.due(admission).is_some() {
            return Ok(());
        }
        for checkpoint in &admission.checkpoints {
            let held = self.queue.offsets(self.stream, checkpoint.partition);
            if checkpoint.next < held.start {
                let detail = format!(
                    "the target's checkpoint of partition {} is older than the oldest event the queue still holds; restore a queue or a \
                     target that fit together, or resynchronise the stream",
                    checkpoint.partition.0
                );
                return Err(Failure::new(FailureClass::Halt, "history_trimmed", detail));
            }
            if checkpoint.next > held.end {
                let detail = format!(
                    "the target has applied more of partition {} than the queue in the state directory holds: the state directory is older \
                     than the target; put the newer one back, or resynchronise the stream",
                    checkpoint.partition.0
                );
                return Err(Failure::new(FailureClass::Halt, "queue_behind_target", detail));
            }
        }
        Ok(())
    }

    /// The base that is still to be loaded.
    fn due(&self, admission: &Admission) -> Option<&Base> {
        self.base.as_ref().filter(|base| base.is_due(&admission.checkpoints))
    }

    async fn follow(
        &self,
        admission: Admission,
        (word, evolution): (Option<&Word>, &Arc<Evolution>),
    ) -> Result<Next, Failure> {
        self.progress.admitted(&admission);
        self.note_applied(&admission.checkpoints);
        if let Some(failure) = self.errands.halt() {
            return Err(failure);
        }
        let phase = admission.phase;
        let applier = Arc::new(self.applier(&admission, evolution));
        if let Some(base) = self.due(&admission) {
            return Ok(self.next_after(Box::pin(begin(&applier, base, phase)).await?));
        }
        let mut again = Next::Again;
        let mut bulk_over = phase == Phase::Bulk;
        let mut arrived = Vec::new();
        let (ends, called) = self.lanes_until_called(&applier, admission).await;
        match called {
            // Behind a new admission: what the lanes did last is known there.
            Some(Called::For(errand)) => return Ok(Next::Asked(errand)),
            Some(Called::ToHalt(failure)) => return Err(failure),
            None => {}
        }
        let lanes = ends.len();
        for end in ends {
            match end {
                LaneEnd::Halted(failure) => return Err(failure),
                LaneEnd::Stopped => {
                    bulk_over = false;
                    again = Next::End;
                }
                LaneEnd::Readmit => bulk_over = false,
                LaneEnd::BulkOver => {}
                LaneEnd::Barrier(barrier, at) => arrived.push((barrier, at)),
            }
        }
        if arrived.len() == lanes
            && let Some(arrival) = arrival(&applier, arrived)
        {
            return Ok(self.next_after(pass(&applier, self.copy.as_ref(), phase, (arrival, word)).await?));
        }
        if bulk_over {
            let mut writer = self.writers.borrow().await;
            tracing::info!(stream = %self.mapping.name, "first load done: building key and indexes");
            let built = unless_abandoned(&self.deadline, writer.get().finish_bulk(&applier.mapping, self.owner)).await;
            built.unwrap_or(Ok(()))?;
        }
        Ok(if self.stop.is_cancelled() { again } else { Next::Again })
    }

    fn next_after(&self, passed: Passed) -> Next {
        match passed {
            Passed::Again if !self.stop.is_cancelled() => Next::Again,
            Passed::Again | Passed::Stopped => Next::End,
        }
    }

    /// What was added to the table belongs to the mapping from here on.
    fn widened(&self, admission: &Admission) -> Arc<StreamMapping> {
        match admission.added.as_slice() {
            [] => Arc::clone(&self.mapping),
            added => Arc::new(self.mapping.widened(added)),
        }
    }

    fn applier(&self, admission: &Admission, evolution: &Arc<Evolution>) -> Applier<T> {
        Applier {
            target: Arc::clone(&self.target),
            writers: Arc::clone(&self.writers),
            mapping: self.widened(admission),
            stream: self.stream,
            queue: Arc::clone(&self.queue),
            owner: self.owner,
            generation: admission.generation,
            progress: Arc::clone(&self.progress),
            stop: self.stop.clone(),
            deadline: self.deadline.clone(),
            brake: Arc::clone(&self.brake),
            evolution: Arc::clone(evolution),
            clock: Arc::clone(&self.clock),
            together: CancellationToken::new(),
            tracer: self.tracer.clone(),
        }
    }

    /// Runs the lanes until all have ended; when somebody wants something of the stream, they end between two batches.
    async fn lanes_until_called(
        &self,
        applier: &Arc<Applier<T>>,
        admission: Admission,
    ) -> (Vec<LaneEnd>, Option<Called>) {
        let lanes = self.lanes(applier, admission);
        tokio::pin!(lanes);
        let called = tokio::select! {
            biased;
            ends = &mut lanes => return (ends, None),
            errand = self.errands.next() => Called::For(errand),
            failure = self.errands.halted() => Called::ToHalt(failure),
        };
        applier.together.cancel();
        (lanes.await, Some(called))
    }

    /// Runs as many lanes as there are writers, until all have ended.
    async fn lanes(&self, applier: &Arc<Applier<T>>, admission: Admission) -> Vec<LaneEnd> {
        let count = self.writers.size().min(admission.checkpoints.len()).max(1);
        let lanes = (0..count).map(|lane| {
            let mine = admission.checkpoints.iter().filter(|known| usize::from(known.partition.0) % count == lane);
            let next = mine.map(|known| (known.partition, known.next)).collect();
            let (mapping, evolution) = (Arc::clone(&applier.mapping), Arc::clone(&applier.evolution));
            let preparer = Preparer::new(mapping, admission.generation, admission.parked.clone(), evolution);
            Lane {
                applier: Arc::clone(applier),
                queue: Arc::clone(&self.queue),
                preparer: Some(preparer),
                cursor: Cursor { stream: self.stream, next },
                phase: admission.phase,
                together: applier.together.clone(),
                deadline: self.deadline.clone(),
            }
            .run()
        });
        join_all(lanes).await
    }

    /// What was applied before this start is trimmable too.
    fn note_applied(&self, checkpoints: &[Checkpoint]) {
        let advances = checkpoints
            .iter()
            .map(|known| (known.partition, OffsetRange { from: Offset(0), until: known.next }))
            .collect();
        self.queue.applied(self.stream, &Applied { advances });
    }

    async fn failed(&mut self, failure: Failure, backoff: &mut Pace) -> Result<Next, Failure> {
        match reaction(failure.class) {
            Reaction::StopProcess => Err(failure),
            // Another live owner is not something that waiting mends (promise 17).
            Reaction::Readmit if failure.code == "other_owner" => Err(failure),
            Reaction::HaltStream => {
                tracing::error!(stream = %self.mapping.name, code = failure.code, "{}", failure.detail);
                // A word that waited for this halt is taken before the halt is shown: nobody shall decide what is decided.
                let waiting = self.target.take_word(&self.mapping.name, failure.code);
                if let Some(Ok(Some(word))) = unless_abandoned(&self.deadline, waiting).await
                    && settles(&word)
                {
                    return Ok(Next::Told(word));
                }
                self.words.forget();
                self.progress.state(StreamState::Halted(failure.clone()));
                tokio::select! {
                    word = self.words.accepted(&*self.target, (&self.mapping.name, &failure)) => Ok(Next::Told(word)),
                    () = mended(&*self.target, (&self.mapping, &self.errands), &failure) => Ok(Next::Again),
                    errand = self.errands.next() => Ok(Next::Asked(errand)),
                    () = self.stop.cancelled() => Ok(Next::End),
                }
            }
            Reaction::Retry | Reaction::Shrink | Reaction::Settle | Reaction::Readmit => {
                tracing::warn!(stream = %self.mapping.name, code = failure.code, "{}", failure.detail);
                self.progress.state(StreamState::Starting(Some(failure)));
                tokio::select! {
                    () = tokio::time::sleep(backoff.next_wait()) => {}
                    () = self.stop.cancelled() => return Ok(Next::End),
                }
                Ok(Next::Again)
            }
        }
    }
}
