//! Whole histories of a document against another parser, with crashes in between.

use super::*;
use crate::files::index::testing::shared_data;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Write;

/// What a revision says, read by another parser: key as encoded here, raw record (the first of a key), and how many
/// records have a key that stood before; `None`: not JSON.
fn oracle(document: &[u8], key: &str) -> Option<(BTreeMap<String, String>, usize)> {
    let mut rows = BTreeMap::new();
    let mut duplicates = 0;
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    if key.is_empty() {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(document).ok()?;
        rows.extend(members.into_iter().map(|(name, raw)| (format!("s:{name}"), raw.get().to_owned())));
    } else {
        serde_json::from_slice::<serde_json::Value>(document).ok()?;
        for raw in serde_json::from_slice::<Vec<&RawValue>>(document).ok()? {
            let record: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
            let key = record.get(key)?.as_str().map(|text| format!("s:{text}"))?;
            duplicates += usize::from(rows.contains_key(&key));
            rows.entry(key).or_insert_with(|| raw.get().to_owned());
        }
    }
    Some((rows, duplicates))
}

/// How a writer writes.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Replaced,
    Truncated,
    Torn,
}

fn replay(name: &str, part: &str, key: &str) {
    let data = shared_data(part);
    let from = if key.is_empty() { KeyFrom::Name } else { field(key) };
    for manner in [Manner::Replaced, Manner::Truncated, Manner::Torn] {
        let bench = Bench::new(&format!("{name}-{manner:?}"), vec![stream(0, "", from.clone())]);
        let mut source = bench.open();
        let mut files: Vec<_> =
            std::fs::read_dir(data.join("revisions")).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut expected = (BTreeMap::new(), 0);
        for (at, path) in files.iter().enumerate() {
            let content = std::fs::read(path).unwrap();
            write(&bench, &mut source, (&content, manner, at));
            if at % 3 == 2 {
                // Killed after the first batch, if there is one.
                settle_at_most(&mut source, &bench.log, 1);
                kill(&bench.dir, source);
                source = bench.open();
            }
            let step = accepting(&mut source, &bench.log);
            match oracle(&content, key) {
                Some(rows) => {
                    expected = rows;
                    assert_eq!(step, Step::CaughtUp, "{path:?} {:?}", source.conditions());
                }
                None => assert_eq!((step, waiting(&source).0), (Step::Blocked, "unparsable"), "{path:?}"),
            }
            let target = bench.target();
            assert!(target.rows == expected.0, "{path:?} {manner:?}: rows differ");
            assert_eq!(target.dead.values().flatten().count(), expected.1, "{path:?} {manner:?}");
        }
    }
}

fn write(bench: &Bench, source: &mut DocumentSource, revision: (&[u8], Manner, usize)) {
    let (content, manner, seed) = revision;
    match manner {
        Manner::Replaced => bench.put(content),
        Manner::Truncated => std::fs::write(bench.file(), content).unwrap(),
        Manner::Torn => {
            let mut file = std::fs::File::create(bench.file()).unwrap();
            for piece in content.chunks(content.len() / 4 + seed) {
                let before = bench.target();
                file.write_all(piece).unwrap();
                if file.metadata().unwrap().len() < content.len() as u64 {
                    settle(source, &bench.log);
                    assert_eq!(bench.target(), before, "a half-written revision was applied");
                }
            }
        }
    }
}

/// Settles, and accepts what is held.
fn accepting(source: &mut DocumentSource, log: &Log) -> Step {
    let step = settle(source, log);
    let Condition::Held { revision, .. } = only(source) else { return step };
    assert!(source.decide(&Decision { stream: StreamId(0), subject: revision, ruling: Ruling::Accept }));
    settle(source, log)
}

#[test]
fn the_revisions_of_a_real_array_are_followed() {
    replay("countries", "stores/countries", "cca3");
}

#[test]
fn the_revisions_of_a_real_map_are_followed() {
    replay("mime", "stores/mime-db", "");
}

#[test]
fn six_streams_come_out_of_one_real_file() {
    let data = shared_data("stores/jsonplaceholder/db.json");
    let names = ["posts", "comments", "albums", "photos", "users", "todos"];
    let streams = names.iter().zip(0..).map(|(name, id)| stream(id, &format!("/{name}"), field("id"))).collect();
    let bench = Bench::new("six", streams);
    let content = std::fs::read(data).unwrap();
    bench.put(&content);
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    let whole: BTreeMap<String, Vec<&RawValue>> = serde_json::from_slice(&content).unwrap();
    for (name, id) in names.iter().zip(0..) {
        let target = bench.log.target(id);
        let mut expected: Vec<_> = whole[*name].iter().map(|raw| raw.get().to_owned()).collect();
        let mut found: Vec<_> = target.rows.into_values().collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        assert!(target.copied);
    }
}

/// How a run ends before the next revision.
#[derive(Clone, Copy, Debug)]
enum Ending {
    GoesOn,
    Closed,
    Killed,
    /// The queue has the batch, and the source was never told.
    KilledUntold,
}

fn one_batch_untold(source: &mut DocumentSource, log: &Log) {
    let mut batch = ChangeBatch::default();
    while source.next(&mut batch).unwrap() == Step::More {
        if !batch.is_empty() {
            log.append(&batch);
            return;
        }
    }
}

fn model(records: &[(u8, u8)]) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
    let (mut rows, mut twice) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
    for (key, content) in records {
        let (key, row) = (format!("n:{key}"), record(*key, *content));
        match rows.entry(key.clone()) {
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(row)),
            std::collections::btree_map::Entry::Occupied(_) => twice.entry(key).or_default().push(row),
        }
    }
    (rows, twice)
}

fn record(key: u8, content: u8) -> String {
    format!("{{\"id\":{key},\"x\":{content}}}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn any_history_ends_in_its_last_revision(
        history in prop::collection::vec(
            (
                prop::collection::vec((0_u8..9, 0_u8..3), 0..14),
                prop::sample::select(vec![Ending::GoesOn, Ending::Closed, Ending::Killed, Ending::KilledUntold]),
            ),
            1..9,
        ),
    ) {
        let bench = by_id("history");
        let mut source = bench.open();
        for (records, ending) in history {
            let list: Vec<_> = records.iter().map(|(key, content)| record(*key, *content)).collect();
            bench.put(format!("[{}]", list.join(",\n")));
            match ending {
                Ending::GoesOn => {}
                Ending::Closed => {
                    settle_at_most(&mut source, &bench.log, 1);
                    drop(source);
                    source = bench.open();
                }
                Ending::Killed => {
                    settle_at_most(&mut source, &bench.log, 1);
                    kill(&bench.dir, source);
                    source = bench.open();
                }
                Ending::KilledUntold => {
                    one_batch_untold(&mut source, &bench.log);
                    kill(&bench.dir, source);
                    source = bench.open();
                }
            }
            prop_assert_eq!(accepting(&mut source, &bench.log), Step::CaughtUp);
            let target = bench.target();
            let (rows, twice) = model(&records);
            prop_assert_eq!(target.rows, rows);
            let dead: BTreeMap<_, Vec<_>> =
                target.dead.into_iter().map(|(key, dead)| (key, dead.into_iter().map(|(_, row)| row).collect())).collect();
            prop_assert_eq!(dead, twice);
            prop_assert!(target.copied);
        }
    }
}
