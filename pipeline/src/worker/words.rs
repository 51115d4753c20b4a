//! What an operator says to a halted stream's worker.
//!
//! Owns which word wakes a worker: one on exactly the state it halted in, given after it halted or stored for it while no
//! service ran. Each is good once: stored words are taken away as they are read, and what was said before a halt is no word
//! on it (promise 6: a new loss is never accepted by an old word). What a word means is the worker's.

use super::barrier::COLLECTION_GONE;
use landfall_connectors::checkpoints::{Checkpoints, Word};
use landfall_connectors::failure::Failure;
use landfall_connectors::retry::Pace;
use landfall_schemas::stream::StreamName;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Halted states in which a refusal is a decision too, and not a word to stay.
const REFUSABLE: [&str; 1] = [COLLECTION_GONE];
/// Words under way to one worker: an operator says one at a time, and more than a few are repetitions.
const MOST: usize = 8;

/// The speaking end: where the control socket puts a word.
#[derive(Clone, Debug)]
pub struct Speaker(Sender<Word>);

impl Speaker {
    /// Says it. Too many at once are dropped: the worker has not listened to the first yet.
    pub fn say(&self, word: Word) {
        let _ = self.0.try_send(word);
    }
}

/// The listening end.
#[derive(Debug)]
pub struct Words(Receiver<Word>);

/// A channel of words to one worker.
pub fn words() -> (Speaker, Words) {
    let (said, heard) = channel(MOST);
    (Speaker(said), Words(heard))
}

impl Words {
    /// Forgets what was said so far. Call before the halted state is shown.
    pub(super) fn forget(&mut self) {
        while !matches!(self.0.try_recv(), Err(TryRecvError::Empty | TryRecvError::Disconnected)) {}
    }

    /// Waits for a word that settles this halted state; others are heard and change nothing. Cancel-safe, except that a stored
    /// word may be taken and lost with the wait.
    pub(super) async fn accepted(
        &mut self,
        target: &impl Checkpoints,
        (stream, failure): (&StreamName, &Failure),
    ) -> Word {
        tokio::select! {
            word = stored(target, (stream, failure.code)) => word,
            word = self.said(failure.code) => word,
        }
    }

    async fn said(&mut self, code: &str) -> Word {
        loop {
            match self.0.recv().await {
                Some(word) if word.subject == code && settles(&word) => return word,
                Some(word) => {
                    tracing::info!(subject = word.subject, accept = word.accept, "heard; the stream stays halted")
                }
                // Nobody can say anything any more: the service ends.
                None => std::future::pending().await,
            }
        }
    }
}

/// Whether a word ends the halt it is about.
pub(super) fn settles(word: &Word) -> bool {
    word.accept || REFUSABLE.contains(&word.subject.as_str())
}

/// The word that waited for this halt, once the target can be asked; for ever when there is none.
async fn stored(target: &impl Checkpoints, (stream, code): (&StreamName, &str)) -> Word {
    let mut pace = Pace::new();
    loop {
        match target.take_word(stream, code).await {
            Ok(Some(word)) if settles(&word) => return word,
            Ok(_) => return std::future::pending().await,
            Err(failure) => tracing::debug!(code = failure.code, "a stored word cannot be read yet"),
        }
        tokio::time::sleep(pace.next_wait()).await;
    }
}

#[cfg(test)]
mod tests;
