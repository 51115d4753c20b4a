//! A directory as a source, watched from outside: files written, changed, broken, unmounted and lost, and what a target would hold.

use super::*;
use crate::files::index::testing::{
    Log, Target, field, kill, scratch, settle, settle_at_most, shared_data, start, stream,
};
use crate::source::{Decision, Ruling, Source};
use landfall_schemas::event::Op;
use landfall_schemas::mapping::KeyFrom;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::StreamId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod adoption;

const SLOW: Cadence = Cadence { rescan: Duration::from_secs(300), poll: Duration::from_millis(20) };

struct Bench {
    dir: PathBuf,
    log: Arc<Log>,
    key: KeyFrom,
}

impl Bench {
    fn new(name: &str, key: KeyFrom) -> Self {
        Self { dir: scratch(&format!("directory-{name}")), log: Arc::default(), key }
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.join("store").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = self.dir.join("new");
        std::fs::write(&temporary, content).unwrap();
        std::fs::rename(temporary, path).unwrap();
    }

    fn delete(&self, path: &str) {
        std::fs::remove_file(self.dir.join("store").join(path)).unwrap();
    }

    fn open(&self) -> DirectorySource {
        let config = DirectoryConfig {
            root: self.dir.join("store"),
            glob: Pattern::new("**/*.json").unwrap(),
            cadence: SLOW,
            symlinks: Symlinks::Refuse,
        };
        DirectorySource::open(config, start(&self.dir, &self.log, &[stream(0, "", self.key.clone())])).unwrap()
    }

    fn target(&self) -> Target {
        self.log.target(0)
    }

    fn rows(&self) -> Vec<(String, String)> {
        self.target().rows.into_iter().collect()
    }
}

fn rows(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(key, row)| ((*key).to_owned(), (*row).to_owned())).collect()
}

fn waiting(source: &DirectorySource) -> (&'static str, String) {
    match source.conditions().remove(0).1 {
        Condition::Waiting { code, detail } => (code, detail),
        other => panic!("not waiting: {other:?}"),
    }
}

#[test]
fn files_become_records_and_changes_become_events() {
    let bench = Bench::new("records", KeyFrom::Name);
    bench.put("a.json", "\u{feff}{\"x\":1}\n");
    bench.put("sub/b.json", "{\"x\":1}");
    bench.put("sub/other.txt", "no");
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("s:a", r#"{"x":1}"#), ("s:sub/b", r#"{"x":1}"#)]));
    let events = bench.log.events();
    assert_eq!(
        events.iter().map(|event| (event.op, event.snapshot, event.at)).collect::<Vec<_>>(),
        [(Op::Upsert, true, 3), (Op::Upsert, true, 0), (Op::SnapshotEnd, false, 0)]
    );
    bench.put("sub/b.json", "{\"x\":2}");
    bench.put("c.json", "{}");
    bench.delete("a.json");
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), events.len() + 3);
    drop(source);
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), events.len() + 3, "a restart captured something again");
    assert_eq!(bench.rows(), rows(&[("s:c", "{}"), ("s:sub/b", r#"{"x":2}"#)]));
}

#[test]
fn equal_files_that_swap_names_are_told_apart() {
    let bench = Bench::new("swap", KeyFrom::Stem);
    bench.put("a.json", "1");
    bench.put("b.json", "2");
    bench.put("c.json", "1");
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    bench.put("a.json", "2");
    bench.put("b.json", "1");
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("s:a", "2"), ("s:b", "1"), ("s:c", "1")]));
}

#[test]
fn a_file_that_does_not_parse_waits_by_itself() {
    for key in [KeyFrom::Name, field("id")] {
        let bench = Bench::new("unparsable", key);
        bench.put("a.json", r#"{"id":1}"#);
        bench.put("b.json", r#"{"id":2}"#);
        let mut source = bench.open();
        settle(&mut source, &bench.log);
        bench.put("a.json", r#"{"id":"#);
        bench.put("b.json", r#"{"id":2,"x":1}"#);
        bench.put("c.json", "");
        for restart in 0..2 {
            assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
            let (code, detail) = waiting(&source);
            assert_eq!(code, "unparsable");
            assert!(detail.starts_with("2 of 3 files") && detail.contains("a.json byte 6"), "{detail}");
            assert_eq!(bench.rows().len(), 2, "restart {restart}");
            assert!(bench.rows()[1].1.contains("\"x\":1"));
            drop(source);
            source = bench.open();
        }
        bench.put("a.json", r#"{"id":1,"y":1}"#);
        bench.put("c.json", r#"{"id":3}"#);
        assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
        assert_eq!(bench.rows().len(), 3);
    }
}

#[test]
fn two_files_with_one_key_are_named_both() {
    let bench = Bench::new("twice", KeyFrom::Stem);
    bench.put("a/x.json", "1");
    bench.put("b/x.json", "2");
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let reject = bench.log.events().into_iter().find(|event| event.op == Op::Reject).unwrap();
    assert_eq!(reject.reject, Some(RejectCode::DuplicateKey));
    assert!(reject.place.starts_with("b/x.json") && reject.place.contains("a/x.json"), "{}", reject.place);
    drop(source);
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    assert_eq!(bench.log.events().len(), 3, "captured once");
    bench.delete("a/x.json");
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("s:x", "2")]));
    assert!(bench.target().dead.is_empty());
}

#[test]
fn an_emptied_or_unmounted_directory_is_held_or_waits() {
    let bench = Bench::new("gone", KeyFrom::Name);
    for id in 0..50 {
        bench.put(&format!("{id}.json"), "{}");
    }
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    let (store, away) = (bench.dir.join("store"), bench.dir.join("away"));
    std::fs::rename(&store, &away).unwrap();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert_eq!(waiting(&source).0, "missing");
    std::fs::create_dir(&store).unwrap();
    bench.put("new.json", "{}");
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    let Condition::Held { revision, deletes: 50, of: 50, refused: false } = source.conditions().remove(0).1 else {
        panic!("not held")
    };
    assert_eq!(bench.rows().len(), 50);
    drop(source);
    let mut source = bench.open();
    source.decide(&Decision { stream: StreamId(0), subject: revision, ruling: Ruling::Accept });
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("s:new", "{}")]));
}

#[test]
fn a_file_that_became_a_link_is_not_gone() {
    let bench = Bench::new("link", field("id"));
    bench.put("a.json", r#"{"id":1}"#);
    bench.put("b.json", r#"{"id":2}"#);
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    bench.delete("a.json");
    std::os::unix::fs::symlink(bench.dir.join("store/b.json"), bench.dir.join("store/a.json")).unwrap();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert_eq!(waiting(&source).0, "not_a_regular_file");
    assert_eq!(bench.rows().len(), 2);
    bench.delete("a.json");
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows().len(), 1);
}

#[test]
fn only_changed_files_are_opened_again() {
    let bench = Bench::new("cache", KeyFrom::Name);
    for id in 0..30 {
        bench.put(&format!("{id}.json"), "{}");
    }
    std::thread::sleep(crate::files::look::RACY);
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    bench.put("7.json", "[]");
    let mut batch = ChangeBatch::default();
    assert_eq!(source.next(&mut batch).unwrap(), Step::More);
    let State::Reading(reading) = &source.state else { panic!("nothing is read") };
    assert_eq!(reading.todo, [PathBuf::from("7.json")]);
}

#[test]
fn the_history_of_a_real_directory_is_followed_through_crashes() {
    let data = shared_data("directories/caniuse-features");
    let bench = Bench::new("caniuse", KeyFrom::Stem);
    let mut expected = BTreeMap::new();
    for file in std::fs::read_dir(data.join("records")).unwrap() {
        let path = file.unwrap().path();
        let content = std::fs::read_to_string(&path).unwrap();
        bench.put(path.file_name().unwrap().to_str().unwrap(), &content);
        expected.insert(format!("s:{}", path.file_stem().unwrap().to_str().unwrap()), content.trim().to_owned());
    }
    let mut source = bench.open();
    let changes = std::fs::read_to_string(data.join("changes.ndjson")).unwrap();
    for (at, line) in changes.lines().enumerate() {
        let commit: serde_json::Value = serde_json::from_str(line).unwrap();
        for change in commit["changes"].as_array().unwrap() {
            let path = change["path"].as_str().unwrap();
            let key = format!("s:{}", path.trim_end_matches(".json"));
            if change["op"] == "delete" {
                bench.delete(path);
                expected.remove(&key);
            } else {
                let text = change["text"].as_str().unwrap();
                bench.put(path, text);
                expected.insert(key, text.trim().to_owned());
            }
        }
        if at % 4 == 1 {
            settle_at_most(&mut source, &bench.log, 1);
            kill(&bench.dir, source);
            source = bench.open();
        }
        assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp, "line {at}: {:?}", source.conditions());
        assert!(bench.target().rows == expected, "line {at}: rows differ");
    }
}

#[test]
fn nested_folders_with_keys_from_a_field_come_out_whole() {
    let data = shared_data("directories/tate-artists/records");
    let bench = Bench::new("tate", field("id"));
    std::fs::remove_dir(bench.dir.join("store")).unwrap();
    std::os::unix::fs::symlink(data.canonicalize().unwrap(), bench.dir.join("store")).unwrap();
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let target = bench.target();
    assert!(target.copied);
    // 3,538 files; four ids stand in two of them each, and the first path in byte order is the record.
    assert_eq!(target.rows.len(), 3_534);
    let further: Vec<_> = target.dead.values().flatten().map(|(code, _)| *code).collect();
    assert_eq!(further, [RejectCode::DuplicateKey; 4]);
}

#[test]
fn a_directory_is_read_in_bounded_steps_and_left_alone_afterwards() {
    let bench = Bench::new("steps", KeyFrom::Name);
    let files = 2 * pass::STEP_FILES + 1;
    for folder in 0..3 {
        std::fs::create_dir(bench.dir.join(format!("store/{folder}"))).unwrap();
    }
    for id in 0..files {
        std::fs::write(bench.dir.join(format!("store/{}/{id}.json", id % 3)), "{}").unwrap();
    }
    let mut source = bench.open();
    let mut batch = ChangeBatch::default();
    let mut left = Vec::new();
    assert_eq!(source.next(&mut batch).unwrap(), Step::More);
    while let State::Reading(reading) = &source.state {
        left.push(reading.todo.len() - reading.next);
        assert_eq!(source.next(&mut batch).unwrap(), Step::More);
        assert!(batch.is_empty(), "nothing is handed out before all is read");
    }
    assert_eq!(left, [files, pass::STEP_FILES + 1, 1]);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), files + 1, "each file, and the end of the first revision");
    bench.put("1/7.json", "[]");
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), files + 2);
}
