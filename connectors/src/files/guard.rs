//! The deletion guard: a revision in which suddenly much is gone is held until an operator accepts it (promise 12).
//!
//! Judges numbers and remembers decisions; reads nothing. A revision is named by its stream's content and by how many held
//! revisions were accepted before, so an acceptance is good for that revision alone, and once: neither a later revision nor
//! the same one coming back after other data is covered by it. Decisions may come before the revision is seen (they are
//! sent again after a restart).

use crate::source::Condition;
use std::collections::VecDeque;
use xxhash_rust::xxh3::xxh3_128;

/// As many deletes are never held, unless they are all there is.
pub const FREE_DELETES: u64 = 20;
/// The part of all records, in percent, that may vanish in one revision.
pub const FREE_PERCENT: u64 = 30;
/// Decisions remembered per stream: those of an operator who decides more on one stream are long past.
const MAX_DECISIONS: usize = 64;

/// How many of how many records vanish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Records that would be deleted.
    pub deletes: u64,
    /// Records there were.
    pub of: u64,
}

impl Loss {
    /// Whether the guard asks: all are gone, or more than both free measures.
    pub fn is_suspicious(self) -> bool {
        let most = FREE_DELETES.max(self.of * FREE_PERCENT / 100);
        self.deletes > 0 && (self.deletes >= self.of || self.deletes > most)
    }
}

/// What the guard says of a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Nothing to ask.
    Pass,
    /// An operator accepted it.
    Accepted,
    /// Held.
    Hold(Held),
}

/// A held revision of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Its name.
    pub revision: String,
    /// What would be lost.
    pub loss: Loss,
    /// An operator refused it.
    pub refused: bool,
}

impl Held {
    /// As status shows it.
    pub fn condition(&self) -> Condition {
        let Loss { deletes, of } = self.loss;
        Condition::Held { revision: self.revision.clone(), deletes, of, refused: self.refused }
    }
}

/// The guard of one stream.
#[derive(Debug, Default)]
pub struct Guard {
    decisions: VecDeque<(String, bool)>,
}

impl Guard {
    /// Judges a revision: `digest` of its content, `accepted` held revisions before it.
    pub fn judge(&self, digest: u128, accepted: u64, loss: Loss) -> Judgement {
        if !loss.is_suspicious() {
            return Judgement::Pass;
        }
        let revision = name(digest, accepted);
        match self.decisions.iter().rev().find(|(subject, _)| *subject == revision) {
            Some((_, true)) => Judgement::Accepted,
            decided => Judgement::Hold(Held { revision, loss, refused: decided.is_some() }),
        }
    }

    /// Notes a decision; the latest on a revision counts.
    pub fn decide(&mut self, subject: &str, accept: bool) {
        self.decisions.retain(|(known, _)| known != subject);
        if self.decisions.len() >= MAX_DECISIONS {
            self.decisions.pop_front();
        }
        self.decisions.push_back((subject.to_owned(), accept));
    }
}

fn name(digest: u128, accepted: u64) -> String {
    let mut content = [0; 24];
    content[..16].copy_from_slice(&digest.to_le_bytes());
    content[16..].copy_from_slice(&accepted.to_le_bytes());
    format!("{:032x}", xxh3_128(&content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(judgement: Judgement) -> Held {
        match judgement {
            Judgement::Hold(held) => held,
            other => panic!("not held: {other:?}"),
        }
    }

    #[test]
    fn all_gone_or_more_than_both_measures_is_held() {
        for (deletes, of, suspicious) in [
            (0, 0, false),
            (0, 5, false),
            (1, 1, true),
            (5, 5, true),
            (4, 5, false),
            (20, 21, false),
            (21, 60, true),
            (21, 70, false),
            (300, 1_000, false),
            (301, 1_000, true),
        ] {
            assert_eq!(Loss { deletes, of }.is_suspicious(), suspicious, "{deletes} of {of}");
        }
    }

    #[test]
    fn an_acceptance_is_good_for_that_revision_and_once() {
        let loss = Loss { deletes: 3, of: 3 };
        let mut guard = Guard::default();
        let first = held(guard.judge(7, 0, loss));
        guard.decide(&first.revision, true);
        assert_eq!(guard.judge(7, 0, loss), Judgement::Accepted);
        assert!(!held(guard.judge(8, 0, loss)).refused);
        assert_ne!(held(guard.judge(7, 1, loss)).revision, first.revision);
    }

    #[test]
    fn a_refused_revision_stays_held_until_it_is_accepted() {
        let loss = Loss { deletes: 3, of: 3 };
        let mut guard = Guard::default();
        let revision = held(guard.judge(7, 0, loss)).revision;
        guard.decide(&revision, false);
        assert!(held(guard.judge(7, 0, loss)).refused);
        guard.decide(&revision, true);
        assert_eq!(guard.judge(7, 0, loss), Judgement::Accepted);
    }
}
