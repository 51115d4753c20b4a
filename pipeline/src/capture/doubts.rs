//! Records in doubt: keys whose rows somebody found to differ from the source, to be captured once more.
//!
//! Sources with an index forget what they know of such keys, and their next pass hands out what stands there and deletes, under the guard,
//! what does not. For the others their store is read a second time here, on the thread that captures, and what it says of the keys is appended:
//! nothing can be captured in between, so the order per key stands (promise 8). Sources that find records by their keys are asked for some at a
//! time, which bounds the memory; the others are read whole. What lines do not name is not deleted (promise 12).

use landfall_connectors::failure::Failure;
use landfall_connectors::reread::{MOST_KEYS, Repeats, Reread, Said, Seen, Taker};
use landfall_connectors::source::{Doubt, Source};
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::key::RecordKey;
use landfall_schemas::stream::StreamId;
use std::collections::HashMap;

/// Makes a second reading of one stream.
pub(crate) type Rereading = Box<dyn Fn(StreamId) -> Result<Box<dyn Reread>, Failure> + Send>;

/// What dead letters and messages name as the place of such a record.
const PLACE: &str = "(captured again)";

/// Keys that wait to be captured again.
pub(super) struct Doubts {
    pending: Vec<(StreamId, Vec<Vec<u8>>)>,
    reread: Option<Rereading>,
}

impl Doubts {
    /// Of a source that may be read a second time.
    pub(super) fn of(reread: Option<Rereading>) -> Self {
        Self { pending: Vec::new(), reread }
    }

    pub(super) fn add(&mut self, stream: StreamId, keys: Vec<Vec<u8>>) {
        self.pending.push((stream, keys));
    }

    /// Does what can be done now; what a source cannot take yet is tried again. The batches are to be appended before this is called again,
    /// which it is to be until there are none.
    pub(super) fn take_up(&mut self, source: &mut dyn Source) -> Vec<ChangeBatch> {
        let mut batches = Vec::new();
        for (stream, keys) in std::mem::take(&mut self.pending) {
            match source.doubt(stream, &keys) {
                Doubt::Taken => tracing::info!(keys = keys.len(), "records in doubt are captured again"),
                Doubt::NotNow => self.pending.push((stream, keys)),
                Doubt::Unable => match self.read(stream, keys) {
                    Ok((read, left)) => {
                        batches.extend(read);
                        self.pending.extend((!left.is_empty()).then_some((stream, left)));
                    }
                    // Whoever doubts looks again and finds that nothing came of it.
                    Err(failure) => tracing::warn!(code = failure.code, "{}", failure.detail),
                },
            }
        }
        batches
    }

    /// What the store says of some of the keys, or of all; and those that are left.
    fn read(&self, stream: StreamId, mut keys: Vec<Vec<u8>>) -> Result<(Vec<ChangeBatch>, Vec<Vec<u8>>), Failure> {
        let Some(make) = &self.reread else { return Ok(Default::default()) };
        let mut reread = make(stream)?;
        let some = keys.len().min(MOST_KEYS);
        let mut wanted = Wanted::of(reread.repeats(), &keys[..some]);
        let by_key = reread.read_of(0, &keys[..some], &mut wanted);
        let outcome = by_key.and_then(|by_key| {
            if by_key {
                return Ok((Vec::new(), keys.split_off(some)));
            }
            wanted = Wanted::of(reread.repeats(), &keys);
            Ok((reread.read(&mut wanted)?, Vec::new()))
        });
        reread.farewell();
        let (unread, left) = outcome?;
        if let Some(failure) = unread.into_iter().flatten().next() {
            return Err(failure);
        }
        Ok((wanted.batches(stream), left))
    }
}

impl Wanted {
    fn of(repeats: Repeats, keys: &[Vec<u8>]) -> Self {
        Self { repeats, keys: keys.iter().map(|key| (key.clone(), Saying::default())).collect() }
    }

    /// What was said, to be appended.
    fn batches(self, stream: StreamId) -> Vec<ChangeBatch> {
        let mut batches = vec![ChangeBatch::default()];
        let mut key = RecordKey::default();
        for (encoded, saying) in self.keys {
            if batches.last().is_none_or(ChangeBatch::is_full) {
                batches.push(ChangeBatch::default());
            }
            let Some(batch) = batches.last_mut() else { continue };
            let place = Place { index: batch.place(PLACE), at: 0 };
            key.set_encoded(&encoded);
            match saying {
                Saying::Record(_, record) => _ = batch.upsert(stream, &key, (&record, None), place),
                Saying::Deleted(_) => _ = batch.delete(stream, &key, place),
                Saying::Nothing if self.repeats == Repeats::FirstStands => _ = batch.delete(stream, &key, place),
                Saying::Nothing | Saying::Unclear => {}
            }
        }
        batches.retain(|batch| !batch.is_empty());
        batches
    }
}

/// What a reading says of a key, and in which chain.
#[derive(Default)]
enum Saying {
    #[default]
    Nothing,
    Record(u16, Vec<u8>),
    Deleted(u16),
    /// It cannot be captured again: unordered, unreadable, or no record.
    Unclear,
}

struct Wanted {
    repeats: Repeats,
    keys: HashMap<Vec<u8>, Saying>,
}

impl Taker for Wanted {
    fn restart(&mut self) -> Result<(), Failure> {
        self.keys.values_mut().for_each(|saying| *saying = Saying::Nothing);
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        let Some(saying) = self.keys.get_mut(seen.key) else { return Ok(()) };
        let known = match saying {
            Saying::Nothing => None,
            Saying::Record(chain, _) | Saying::Deleted(chain) => Some(*chain),
            Saying::Unclear => return Ok(()),
        };
        match (known, self.repeats) {
            (Some(_), Repeats::FirstStands) => return Ok(()),
            (Some(chain), Repeats::LastStands) if chain != seen.chain => {
                *saying = Saying::Unclear;
                return Ok(());
            }
            _ => {}
        }
        *saying = match seen.said {
            Said::Record(record) => Saying::Record(seen.chain, record.to_vec()),
            Said::Deleted => Saying::Deleted(seen.chain),
            Said::Rejected(_) | Said::Unreadable => Saying::Unclear,
        };
        Ok(())
    }
}
