//! The places that callers take up, and who has to give one up when they are all taken.
//!
//! A caller that is being answered keeps its place. One that is waited for, because it has not sent a request or thinks about the next one, keeps
//! it as long as nobody else could need it: when all places are taken it has [`GRACE`].

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a caller is waited for where others may be waiting: a head is one packet.
const GRACE: Duration = Duration::from_secs(1);

/// A caller's place.
#[derive(Debug)]
pub(super) struct Place {
    /// Since when the caller is waited for; `None`: it is being answered.
    since: Mutex<Option<Instant>>,
    /// Cancelled when the place is needed.
    pub(super) needed: CancellationToken,
}

impl Place {
    /// From here on the caller is being answered, until what this gives is dropped.
    pub(super) fn answering(&self) -> Answering<'_> {
        self.set(None);
        Answering(self)
    }

    fn set(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn is_waited_for(&self, now: Instant) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| now.saturating_duration_since(since) >= GRACE)
    }
}

/// A caller is being answered.
#[derive(Debug)]
pub(super) struct Answering<'a>(&'a Place);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.set(Some(Instant::now()));
    }
}

/// All places that are taken.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Weak<Place>>);

impl Places {
    /// Gives a new caller one.
    pub(super) fn take(&mut self) -> Arc<Place> {
        self.0.retain(|place| place.strong_count() > 0);
        let place = Arc::new(Place { since: Mutex::new(Some(Instant::now())), needed: CancellationToken::new() });
        self.0.push(Arc::downgrade(&place));
        place
    }

    /// All are taken: takes them from callers that have been waited for long enough.
    pub(super) fn make_room(&self, now: Instant) {
        let waited_for = self.0.iter().filter_map(Weak::upgrade).filter(|place| place.is_waited_for(now));
        waited_for.for_each(|place| place.needed.cancel());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_waited_for_gives_way_and_who_is_answered_does_not() {
        let mut places = Places::default();
        let (dawdles, answered, done) = (places.take(), places.take(), places.take());
        let _answering = answered.answering();
        drop(done.answering());
        places.make_room(Instant::now());
        assert!(!dawdles.needed.is_cancelled(), "a moment is given to everybody");
        places.make_room(Instant::now() + GRACE);
        let needed = [&dawdles, &answered, &done].map(|place| place.needed.is_cancelled());
        assert_eq!(needed, [true, false, true]);
    }
}
