//! The index compared with revisions, without a source: what is found without the table, what is given back, what a saved one keeps.

use super::diff::{Diff, Outcome, Verdict};
use super::*;
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::Sequence;

fn row(text: &str) -> (RowHash, u32) {
    (RowHash::of(text.as_bytes()), text.len() as u32)
}

fn key(text: &str) -> RecordKey {
    let mut key = RecordKey::default();
    key.string(text);
    key
}

/// Captures a revision of (key, record) whole, and says how many were found without being looked up.
fn capture(index: &mut FileIndex, records: &[(String, String)]) -> usize {
    let mut diff = Diff::new(index);
    let mut guessed = 0;
    for (name, record) in records {
        if diff.guess(index, Some(name), record.as_bytes()).is_some() {
            guessed += 1;
        } else if !diff.take_by_hash(index, Some(name), row(record))
            && let Verdict::Changed(slot) = diff.take_by_key(index, &key(name), row(record))
        {
            index.set(slot, Kind::Live, row(record).0);
            index.set_len(slot, row(record).1);
        }
    }
    let mut from = 0;
    while let Some(slot) = diff.next_vanished(index, from) {
        index.remove(slot);
        from = slot.0 + 1;
    }
    diff.end(index, Outcome::HandedOut);
    guessed
}

fn records(range: std::ops::Range<u32>) -> Vec<(String, String)> {
    range.map(|id| (format!("key {id}"), format!("{{\"id\":{id}}}"))).collect()
}

#[test]
fn an_unchanged_revision_is_known_without_the_table() {
    let mut index = FileIndex::default();
    assert_eq!(capture(&mut index, &records(0..500)), 0);
    index.table = None;
    assert_eq!(capture(&mut index, &records(0..500)), 500);
    assert!(index.table.is_none());
}

#[test]
fn behind_a_large_hole_the_order_is_found_again() {
    let mut index = FileIndex::default();
    capture(&mut index, &records(0..1_000));
    let mut holed = records(0..100);
    holed.extend(records(700..1_000));
    let guessed = capture(&mut index, &holed);
    assert!(guessed >= 390, "{guessed} of 400");
    assert_eq!(index.records(), 400);
}

#[test]
fn room_of_vanished_keys_is_used_again() {
    let mut index = FileIndex::default();
    for turn in 0..40 {
        capture(&mut index, &records(turn * 3_000..(turn + 1) * 3_000));
        assert_eq!(index.records(), 3_000);
    }
    assert!(index.slots.len() <= 6_000, "{} slots", index.slots.len());
    assert!(index.keys.len() < 2 * MIN_DEAD_BYTES, "{} bytes", index.keys.len());
    for (name, record) in records(117_000..120_000) {
        let slot = index.find(key(&name).as_bytes(), Class::Record).unwrap();
        assert_eq!(index.hash(slot), row(&record).0);
    }
}

#[test]
fn a_name_with_a_backslash_is_not_taken_for_the_encoding_of_another() {
    let mut index = FileIndex::default();
    let of = |name: &str| vec![(name.to_owned(), "{}".to_owned())];
    capture(&mut index, &of("a\0"));
    assert_eq!(capture(&mut index, &of("a\\0")), 0);
    assert!(index.find(key("a\\0").as_bytes(), Class::Record).is_some());
    assert!(index.find(key("a\0").as_bytes(), Class::Record).is_none());
}

#[test]
fn an_index_is_loaded_as_it_was_saved() {
    let dir = testing::scratch("store");
    let path = dir.join("state/s.index");
    let mut index = FileIndex::default();
    capture(&mut index, &records(0..50));
    let gone = index.find(key("key 7").as_bytes(), Class::Record).unwrap();
    index.bury(gone, FirstRevision::Open);
    let twice = index.find_or_add(key("key 9").as_bytes(), Class::Duplicates);
    index.add_duplicate(twice, RowHash(5));
    store::save(&path, &index, Sequence(77)).unwrap();
    let (mut loaded, until, _) = store::load(&path).unwrap();
    assert_eq!((until, loaded.records()), (Sequence(77), 49));
    let same = loaded.find(key("key 9").as_bytes(), Class::Duplicates).unwrap();
    assert_eq!((loaded.kind(same), loaded.hash(same)), (Kind::Duplicate, RowHash(5)));
    let gone = loaded.find(key("key 7").as_bytes(), Class::Record).unwrap();
    assert_eq!(loaded.kind(gone), Kind::Gone);
    // The first of them is found a few ordinals further on, all others where they stood.
    assert_eq!(capture(&mut loaded, &records(8..50)), 41);
    assert!(loaded.records() == 42);
}
