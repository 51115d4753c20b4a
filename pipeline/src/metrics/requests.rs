//! How many HTTP requests were answered, by path and status. Both are fixed words: what a caller asks for that is no path counts as `other`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Requests answered.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<(&'static str, u16), u64>>);

impl Requests {
    /// One more.
    pub fn count(&self, path: &'static str, status: u16) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((path, status)).or_default() += 1;
    }

    /// All so far: path, status as text, how many.
    pub(super) fn all(&self) -> Vec<(&'static str, String, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((path, status), count)| (*path, status.to_string(), *count)).collect()
    }
}
