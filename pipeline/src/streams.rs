//! The streams that run: those of the configuration, and those that patterns make while the service runs.
//!
//! Owns the list, which only grows: a place in it is a stream's for the life of the service. What a stream is mapped to, and which source it
//! is of, never changes.

use crate::health::Health;
use crate::queue::clock::SystemClock;
use crate::worker::{self, Brake, Desk, Errands, Speaker, StreamProgress, Words};
use landfall_connectors::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::stream::StreamId;
use std::sync::{Arc, PoisonError, RwLock};

/// Where a stream comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// An entry of the configuration: its table is made by `landfall schema apply`.
    Entry,
    /// A pattern and a collection that matches: its table is made by the service.
    Pattern,
}

/// One stream, running.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct RunningStream {
    /// Its mapping.
    pub mapping: Arc<StreamMapping>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its number in its source's queue.
    pub id: StreamId,
    /// Which of the service's sources.
    pub source: usize,
    /// What its worker says.
    pub progress: Arc<StreamProgress>,
    /// What its worker is told while it is halted.
    pub speaker: Speaker,
    /// Where others leave what they want of its worker.
    pub desk: Desk,
    /// Pause, throttle and the target's health.
    pub brake: Arc<Brake>,
}

/// A stream whose worker is not started yet, and what that worker will listen to.
pub(crate) type Enlisted = (Arc<RunningStream>, Ears);

/// What a worker listens to.
pub(crate) struct Ears {
    /// Words on halted states.
    pub(crate) words: Words,
    /// What others want of it.
    pub(crate) errands: Errands,
}

impl RunningStream {
    /// A stream of the source with this place, by its number in the source's queue.
    pub(crate) fn enlist(
        mapping: StreamMapping,
        origin: Origin,
        (source, id): (usize, StreamId),
        health: &Arc<Health>,
    ) -> Enlisted {
        let ((speaker, words), (desk, errands)) = (worker::words(), worker::desk());
        let brake = Arc::new(Brake::new(Arc::new(SystemClock), Arc::clone(health)));
        let progress = Arc::default();
        (
            Arc::new(Self { mapping: Arc::new(mapping), origin, id, source, progress, speaker, desk, brake }),
            Ears { words, errands },
        )
    }
}

/// All of them.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct Streams(RwLock<Vec<Arc<RunningStream>>>);

impl Streams {
    /// Those there are now, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<RunningStream>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one by this name.
    pub fn find(&self, name: &str) -> Option<Arc<RunningStream>> {
        let streams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        streams.iter().find(|stream| stream.mapping.name.as_str() == name).cloned()
    }

    /// Adds what `make` makes in sight of those there are; nobody adds any meanwhile.
    pub(crate) fn grow(
        &self,
        make: impl FnOnce(&[Arc<RunningStream>]) -> Result<Vec<Arc<RunningStream>>, Failure>,
    ) -> Result<(), Failure> {
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let made = make(&streams)?;
        streams.extend(made);
        Ok(())
    }
}
