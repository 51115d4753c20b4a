//! Whether a source can be reached, told while the source itself is still asking.
//!
//! A source that waits for an answer says nothing new: its own word is as old as its last step, and what asks over a network may wait for long.
//! Whoever notices first tells it here, and whoever shows the source looks here too.

use crate::source::Condition;
use crate::wake::Wake;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A loss that ends sooner is not worth a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the way to a source. Clones know the same.
#[derive(Clone, Debug)]
pub struct Contact {
    lost: Arc<Mutex<Option<Loss>>>,
    wake: Wake,
}

#[derive(Debug)]
struct Loss {
    since: Instant,
    code: &'static str,
    detail: &'static str,
}

impl Contact {
    /// There is contact until somebody says otherwise; its return rings the bell.
    pub fn new(wake: Wake) -> Self {
        Self { lost: Arc::default(), wake }
    }

    /// It is lost, or still lost.
    pub fn lose(&self, code: &'static str, detail: &'static str) {
        let mut lost = self.lost();
        let since = lost.as_ref().map_or_else(Instant::now, |loss| loss.since);
        *lost = Some(Loss { since, code, detail });
    }

    /// It is there.
    pub fn regain(&self) {
        if self.lost().take().is_some() {
            self.wake.ring();
        }
    }

    /// Whether it is lost just now.
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    /// What a stream of the source does that, by its own word, does this.
    pub fn seen(&self, said: Condition) -> Condition {
        match (&*self.lost(), said) {
            (Some(loss), Condition::Following | Condition::Copying { .. }) if loss.since.elapsed() >= PATIENCE => {
                Condition::Waiting { code: loss.code, detail: loss.detail.to_owned() }
            }
            (_, said) => said,
        }
    }

    fn lost(&self) -> MutexGuard<'_, Option<Loss>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake::Woken;

    #[test]
    fn a_loss_that_lasts_is_seen_and_its_end_rings() {
        let wake = Wake::default();
        let contact = Contact::new(wake.clone());
        contact.regain();
        assert_eq!(wake.wait(Duration::ZERO), Woken::TimedOut, "nothing was lost");
        contact.lose("source_unreachable", "first");
        assert!(contact.is_lost());
        assert_eq!(contact.seen(Condition::Following), Condition::Following, "not at once");
        let long_ago = Instant::now().checked_sub(PATIENCE).expect("the machine is up for longer");
        contact.lost().as_mut().expect("a loss").since = long_ago;
        contact.lose("source_unreachable", "second");
        let waiting = Condition::Waiting { code: "source_unreachable", detail: "second".to_owned() };
        assert_eq!(contact.seen(Condition::Following), waiting, "since it was lost first");
        let own = Condition::Waiting { code: "own", detail: String::new() };
        assert_eq!(contact.seen(own.clone()), own, "what the source says itself is worth more");
        contact.regain();
        assert_eq!((wake.wait(Duration::ZERO), contact.is_lost()), (Woken::Rung, false));
        assert_eq!(contact.seen(Condition::Following), Condition::Following);
    }
}
