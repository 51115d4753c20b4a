//! The steady mix: 80 % updates, 15 % inserts, 5 % deletes over uniform keys of a table that stands.
//!
//! Deletes take living keys and updates change living keys, so what PostgreSQL must hold afterwards is known exactly.

use crate::chance::Chance;
use crate::user::User;

/// One change of the workload.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Whose.
    pub user: User,
    /// Gone, or as it is now.
    pub delete: bool,
    /// Not there before.
    pub insert: bool,
}

/// Changes and what the table holds after them.
#[derive(Clone, Debug)]
pub struct Mix {
    /// In order.
    pub changes: Vec<Change>,
    /// Rows that live at the end.
    pub rows_after: u64,
    /// How many of them the changes wrote.
    pub written_after: u64,
}

/// Of 100 changes, how many update.
const UPDATES: u64 = 80;
/// And how many insert; the others delete.
const INSERTS: u64 = 15;

impl Mix {
    /// `events` changes over a table of users `0..rows`.
    pub fn steady(rows: u64, events: u64, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut living: Vec<u64> = (0..rows).collect();
        let mut next = rows;
        let mut changes = Vec::with_capacity(events as usize);
        let mut written = std::collections::HashSet::new();
        for revision in 1..=events {
            let dice = chance.below(100);
            if dice < UPDATES || living.len() < 2 {
                let number = living[chance.below(living.len() as u64) as usize];
                written.insert(number);
                changes.push(Change { user: User::new(number, revision), delete: false, insert: false });
            } else if dice < UPDATES + INSERTS {
                living.push(next);
                written.insert(next);
                changes.push(Change { user: User::new(next, 0), delete: false, insert: true });
                next += 1;
            } else {
                let number = living.swap_remove(chance.below(living.len() as u64) as usize);
                written.remove(&number);
                changes.push(Change { user: User::new(number, 0), delete: true, insert: false });
            }
        }
        Self { changes, rows_after: living.len() as u64, written_after: written.len() as u64 }
    }

    /// Inserts of users `0..rows`, in order of their numbers (random key order).
    pub fn load(rows: u64) -> Self {
        let changes =
            (0..rows).map(|number| Change { user: User::new(number, 0), delete: false, insert: true }).collect();
        Self { changes, rows_after: rows, written_after: rows }
    }

    /// The changes as NDJSON: `{"op":"u","row":{…}}`, deletes with the key alone.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        for change in &self.changes {
            if change.delete {
                out.extend_from_slice(br#"{"op":"d","row":{"id":""#);
                out.extend_from_slice(change.user.id().as_bytes());
                out.extend_from_slice(b"\"}}\n");
            } else {
                out.extend_from_slice(br#"{"op":"u","row":"#);
                change.user.write_json(out);
                out.extend_from_slice(b"}\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mix;

    #[test]
    fn the_mix_has_its_shares_and_knows_what_is_left() {
        let mix = Mix::steady(10_000, 10_000, 1);
        let deletes = mix.changes.iter().filter(|change| change.delete).count() as u64;
        assert!((400..600).contains(&deletes), "{deletes}");
        let inserts = mix.rows_after + deletes - 10_000;
        assert!((1_300..1_700).contains(&inserts), "{inserts}");
        assert_eq!(mix.changes.len(), 10_000);
    }

    #[test]
    fn every_line_is_json_with_an_operation() {
        let mut text = Vec::new();
        Mix::steady(100, 1_000, 2).write_lines(&mut text);
        let lines = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
        for line in lines {
            let value: serde_json::Value = serde_json::from_slice(line).unwrap();
            assert!(value["row"]["id"].is_string());
        }
    }
}
