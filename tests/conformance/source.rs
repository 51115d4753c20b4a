//! The suite of sources, on a real disk: a document, a folder of files, a SQLite database. Lines pass it in their own crate.

use landfall_connectors::conformance::source::{Store, all};
use landfall_connectors::failure::Failure;
use landfall_connectors::files::directory::{DirectoryConfig, DirectorySource};
use landfall_connectors::files::document::{DocumentConfig, DocumentSource};
use landfall_connectors::files::pattern::Pattern;
use landfall_connectors::files::root::Symlinks;
use landfall_connectors::source::{Cadence, SourceStart, SourceStream};
use landfall_connectors::sqlite::{SqliteCapture, SqliteConfig, SqliteSource};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{FieldPath, KeyFrom, KeySpec, Select};
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use landfall_tests::run_dir;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Short, so that the suite's waits are.
const CADENCE: Cadence = Cadence { rescan: Duration::from_millis(200), poll: Duration::from_millis(50) };

fn stream() -> SourceStream {
    SourceStream {
        id: StreamId(0),
        name: StreamName::new("records").unwrap(),
        select: Select::Whole,
        key: KeySpec {
            from: KeyFrom::Field(FieldPath::parse("id").unwrap()),
            column: Ident::new("id").unwrap(),
            ty: None,
        },
        partitions: PartitionCount::new(4).unwrap(),
    }
}

/// What both stores are made of.
struct Records {
    folder: PathBuf,
    records: BTreeMap<u64, u64>,
}

impl Records {
    fn new(name: &str) -> Self {
        let folder = run_dir::fresh(name);
        std::fs::create_dir(folder.join("store")).unwrap();
        std::fs::create_dir(folder.join("state")).unwrap();
        Self { folder, records: BTreeMap::new() }
    }

    fn line(id: u64, v: u64) -> String {
        format!("{{\"id\":{id},\"v\":{v}}}")
    }
}

struct Document(Records);

impl Document {
    fn write(&self) {
        let lines: Vec<String> = self.0.records.iter().map(|(id, v)| Records::line(*id, *v)).collect();
        let path = self.0.folder.join("store/store.json");
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, format!("[{}]", lines.join(",\n"))).unwrap();
        std::fs::rename(beside, path).unwrap();
    }
}

impl Store for Document {
    type Source = DocumentSource;

    fn open(&self, start: SourceStart) -> Result<DocumentSource, Failure> {
        let config = DocumentConfig {
            root: self.0.folder.join("store"),
            file: PathBuf::from("store.json"),
            cadence: CADENCE,
            symlinks: Symlinks::Refuse,
        };
        DocumentSource::open(config, start)
    }

    fn stream(&self) -> SourceStream {
        stream()
    }

    fn state_dir(&self) -> PathBuf {
        self.0.folder.join("state")
    }

    fn put(&mut self, records: &[(u64, u64)]) {
        self.0.records.extend(records.iter().copied());
        self.write();
    }

    fn remove(&mut self, id: u64) -> bool {
        self.0.records.remove(&id);
        self.write();
        true
    }
}

struct Folder(Records);

impl Store for Folder {
    type Source = DirectorySource;

    fn open(&self, start: SourceStart) -> Result<DirectorySource, Failure> {
        let config = DirectoryConfig {
            root: self.0.folder.join("store"),
            glob: Pattern::new("**/*.json").unwrap(),
            cadence: CADENCE,
            symlinks: Symlinks::Refuse,
        };
        DirectorySource::open(config, start)
    }

    fn stream(&self) -> SourceStream {
        stream()
    }

    fn state_dir(&self) -> PathBuf {
        self.0.folder.join("state")
    }

    fn put(&mut self, records: &[(u64, u64)]) {
        for (id, v) in records {
            std::fs::write(self.0.folder.join(format!("store/{id}.json")), Records::line(*id, *v)).unwrap();
        }
    }

    fn remove(&mut self, id: u64) -> bool {
        std::fs::remove_file(self.0.folder.join(format!("store/{id}.json"))).unwrap();
        true
    }
}

struct Database(PathBuf, SqliteCapture);

impl Database {
    fn scanned(name: &str) -> Self {
        Self::new(&format!("database-{name}"), SqliteCapture::Scan)
    }

    fn logged(name: &str) -> Self {
        Self::new(&format!("logged-{name}"), SqliteCapture::Triggers { full_pass: Duration::from_secs(3_600) })
    }

    fn new(folder: &str, capture: SqliteCapture) -> Self {
        let database = Self(Records::new(folder).folder, capture);
        let schema = "PRAGMA journal_mode = WAL; CREATE TABLE records (id INTEGER UNIQUE, v INTEGER)";
        database.writer().execute_batch(schema).unwrap();
        database
    }

    fn writer(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.join("store/store.db")).unwrap()
    }
}

impl Store for Database {
    type Source = SqliteSource;

    fn open(&self, start: SourceStart) -> Result<SqliteSource, Failure> {
        let config = SqliteConfig {
            root: self.0.join("store"),
            file: PathBuf::from("store.db"),
            cadence: CADENCE,
            symlinks: Symlinks::Refuse,
            capture: self.1,
        };
        SqliteSource::open(config, start)
    }

    fn stream(&self) -> SourceStream {
        SourceStream { select: Select::Collection("records".into()), ..stream() }
    }

    fn state_dir(&self) -> PathBuf {
        self.0.join("state")
    }

    fn put(&mut self, records: &[(u64, u64)]) {
        let mut writer = self.writer();
        let together = writer.transaction().unwrap();
        for (id, v) in records {
            if together.execute("UPDATE records SET v = ?2 WHERE id = ?1", [*id as i64, *v as i64]).unwrap() == 0 {
                together.execute("INSERT INTO records VALUES (?1, ?2)", [*id as i64, *v as i64]).unwrap();
            }
        }
        together.commit().unwrap();
    }

    fn remove(&mut self, id: u64) -> bool {
        self.writer().execute("DELETE FROM records WHERE id = ?1", [id as i64]).unwrap();
        true
    }

    fn read(payload: &[u8]) -> Option<(u64, u64)> {
        let record = bson::RawDocument::from_bytes(payload).ok()?;
        let number = |name: &str| record.get(name).ok()??.as_i64()?.try_into().ok();
        Some((number("id")?, number("v")?))
    }
}

#[test]
fn a_database_passes_the_suite_of_sources() {
    all(Database::scanned);
}

#[test]
fn a_database_with_a_change_log_passes_the_suite_of_sources() {
    all(Database::logged);
}

#[test]
fn a_document_passes_the_suite_of_sources() {
    all(|name| Document(Records::new(&format!("document-{name}"))));
}

#[test]
fn a_folder_passes_the_suite_of_sources() {
    all(|name| Folder(Records::new(&format!("folder-{name}"))));
}
