//! The suite of second readings, over stores that hold what goes wrong: duplicates, records without keys, values that are no records.

use landfall_connectors::conformance::reread::says_what_the_source_hands_out;
use landfall_connectors::conformance::source::PlainQueue;
use landfall_connectors::files::directory::{DirectoryConfig, DirectoryReread, DirectorySource};
use landfall_connectors::files::document::{DocumentConfig, DocumentReread, DocumentSource};
use landfall_connectors::files::lines::{LinesConfig, LinesFormat, LinesReread, LinesSource};
use landfall_connectors::files::pattern::Pattern;
use landfall_connectors::files::root::Symlinks;
use landfall_connectors::source::{Cadence, SourceStart, SourceStream};
use landfall_connectors::sqlite::{SqliteConfig, SqliteReread, SqliteSource};
use landfall_connectors::wake::Wake;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{FieldPath, KeyFrom, KeySpec, Select};
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use landfall_tests::run_dir;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn stream(from: KeyFrom, select: Select) -> SourceStream {
    SourceStream {
        id: StreamId(0),
        name: StreamName::new("records").unwrap(),
        select,
        key: KeySpec { from, column: Ident::new("id").unwrap(), ty: None },
        partitions: PartitionCount::DEFAULT,
    }
}

fn by_field() -> KeyFrom {
    KeyFrom::Field(FieldPath::parse("id").unwrap())
}

fn folder(name: &str) -> PathBuf {
    let folder = run_dir::fresh(name);
    std::fs::create_dir(folder.join("state")).unwrap();
    std::fs::create_dir(folder.join("store")).unwrap();
    folder
}

fn start(folder: &Path, stream: SourceStream, queue: &Arc<PlainQueue>) -> SourceStart {
    SourceStart {
        streams: vec![stream],
        positions: PositionTable::default(),
        history: Arc::clone(queue) as _,
        state_dir: folder.join("state"),
        wake: Wake::default(),
        registrar: None,
    }
}

const ODD: &str = r#"[{"id":1,"v":1}, {"id":"1"}, {"id":1.0,"v":2}, {"v":3}, {"id":null}, {"v":3}, 7, {"id":[1,2]}, {"id":5, "id":6}]"#;

#[test]
fn a_document_is_read_as_its_source_reads_it() {
    for (text, from) in [
        (ODD, by_field()),
        (r#"{"a":{"v":1},"b":2,"a ":[],"A":{"v":"\ud83d\ude80"}}"#, KeyFrom::Name),
        (r#"{"a":{"id":1},"b":{"id":2},"c":{}}"#, by_field()),
    ] {
        let folder = folder("reread-document");
        std::fs::write(folder.join("store/db.json"), format!("{{\"other\":[1],\"here\":{text}}}")).unwrap();
        let stream = stream(from, Select::Pointer(vec!["here".into()]));
        let config = DocumentConfig {
            root: folder.join("store"),
            file: "db.json".into(),
            cadence: Cadence::default(),
            symlinks: Symlinks::Refuse,
        };
        let queue = Arc::new(PlainQueue::default());
        let mut source = DocumentSource::open(config.clone(), start(&folder, stream.clone(), &queue)).unwrap();
        let mut reread = DocumentReread::new(config, vec![stream]).unwrap();
        says_what_the_source_hands_out(&mut source, &queue, &mut reread);
    }
}

#[test]
fn a_folder_is_read_as_its_source_reads_it() {
    for from in [KeyFrom::Name, KeyFrom::Stem, by_field()] {
        let folder = folder("reread-folder");
        std::fs::create_dir(folder.join("store/deep")).unwrap();
        for (name, text) in [
            ("a.json", "{\"id\":1}"),
            ("deep/b.json", "\u{feff} {\"id\":2,\"é\":1}\n"),
            ("deep/a.json", "[1]"),
            ("c.json", "{}"),
        ] {
            std::fs::write(folder.join("store").join(name), text).unwrap();
        }
        let stream = stream(from, Select::Whole);
        let config = DirectoryConfig {
            root: folder.join("store"),
            glob: Pattern::new("**/*.json").unwrap(),
            cadence: Cadence::default(),
            symlinks: Symlinks::Refuse,
        };
        let queue = Arc::new(PlainQueue::default());
        let mut source = DirectorySource::open(config.clone(), start(&folder, stream.clone(), &queue)).unwrap();
        let mut reread = DirectoryReread::new(config, vec![stream]).unwrap();
        says_what_the_source_hands_out(&mut source, &queue, &mut reread);
    }
}

#[test]
fn lines_are_read_as_their_source_reads_them() {
    let field = FieldPath::parse("op").unwrap();
    let operation = LinesFormat::Operation { field, delete: vec!["d".into()], upsert: vec!["u".into()], record: None };
    for (from, format) in [(by_field(), operation), (KeyFrom::Position, LinesFormat::Record)] {
        let folder = folder("reread-lines");
        let long = format!("{{\"op\":\"u\",\"id\":9,\"long\":\"{}\"}}\n", "x".repeat(3 << 20));
        let lines = "\u{feff}{\"op\":\"u\",\"id\":1}\r\n\n{\"op\":\"u\",\"id\":2}\n{\"op\":\"d\",\"id\":1}\n{\"op\":\"?\",\"id\":3}\nno json\n{\"op\":\"u\"}\n";
        std::fs::write(
            folder.join("store/a.ndjson"),
            format!("{lines}{long}{{\"op\":\"u\",\"id\":2,\"v\":2}}\n{{\"op\":\"u\",\"id\":4"),
        )
        .unwrap();
        let stream = stream(from, Select::Whole);
        let config = LinesConfig {
            dir: folder.join("store"),
            pattern: Pattern::new("*.ndjson").unwrap(),
            symlinks: Symlinks::Refuse,
            format,
            cadence: Cadence::default(),
        };
        let queue = Arc::new(PlainQueue::default());
        let mut source = LinesSource::open(config.clone(), start(&folder, stream.clone(), &queue)).unwrap();
        let mut reread = LinesReread::new(config, vec![stream]);
        says_what_the_source_hands_out(&mut source, &queue, &mut reread);
    }
}

#[test]
fn a_database_is_read_as_its_source_reads_it() {
    let composite = KeyFrom::Composite(vec!["a".into(), "b".into()]);
    for from in [by_field(), KeyFrom::Name, composite] {
        let folder = folder("reread-database");
        let path = folder.join("store/store.db");
        let writer = rusqlite::Connection::open(path).unwrap();
        writer
            .execute_batch(
                "CREATE TABLE records (id, a, b); INSERT INTO records VALUES (1, 'x', 1), ('1', 'x', '1'), (NULL, 'x', 2), \
                 (NULL, 'x', NULL), (1.5, x'00', 0.5), (1.0, 'y', 1)",
            )
            .unwrap();
        let stream = stream(from, Select::Collection("records".into()));
        let config = SqliteConfig {
            root: folder.join("store"),
            file: "store.db".into(),
            cadence: Cadence::default(),
            symlinks: Symlinks::Refuse,
            capture: landfall_connectors::sqlite::SqliteCapture::Scan,
        };
        let queue = Arc::new(PlainQueue::default());
        let mut source = SqliteSource::open(config.clone(), start(&folder, stream.clone(), &queue)).unwrap();
        let mut reread = SqliteReread::new(config, vec![stream]);
        says_what_the_source_hands_out(&mut source, &queue, &mut reread);
    }
}
