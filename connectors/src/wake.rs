//! A bell that a blocked source hears: watch events, decisions and shutdown ring it.
//!
//! Hints only (promise 11): a lost ring costs at most the waiter's own timeout.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Somebody rang.
    Rung,
    /// Time is up.
    TimedOut,
    /// The service is stopping: return soon, nothing more is wanted.
    Stopping,
}

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    stopping: bool,
}

/// A shared bell; clones ring the same one.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<(Mutex<Bell>, Condvar)>);

impl Wake {
    /// Ends the current wait, or the next one at once.
    pub fn ring(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).rung = true;
        self.0.1.notify_all();
    }

    /// Ends all waits from now on.
    pub fn stop(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.0.1.notify_all();
    }

    /// Stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).stopping
    }

    /// Blocks until rung, stopped, or `timeout`.
    pub fn wait(&self, timeout: Duration) -> Woken {
        let bell = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut bell, _) = self
            .0
            .1
            .wait_timeout_while(bell, timeout, |bell| !bell.rung && !bell.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        if bell.stopping {
            return Woken::Stopping;
        }
        if std::mem::take(&mut bell.rung) { Woken::Rung } else { Woken::TimedOut }
    }
}
