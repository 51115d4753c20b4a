//! A document as a source, watched from outside: revisions put into place, and what a target would hold after each.

use super::*;
use crate::files::index::testing::{Log, Target, field, kill, scratch, settle, settle_at_most, start, stream};
use crate::source::{Decision, Ruling, Source, SourceStream};
use crate::wake::Woken;
use landfall_schemas::event::Op;
use landfall_schemas::mapping::KeyFrom;
use landfall_schemas::offset::Sequence;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::StreamId;
use std::path::Path;
use std::sync::Arc;

mod adoption;
mod replay;

const SLOW: Cadence = Cadence { rescan: Duration::from_secs(300), poll: Duration::from_millis(20) };

/// A store of one file, its queue, and the streams taken from it.
struct Bench {
    dir: PathBuf,
    log: Arc<Log>,
    streams: Vec<SourceStream>,
}

impl Bench {
    fn new(name: &str, streams: Vec<SourceStream>) -> Self {
        Self { dir: scratch(name), log: Arc::default(), streams }
    }

    fn file(&self) -> PathBuf {
        self.dir.join("store/db.json")
    }

    /// Replaces the file.
    fn put(&self, content: impl AsRef<[u8]>) {
        let temporary = self.dir.join("store/db.json.new");
        std::fs::write(&temporary, content).unwrap();
        std::fs::rename(temporary, self.file()).unwrap();
    }

    fn open(&self) -> DocumentSource {
        let config = DocumentConfig {
            root: self.dir.join("store"),
            file: "db.json".into(),
            cadence: SLOW,
            symlinks: Symlinks::Refuse,
        };
        DocumentSource::open(config, start(&self.dir, &self.log, &self.streams)).unwrap()
    }

    fn target(&self) -> Target {
        self.log.target(0)
    }

    fn rows(&self) -> Vec<(String, String)> {
        self.target().rows.into_iter().collect()
    }
}

fn by_id(name: &str) -> Bench {
    Bench::new(name, vec![stream(0, "", field("id"))])
}

fn rows(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(key, row)| ((*key).to_owned(), (*row).to_owned())).collect()
}

fn only(source: &DocumentSource) -> Condition {
    source.conditions().remove(0).1
}

fn waiting(source: &DocumentSource) -> (&'static str, String) {
    match only(source) {
        Condition::Waiting { code, detail } => (code, detail),
        other => panic!("not waiting: {other:?}"),
    }
}

fn held(source: &DocumentSource, stream: usize) -> String {
    match source.conditions().remove(stream).1 {
        Condition::Held { revision, .. } => revision,
        other => panic!("not held: {other:?}"),
    }
}

fn numbered(count: std::ops::Range<u32>) -> String {
    let records: Vec<_> = count.map(|id| format!("{{\"id\":{id}}}")).collect();
    format!("[{}]", records.join(","))
}

#[test]
fn only_what_changed_becomes_an_event() {
    let bench = by_id("changed");
    bench.put(r#"[{"id":1,"a":1},{"id":2},{"id":3}]"#);
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let first = bench.log.events();
    assert_eq!(
        first.iter().map(|event| (event.op, event.snapshot)).collect::<Vec<_>>(),
        [(Op::Upsert, true), (Op::Upsert, true), (Op::Upsert, true), (Op::SnapshotEnd, false)]
    );
    bench.put(r#"[{"id":4},{"id":1,"a":2},{"id":3}]"#);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let later: Vec<_> = bench.log.events()[4..].iter().map(|event| (event.op, event.key.clone(), event.at)).collect();
    assert_eq!(
        later,
        [(Op::Upsert, "n:4".to_owned(), 1), (Op::Upsert, "n:1".to_owned(), 10), (Op::Delete, "n:2".to_owned(), 0)]
    );
    assert_eq!(bench.rows(), rows(&[("n:1", r#"{"id":1,"a":2}"#), ("n:3", r#"{"id":3}"#), ("n:4", r#"{"id":4}"#)]));
}

#[test]
fn an_unchanged_file_is_not_read_again_after_a_restart() {
    let bench = by_id("unchanged");
    bench.put(numbered(0..9));
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    std::thread::sleep(crate::files::look::RACY);
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    drop(source);
    let events = bench.log.events().len();
    let mut source = bench.open();
    let mut batch = ChangeBatch::default();
    assert_eq!(source.next(&mut batch).unwrap(), Step::CaughtUp, "the first look had to read it");
    assert_eq!(bench.log.events().len(), events);
}

#[test]
fn a_rewrite_with_equal_size_and_times_is_found() {
    let bench = by_id("racy");
    bench.put(r#"[{"id":1,"a":1}]"#);
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    assert!(source.look.is_some_and(|look| !look.settled), "a fresh file is not believed to stand still");
    // As if the rewrite fell into the same tick: the numbers of the last look are those of the file now.
    let (mut look, file) = (source.look.unwrap(), bench.file());
    std::fs::write(&file, r#"[{"id":1,"a":2}]"#).unwrap();
    look.stat =
        Root::open(&bench.dir.join("store"), Symlinks::Refuse).unwrap().stat_file(Path::new("db.json")).unwrap();
    source.look = Some(look);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("n:1", r#"{"id":1,"a":1}"#)]));
    let deadline = Instant::now() + Duration::from_secs(20);
    while bench.rows() != rows(&[("n:1", r#"{"id":1,"a":2}"#)]) {
        assert!(Instant::now() < deadline, "the rewrite was never found");
        source.wait();
        settle(&mut source, &bench.log);
    }
    assert!(source.look.is_some_and(|look| look.settled));
}

#[test]
fn a_change_undone_between_a_crash_and_the_next_look_is_undone_in_the_target() {
    let bench = by_id("undone");
    let (old, new) = (r#"[{"id":1,"a":1},{"id":2}]"#, r#"[{"id":1,"a":2},{"id":2}]"#);
    bench.put(old);
    settle(&mut bench.open(), &bench.log);
    let mut source = bench.open();
    bench.put(new);
    assert_eq!(settle_at_most(&mut source, &bench.log, 1), None);
    kill(&bench.dir, source);
    bench.put(old);
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("n:1", r#"{"id":1,"a":1}"#), ("n:2", r#"{"id":2}"#)]));
}

#[test]
fn a_half_handed_out_revision_has_no_fingerprint() {
    let bench = by_id("fingerprint");
    bench.put(numbered(0..5));
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    let stands = || bench.log.positions().get(b"file").is_some();
    assert!(stands());
    bench.put(numbered(0..2_500));
    assert_eq!(settle_at_most(&mut source, &bench.log, 1), None);
    assert!(!stands(), "the old revision would be taken for unchanged if it came back");
    settle(&mut source, &bench.log);
    assert!(stands());
}

#[test]
fn a_half_written_document_waits_and_heals() {
    let bench = by_id("half");
    bench.put(numbered(0..30));
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    let whole = numbered(5..40);
    for cut in [1, 7, 50, whole.len() - 1] {
        std::fs::write(bench.file(), &whole[..cut]).unwrap();
        assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
        let (code, detail) = waiting(&source);
        assert_eq!(code, "unparsable");
        assert!(detail.contains(&format!("byte {cut}")) && detail.contains("db.json"), "{detail}");
        assert_eq!(bench.rows().len(), 30);
    }
    std::fs::write(bench.file(), b"[{\"id\":\"\xff\"}]").unwrap();
    settle(&mut source, &bench.log);
    assert_eq!(waiting(&source).0, "unparsable");
    std::fs::write(bench.file(), &whole).unwrap();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows().len(), 35);
}

#[test]
fn a_missing_empty_or_unreadable_file_deletes_nothing() {
    let bench = by_id("missing");
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert_eq!(waiting(&source).0, "missing");
    bench.put(numbered(0..3));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    for (code, make) in [
        ("missing", (|_| {}) as fn(&Path)),
        ("empty", |file| std::fs::write(file, "").unwrap()),
        ("not_a_regular_file", |file| std::fs::create_dir(file).unwrap()),
        ("symlink", |file| std::os::unix::fs::symlink("/etc/hostname", file).unwrap()),
    ] {
        std::fs::remove_file(bench.file()).unwrap();
        make(&bench.file());
        assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
        assert_eq!(waiting(&source).0, code);
        assert_eq!(bench.rows().len(), 3);
        let _ = std::fs::remove_dir(bench.file());
        bench.put(numbered(0..3));
        assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    }
    std::fs::rename(bench.dir.join("store"), bench.dir.join("away")).unwrap();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert_eq!(waiting(&source).0, "missing");
    std::fs::rename(bench.dir.join("away"), bench.dir.join("store")).unwrap();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows().len(), 3);
}

#[test]
fn a_revision_that_lost_too_much_is_held_whole_until_it_is_accepted() {
    let bench = Bench::new("held", vec![stream(0, "/a", field("id")), stream(1, "/b", field("id"))]);
    let both = |a: &str, b: &str| format!(r#"{{"a":{a},"b":{b}}}"#);
    bench.put(both(&numbered(0..100), &numbered(0..3)));
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    bench.put(both(&numbered(50..101), &numbered(0..4)));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert!(matches!(&source.conditions()[1].1, Condition::Waiting { code: "revision_held", .. }));
    assert_eq!((bench.log.target(0).rows.len(), bench.log.target(1).rows.len()), (100, 3));

    let decision = |subject: &str, ruling| Decision { stream: StreamId(0), subject: subject.to_owned(), ruling };
    let other = held(&source, 0);
    assert!(source.decide(&decision(&other, Ruling::Refuse)));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert!(matches!(&source.conditions()[0].1, Condition::Held { refused: true, deletes: 50, of: 100, .. }));

    // Another revision is judged anew; a restart in between changes nothing.
    bench.put(both("[]", &numbered(0..4)));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    let revision = held(&source, 0);
    assert_ne!(revision, other);
    assert!(!source.decide(&decision("another", Ruling::Accept)));
    drop(source);
    let mut source = bench.open();
    assert!(!source.decide(&decision(&revision, Ruling::Accept)), "nothing is held yet");
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!((bench.log.target(0).rows.len(), bench.log.target(1).rows.len()), (0, 4));

    // The acceptance was for that revision: the same content later is asked for again.
    bench.put(both(&numbered(0..5), &numbered(0..4)));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    bench.put(both("[]", &numbered(0..4)));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert_ne!(held(&source, 0), revision);
    assert_eq!(bench.log.target(0).rows.len(), 5);
}

#[test]
fn a_pointer_that_leads_nowhere_waits_alone_and_keeps_its_records() {
    let bench = Bench::new("pointer", vec![stream(0, "/a", field("id")), stream(1, "/b", field("id"))]);
    bench.put(r#"{"a":[{"id":1}],"b":[]}"#);
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert!(bench.log.target(1).copied, "an empty container ends its first revision too");
    for (count, document) in [r#"{"b":[{"id":7}]}"#, r#"{"a":null,"b":[{"id":7},{"id":8}]}"#].iter().enumerate() {
        bench.put(document);
        assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
        assert_eq!(waiting(&source).0, "not_a_container");
        assert_eq!(source.conditions()[1].1, Condition::Following);
        assert_eq!(bench.log.target(1).rows.len(), count + 1);
    }
    assert_eq!(bench.rows(), rows(&[("n:1", r#"{"id":1}"#)]));
}

#[test]
fn an_array_without_a_key_halts_and_says_what_to_write() {
    let bench = Bench::new("keyless", vec![stream(0, "", KeyFrom::Name)]);
    bench.put(numbered(0..2));
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    let Condition::Halted(failure) = only(&source) else { panic!("not halted") };
    assert_eq!(failure.code, "key_missing");
    assert!(failure.detail.contains("key: id"));
    bench.put(r#"{"a":{"x":1},"b\u00e9":2}"#);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("s:a", r#"{"x":1}"#), ("s:bé", "2")]));
}

#[test]
fn a_key_met_twice_is_rejected_once_and_retracted_when_it_is_gone() {
    let bench = by_id("twice");
    bench.put(r#"[{"id":1,"a":1},{"id":2},{"id":1,"a":2},{"id":1.0,"a":3}]"#);
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let duplicates = |bench: &Bench| {
        bench.target().dead.get("n:1").map(|dead| dead.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>())
    };
    assert_eq!(duplicates(&bench).unwrap(), [r#"{"id":1,"a":2}"#, r#"{"id":1.0,"a":3}"#]);
    let event = bench.log.events().into_iter().find(|event| event.op == Op::Reject).unwrap();
    assert_eq!((event.reject, event.at), (Some(RejectCode::DuplicateKey), 25));
    assert!(event.place.contains("number 1"), "{}", event.place);

    // Neither a restart nor a change elsewhere captures them again.
    let events = bench.log.events().len();
    kill(&bench.dir, source);
    let mut source = bench.open();
    bench.put(r#"[{"id":1,"a":1},{"id":2,"b":1},{"id":1,"a":2},{"id":1.0,"a":3}]"#);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), events + 1);

    // The first one is gone: the next one stands, the last one is still too many.
    bench.put(r#"[{"id":2},{"id":1,"a":2},{"id":1.0,"a":3}]"#);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), rows(&[("n:1", r#"{"id":1,"a":2}"#), ("n:2", r#"{"id":2}"#)]));
    assert_eq!(duplicates(&bench).unwrap(), [r#"{"id":1.0,"a":3}"#]);
    bench.put(r#"[{"id":2},{"id":1,"a":2}]"#);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(duplicates(&bench), None);
}

#[test]
fn records_without_a_readable_key_are_rejected_once_each() {
    let bench = by_id("nameless");
    bench.put(r#"[7,7,{"id":null},{"id":1},[1],{"x":1},"t"]"#);
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let codes = |bench: &Bench| bench.target().dead.into_values().flatten().collect::<Vec<_>>();
    assert_eq!(codes(&bench).len(), 6);
    assert_eq!(codes(&bench).iter().filter(|(code, _)| *code == RejectCode::NotAnObject).count(), 4);
    assert_eq!(codes(&bench).iter().filter(|(code, _)| *code == RejectCode::KeyMissing).count(), 2);
    bench.put(r#"[{"id":2},"t",7,{"id":1},7]"#);
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(codes(&bench).len(), 3);
    assert_eq!(bench.rows().len(), 2);
}

#[test]
fn an_interrupted_first_revision_is_finished_and_marks_each_key_once() {
    let bench = by_id("first");
    bench.put(numbered(0..6_500));
    for batches in [1, 2, 1] {
        let mut source = bench.open();
        assert_eq!(settle_at_most(&mut source, &bench.log, batches), None);
        kill(&bench.dir, source);
        // Keys come, go and come back while it lasts.
        bench.put(numbered(batches as u32 * 20 + 5..6_500));
    }
    bench.put(numbered(0..6_600));
    assert!(!bench.target().copied);
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    let target = bench.target();
    assert!(target.copied);
    assert_eq!(target.rows.len(), 6_600);
}

#[test]
fn an_index_is_never_ahead_of_the_log_and_a_lost_one_is_built_again_or_halts() {
    let bench = by_id("lost");
    bench.put(numbered(0..2_000));
    let mut source = bench.open();
    let mut batch = ChangeBatch::default();
    while source.next(&mut batch).unwrap() == Step::More && batch.changes().is_empty() {}
    assert_eq!(source.needs_from(), Some(Sequence(0)));
    drop(source);
    assert!(!bench.dir.join("state/s0.index").exists(), "saved although nothing was durable");

    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let end = Sequence(2_004);
    assert_eq!(source.needs_from(), Some(end));
    drop(source);
    let index = bench.dir.join("state/s0.index");
    let good = std::fs::read(&index).unwrap();
    let events = bench.log.events().len();
    for damage in [0, 9, 30, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[damage] ^= 4;
        std::fs::write(&index, &bad).unwrap();
        bench.put(numbered(0..2_000));
        assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp, "damage at {damage}");
    }
    assert_eq!(bench.log.events().len(), events, "nothing changed, nothing is captured");

    bench.log.trim(end);
    std::fs::write(&index, &good).unwrap();
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    std::fs::write(&index, &good[..good.len() - 1]).unwrap();
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert!(matches!(only(&source), Condition::Halted(failure) if failure.code == "index_lost"));
    assert_eq!(bench.log.events().len(), events);
}

#[test]
fn a_file_that_changes_between_the_passes_is_given_up_where_it_stands() {
    let bench = by_id("between");
    let large = |text: &str| {
        let records: Vec<_> = (0..40).map(|id| format!("{{\"id\":{id},\"x\":\"{}\"}}", text.repeat(300_000))).collect();
        format!("[{}]", records.join(","))
    };
    bench.put(large("a"));
    let mut source = bench.open();
    assert_eq!(settle_at_most(&mut source, &bench.log, 3), None);
    // In place: the open file itself is another one now.
    std::fs::write(bench.file(), large("b")).unwrap();
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let target = bench.target();
    assert!(target.copied);
    assert!(target.rows.values().all(|row| row.contains('b') && !row.contains("aa")));
    assert_eq!(target.rows.len(), 40);
}

#[test]
fn a_replaced_file_is_seen_at_once() {
    let bench = by_id("hint");
    bench.put(numbered(0..3));
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    while source.watch.wait_at_most(Duration::from_millis(50)) == Woken::Rung {}
    bench.put(numbered(0..4));
    let begin = Instant::now();
    while bench.rows().len() < 4 {
        source.wait();
        settle(&mut source, &bench.log);
    }
    assert!(begin.elapsed() < Duration::from_millis(600), "{:?}", begin.elapsed());
}

#[test]
fn overlapping_streams_are_refused() {
    let bench = Bench::new("overlap", vec![stream(0, "", KeyFrom::Name), stream(1, "/a", field("id"))]);
    let config =
        DocumentConfig { root: bench.dir.clone(), file: "x".into(), cadence: SLOW, symlinks: Symlinks::Refuse };
    let failure = DocumentSource::open(config, start(&bench.dir, &bench.log, &bench.streams)).unwrap_err();
    assert_eq!(failure.code, "select_overlap");
}
