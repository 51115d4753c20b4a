//! A log as a source, watched from outside: what writers append and move, and the lines that are handed out.

use super::*;
use crate::conformance;
use crate::source::{History, Recorded, Ruling, SourceStream};
use crate::wake::Wake;
use landfall_schemas::event::Op;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{FieldPath, KeySpec};
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::{PartitionCount, StreamName};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod bounds;
mod machine;
mod retraced;
mod rotations;

/// A queue that holds nothing: lines need none of its history.
struct NoHistory;

impl History for NoHistory {
    fn earliest(&self) -> Sequence {
        Sequence(0)
    }
    fn end(&self) -> Sequence {
        Sequence(0)
    }
    fn visit(&self, _: Sequence, _: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        Ok(())
    }
}

/// A source over a scratch directory, what it handed out, and the positions that are durable.
struct Bench {
    dir: PathBuf,
    glob: String,
    key: KeyFrom,
    source: Option<LinesSource>,
    positions: PositionTable,
    /// Payloads of upserts; rejects as `!code`.
    seen: Vec<String>,
    /// Keys of them all, whatever is taken out of `seen`.
    keys: Vec<(Vec<u8>, String)>,
    largest: usize,
}

impl Bench {
    fn new(name: &str, glob: &str) -> Self {
        Self::under(&std::env::temp_dir(), name, glob)
    }

    fn under(parent: &Path, name: &str, glob: &str) -> Self {
        let dir = parent.join(format!("landfall-lines-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let mut bench = Self {
            dir,
            glob: glob.to_owned(),
            key: KeyFrom::Field(FieldPath::parse("id").unwrap()),
            source: None,
            positions: PositionTable::default(),
            seen: Vec::new(),
            keys: Vec::new(),
            largest: 0,
        };
        bench.reopen();
        bench
    }

    /// Ends the process and starts another at the durable positions.
    fn reopen(&mut self) {
        self.source = None;
        let config = config(&self.dir, &self.glob);
        let stream = stream(self.key.clone());
        let start = SourceStart {
            streams: vec![stream],
            positions: self.positions.clone(),
            history: Arc::new(NoHistory),
            state_dir: self.dir.clone(),
            wake: Wake::default(),
            registrar: None,
        };
        self.source = Some(LinesSource::open(config, start).unwrap());
    }

    fn stop(&mut self) {
        self.source = None;
    }

    fn source(&mut self) -> &mut LinesSource {
        self.source.as_mut().unwrap()
    }

    /// One batch, made durable.
    fn step(&mut self) -> Step {
        self.raced_step(|_| {}, |_| {})
    }

    /// A step into whose survey and reading others break: after the listing, and after what was concluded from it.
    fn raced_step(&mut self, listed: impl FnOnce(&Self), concluded: impl FnOnce(&Self)) -> Step {
        let mut source = self.source.take().unwrap();
        let mut batch = ChangeBatch::default();
        let listing = matches!(source.state, State::Idle).then(|| source.list());
        listed(self);
        if let Some(listing) = listing {
            source.take_in(listing);
        }
        concluded(self);
        let step = source.read_on(&mut batch);
        self.source = Some(source);
        assert!(batch.changes().len() <= ChangeBatch::MAX_CHANGES);
        for change in batch.changes() {
            let payload = String::from_utf8_lossy(batch.bytes(&change.payload)).into_owned();
            self.largest = self.largest.max(payload.len());
            let said = match (change.op, change.reject) {
                (Op::Upsert, _) => payload,
                (_, Some(code)) => format!("!{code}"),
                (op, None) => format!("{op:?}"),
            };
            self.keys.push((batch.bytes(&change.key).to_vec(), said.clone()));
            self.seen.push(said);
        }
        for update in batch.positions() {
            self.positions.apply(update);
        }
        step
    }

    /// Until there is nothing more at hand, without a wait.
    fn drain(&mut self) -> Step {
        for _ in 0..100_000 {
            let step = self.step();
            if step != Step::More {
                return step;
            }
        }
        panic!("no end: {:?}", self.condition());
    }

    /// Through as many waits as anything unfinished needs.
    fn settle(&mut self) -> Step {
        let mut last = self.drain();
        for _ in 0..8 {
            self.source().wait();
            last = self.drain();
        }
        last
    }

    fn condition(&mut self) -> Condition {
        self.source().conditions().remove(0).1
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.dir.join(name), text.as_bytes());
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.dir.join(from), self.dir.join(to)).unwrap();
    }

    fn copy_truncate(&self, from: &str, to: &str) {
        fs::copy(self.dir.join(from), self.dir.join(to)).unwrap();
        self.truncate(from);
    }

    fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.dir.join(name)).unwrap().set_len(0).unwrap();
    }

    fn exists(&self, name: &str) -> bool {
        self.dir.join(name).exists()
    }

    fn gzip(&self, name: &str) {
        gzip(&self.dir.join(name));
    }

    fn accept(&mut self) -> bool {
        let decision = Decision { stream: StreamId(1), subject: FILE_SHRANK.into(), ruling: Ruling::Accept };
        self.source().decide(&decision)
    }

    #[track_caller]
    fn saw(&mut self, expected: &[&str]) {
        let seen: Vec<String> = std::mem::take(&mut self.seen);
        assert_eq!(seen, expected);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn config(dir: &Path, glob: &str) -> LinesConfig {
    LinesConfig {
        dir: dir.to_owned(),
        pattern: Pattern::new(glob).unwrap(),
        symlinks: Symlinks::Refuse,
        format: LinesFormat::Record,
        cadence: Cadence { rescan: Duration::from_millis(2), poll: Duration::from_millis(1) },
    }
}

fn stream(from: KeyFrom) -> SourceStream {
    SourceStream {
        id: StreamId(1),
        name: StreamName::new("s").unwrap(),
        select: Select::Whole,
        key: KeySpec { from, column: Ident::new("id").unwrap(), ty: None },
        partitions: PartitionCount::DEFAULT,
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn gzip(path: &Path) {
    let target = path.with_file_name(format!("{}.gz", path.file_name().unwrap().to_str().unwrap()));
    let mut gz = flate2::write::GzEncoder::new(fs::File::create(target).unwrap(), flate2::Compression::fast());
    gz.write_all(&fs::read(path).unwrap()).unwrap();
    gz.finish().unwrap();
    fs::remove_file(path).unwrap();
}

fn line(id: impl std::fmt::Display) -> String {
    format!("{{\"id\":\"{id}\"}}")
}

fn lines(ids: impl IntoIterator<Item = u32>) -> String {
    ids.into_iter().map(|id| line(id) + "\n").collect()
}

#[test]
fn lines_are_handed_out_once_and_in_order() {
    let mut bench = Bench::new("once", "*.ndjson");
    assert_eq!(bench.drain(), Step::Blocked);
    assert!(matches!(bench.condition(), Condition::Waiting { code: "missing", .. }));
    bench.append("a.ndjson", &lines(1..3));
    assert_eq!(bench.drain(), Step::CaughtUp);
    bench.saw(&[&line(1), &line(2)]);
    bench.append("a.ndjson", &lines(3..4));
    bench.append("b.ndjson", &lines(10..11));
    bench.reopen();
    assert_eq!(bench.drain(), Step::CaughtUp);
    bench.saw(&[&line(3), &line(10)]);
    assert_eq!(bench.condition(), Condition::Following);
    bench.reopen();
    assert_eq!(bench.drain(), Step::CaughtUp);
    bench.saw(&[]);
}

#[test]
fn a_line_waits_for_its_newline() {
    let mut bench = Bench::new("partial", "a");
    for byte in line(1).bytes() {
        append(&bench.dir.join("a"), &[byte]);
        assert_eq!(bench.drain(), Step::CaughtUp, "a partial line does not keep a source from having caught up");
    }
    bench.settle();
    bench.saw(&[]);
    bench.append("a", "\n");
    bench.drain();
    bench.saw(&[&line(1)]);
}

#[test]
fn line_ends_marks_and_blank_lines_are_no_part_of_records() {
    let mut bench = Bench::new("crlf", "a");
    bench.append("a", &format!("\u{feff}{}\r\n\r\n  \n\n{}\r\n", line(1), line(2)));
    bench.drain();
    bench.saw(&[&line(1), &line(2)]);
}

#[test]
fn what_is_no_json_is_rejected_where_it_stands() {
    let mut bench = Bench::new("bad", "a");
    append(&bench.dir.join("a"), b"{\"id\":\"\xff\"}\nnonsense\n{}\n{\"id\":1}\n");
    let mut batch = ChangeBatch::default();
    bench.source().next(&mut batch).unwrap();
    let found: Vec<_> =
        batch.changes().iter().map(|change| (change.reject.map(|code| code.name()), change.at)).collect();
    let expected = [(Some("invalid_utf8"), 0), (Some("malformed"), 11), (Some("key_missing"), 20), (None, 23)];
    assert_eq!(found, expected);
    assert_eq!(&*batch.places()[0], "a");
}

#[test]
fn a_vanished_file_deletes_nothing_and_may_come_back() {
    let mut bench = Bench::new("vanish", "*.ndjson");
    bench.append("a.ndjson", &lines(1..2));
    bench.append("b.ndjson", &lines(2..3));
    bench.drain();
    bench.stop();
    bench.rename("a.ndjson", "elsewhere");
    bench.reopen();
    assert_eq!(bench.settle(), Step::CaughtUp);
    bench.append("elsewhere", &lines(3..4));
    bench.rename("elsewhere", "a.ndjson");
    assert_eq!(bench.settle(), Step::CaughtUp);
    bench.saw(&[&line(1), &line(2), &line(3)]);
}

#[test]
fn a_missing_directory_is_waited_for() {
    let mut bench = Bench::new("nodir", "*");
    fs::remove_dir_all(&bench.dir).unwrap();
    assert_eq!(bench.drain(), Step::Blocked);
    assert!(matches!(bench.condition(), Condition::Waiting { code: "missing", .. }));
    fs::create_dir_all(&bench.dir).unwrap();
    bench.append("a", &lines(1..2));
    assert_eq!(bench.settle(), Step::CaughtUp);
    bench.saw(&[&line(1)]);
}

#[test]
fn a_key_by_position_names_generation_and_offset() {
    let mut bench = Bench::new("place", "a");
    bench.key = KeyFrom::Position;
    bench.reopen();
    bench.append("a", "{}\n{}\n");
    let mut batch = ChangeBatch::default();
    bench.source().next(&mut batch).unwrap();
    let slot = String::from_utf8(batch.positions()[0].slot.to_vec()).unwrap();
    let keys: Vec<_> =
        batch.changes().iter().map(|change| String::from_utf8(batch.bytes(&change.key).to_vec()).unwrap()).collect();
    assert_eq!(keys, [format!("p:{slot}:{:016}", 0), format!("p:{slot}:{:016}", 3)]);
}

#[test]
fn a_hard_link_is_not_read_twice() {
    let mut bench = Bench::new("hard", "*.log");
    bench.append("a.log", &lines(1..3));
    bench.drain();
    fs::hard_link(bench.dir.join("a.log"), bench.dir.join("b.log")).unwrap();
    bench.settle();
    bench.saw(&[&line(1), &line(2)]);
}

#[test]
fn an_unknown_stored_position_is_refused() {
    let mut table = PositionTable::default();
    table.0.insert(b"x".as_slice().into(), b"nonsense".as_slice().into());
    assert_eq!(Ledger::load(&table).unwrap_err().code, "position_unreadable");
}

/// Writes lines; deletes are lines as well.
struct Log(Bench);

impl conformance::source::Store for Log {
    type Source = LinesSource;

    fn open(&self, start: SourceStart) -> Result<LinesSource, Failure> {
        let field = FieldPath::parse("gone").unwrap();
        let format =
            LinesFormat::Operation { field, delete: vec!["true".into()], upsert: vec!["false".into()], record: None };
        LinesSource::open(LinesConfig { format, ..config(&self.0.dir, "*.log") }, start)
    }

    fn stream(&self) -> SourceStream {
        stream(KeyFrom::Field(FieldPath::parse("id").unwrap()))
    }

    fn state_dir(&self) -> PathBuf {
        self.0.dir.clone()
    }

    fn put(&mut self, records: &[(u64, u64)]) {
        let text: String =
            records.iter().map(|(id, v)| format!("{{\"gone\":false,\"id\":{id},\"v\":{v}}}\n")).collect();
        append(&self.0.dir.join("a.log"), text.as_bytes());
    }

    fn remove(&mut self, id: u64) -> bool {
        append(&self.0.dir.join("a.log"), format!("{{\"gone\":true,\"id\":{id}}}\n").as_bytes());
        true
    }
}

#[test]
fn lines_pass_the_suite_of_sources() {
    conformance::source::all(|name| {
        let bench = Bench::new(&format!("suite-{name}"), "*.log");
        Log(bench)
    });
}

#[test]
fn an_incomplete_gzip_file_is_waited_for() {
    let mut bench = Bench::new("halfgz", "*");
    bench.append("a.log", &lines(0..5_000));
    bench.gzip("a.log");
    let whole = fs::read(bench.dir.join("a.log.gz")).unwrap();
    fs::write(bench.dir.join("a.log.gz"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(bench.settle(), Step::Blocked);
    assert!(matches!(bench.condition(), Condition::Waiting { code: "unreadable", .. }));
    append(&bench.dir.join("a.log.gz"), &whole[whole.len() / 2..]);
    assert_eq!(bench.settle(), Step::CaughtUp);
    let expected: Vec<String> = (0..5_000).map(line).collect();
    assert_eq!(bench.seen, expected);
}

#[test]
fn a_link_or_a_pipe_is_no_log() {
    let mut bench = Bench::new("odd", "*.log");
    fs::create_dir(bench.dir.join("d")).unwrap();
    fs::write(bench.dir.join("d/outside"), lines(1..2)).unwrap();
    std::os::unix::fs::symlink("d/outside", bench.dir.join("link.log")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let pipe = bench.dir.join("pipe.log");
    rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    bench.append("a.log", &lines(2..3));
    assert_eq!(bench.settle(), Step::CaughtUp);
    bench.saw(&[&line(2)]);
}
