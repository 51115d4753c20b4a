//! The suite of [`Reread`]: a second reading says of a store what its source hands out of it from the beginning.
//!
//! The source is played to its end as in its own suite; what its changes amount to, key by key, must be what one reading says. Of lines the
//! generations of places are left out on both sides: a reading does not know what capture called a file.

use super::source::PlainQueue;
use crate::failure::Failure;
use crate::reread::{Repeats, Reread, Said, Seen, Taker};
use crate::source::{Source, Step};
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::rejection::RejectCode;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest a source may take to hand out what stands in its store.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of a key: its record, or why there is none.
type Known = BTreeMap<Vec<u8>, Result<Vec<u8>, RejectCode>>;

/// Compares them. `source` is freshly opened over the store that `reread` reads; the queue it was opened with is played here.
pub fn says_what_the_source_hands_out(source: &mut dyn Source, queue: &PlainQueue, reread: &mut dyn Reread) {
    let captured = captured(source, queue, reread.repeats());
    assert!(!captured.is_empty(), "the store holds something");
    let mut taken = Taken { repeats: reread.repeats(), known: Known::new() };
    let unread = reread.read(&mut taken).expect("the store can be read");
    assert_eq!(unread, [None], "all of it could be read");
    assert_eq!(taken.known, captured, "a second reading and the source say the same");
    // And once more: a reading leaves nothing behind.
    let first = std::mem::take(&mut taken.known);
    let _ = reread.read(&mut taken).expect("the store can be read twice");
    assert_eq!(taken.known, first, "a reading can be repeated");
    // Asked for by their keys, where it can be: the same, and nothing of a key that is not there.
    for (key, said) in &captured {
        let mut taken = Taken { repeats: reread.repeats(), known: Known::new() };
        if reread.read_of(0, std::slice::from_ref(key), &mut taken).expect("the store can be read by its keys") {
            assert_eq!(taken.known.get(key), Some(said), "a key and the source say the same");
        }
    }
    let mut taken = Taken { repeats: reread.repeats(), known: Known::new() };
    let _ =
        reread.read_of(0, &[b"s:\xe2\x88\x85 nobody".to_vec()], &mut taken).expect("the store can be read by its keys");
    assert!(taken.known.is_empty(), "nothing is said of a key that is not there");
    reread.farewell();
}

fn captured(source: &mut dyn Source, queue: &PlainQueue, repeats: Repeats) -> Known {
    let (mut known, began) = (Known::new(), Instant::now());
    loop {
        assert!(began.elapsed() < PATIENCE, "the source does not catch up");
        let mut batch = ChangeBatch::default();
        let step = source.next(&mut batch).expect("the store can be read");
        for change in batch.changes() {
            let key = place(batch.bytes(&change.key), repeats);
            match change.op {
                Op::Upsert => _ = known.insert(key, Ok(batch.bytes(&change.payload).to_vec())),
                Op::Delete => _ = known.remove(&key),
                // A duplicate stands beside the record of its key.
                Op::Reject if change.reject != Some(RejectCode::DuplicateKey) => {
                    known.insert(key, Err(change.reject.unwrap_or(RejectCode::Malformed)));
                }
                _ => {}
            }
        }
        if !batch.is_empty() {
            let until = queue.append(&batch);
            source.durable(until).expect("the source hears of it");
        }
        if step != Step::More {
            assert_eq!(step, Step::CaughtUp, "nothing waits");
            return known;
        }
    }
}

struct Taken {
    repeats: Repeats,
    known: Known,
}

impl Taker for Taken {
    fn restart(&mut self) -> Result<(), Failure> {
        self.known.clear();
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        let key = place(seen.key, self.repeats);
        if self.repeats == Repeats::FirstStands && self.known.contains_key(&key) {
            return Ok(());
        }
        match seen.said {
            Said::Record(record) => _ = self.known.insert(key, Ok(record.to_vec())),
            Said::Deleted => _ = self.known.remove(&key),
            Said::Rejected(code) => _ = self.known.insert(key, Err(code)),
            Said::Unreadable => panic!("everything in the store can be read"),
        }
        Ok(())
    }
}

/// A key without the generation of its place.
fn place(key: &[u8], repeats: Repeats) -> Vec<u8> {
    let text = String::from_utf8_lossy(key);
    match (text.strip_prefix("p:"), text.rsplit_once(':')) {
        (Some(_), Some((_, at))) if repeats == Repeats::LastStands => format!("p:*:{at}").into_bytes(),
        _ => key.to_vec(),
    }
}
