//! The arena: a site with all three kinds of source, written to without pause, audited, and checked in full.

use crate::writers::Writers;
use landfall_tests::config::Config;
use landfall_tests::database::Login;
use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::landfall::Launch;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::manner::Manner;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The arena.
#[derive(Debug)]
pub(crate) struct Arena {
    /// The site.
    pub(crate) site: Site,
    /// How the oracle reaches the target, whatever way the product goes.
    pub(crate) direct: Login,
    seed: Seed,
    archive: Option<DocumentStore>,
}

/// Records of the store that changes in bursts: enough for a staged COPY and for the file index to be written.
const ARCHIVED: u64 = 1_500;

impl Arena {
    /// A new site with its stores, on a database of its own. Retention is so small that segments come and go.
    pub(crate) fn new(name: &str, login: Login, seed: u64) -> Self {
        let config = Config::new(name)
            .source("store", json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" }))
            .source("archive", json!({ "kind": "json_document", "path": "archive.json", "rescan": "1s" }))
            .source("log", json!({ "kind": "json_lines", "path": "log/events.ndjson", "rescan": "1s" }))
            .source("files", json!({ "kind": "json_directory", "path": "files", "glob": "**/*.json", "rescan": "1s" }))
            .section("queue", json!({ "max_bytes": "1GiB", "retention": { "bytes": "0B", "age": "0s", "floor": "0s" } }))
            .stream("users", "store", json!({ "select": "/users", "key": "id" }))
            .stream("orders", "store", json!({ "select": "/orders", "key": "id" }))
            .stream("archived", "archive", json!({ "select": "/archived", "key": "id" }))
            .stream("events", "log", json!({ "key": "id" }))
            .stream(
                "records",
                "files",
                json!({ "rest": "extra", "columns": { "stamp": { "type": "numeric" }, "amount": { "type": "numeric" } } }),
            );
        let mut site = Site::on(config, login.clone());
        site.note_ledger("log", &site.path("events.ledger"));
        Self { site, direct: login, seed: Seed::new(seed), archive: None }
    }

    /// Fills the stores, creates tables and audit.
    pub(crate) fn fill(&mut self) -> (DocumentStore, LinesStore, DirectoryStore) {
        let site = &self.site;
        let document = DocumentStore::create(&site.path("store.json"), &["users", "orders"], 60, self.seed.fork());
        let lines = LinesStore::create(
            &site.path("log/events.ndjson"),
            &site.path("events.ledger"),
            (300, 80),
            self.seed.fork(),
        );
        let files = DirectoryStore::create(&site.path("files"), 60, self.seed.fork());
        let archive = DocumentStore::create(&site.path("archive.json"), &["archived"], ARCHIVED, self.seed.fork());
        site.apply_schema_with_audit();
        self.archive = Some(archive);
        (document, lines, files)
    }

    /// Changes every record of a larger document at once.
    pub(crate) fn burst(&mut self) {
        let archive = self.archive.as_mut().expect("the arena is filled");
        for key in archive.keys("archived") {
            archive.put("archived", key);
        }
        archive.write(Manner::Atomic);
    }

    /// Fills the stores and starts writing to them.
    pub(crate) fn start(&mut self) -> Writers {
        let (document, lines, files) = self.fill();
        Writers::start(document, lines, files, self.seed.fork())
    }

    /// A generator of the arena's own.
    pub(crate) fn seed(&mut self) -> Seed {
        self.seed.fork()
    }

    /// The service, with segments so small that they roll within a round.
    pub(crate) fn service(&self) -> Launch {
        self.site.command(&["run"]).env("LANDFALL_SEGMENT_BYTES", "65536")
    }

    /// Catches up while the writers hold still, then asks the oracle everything.
    #[track_caller]
    pub(crate) fn check(&self, writers: &Writers, moment: &str) {
        let still = writers.hold_still();
        self.check_still(moment);
        drop(still);
    }

    /// Catches up and asks the oracle everything.
    #[track_caller]
    pub(crate) fn check_still(&self, moment: &str) {
        self.site.catch_up();
        self.judge(moment);
    }

    /// Asks the oracle everything.
    #[track_caller]
    pub(crate) fn judge(&self, moment: &str) {
        let oracle = self.site.oracle(&self.direct);
        oracle.equal().expect(moment);
        oracle.witness().expect(moment);
    }

    /// Writes a torn frame behind the end of each queue's newest segment, as a power cut in a write would leave it.
    pub(crate) fn tear_tails(&mut self) {
        for segment in newest_segments(&self.site.path("state")) {
            let mut garbage = vec![0; self.seed.range(1, 300) as usize];
            for byte in &mut garbage {
                *byte = self.seed.below(256) as u8;
            }
            let mut file = OpenOptions::new().append(true).open(segment).expect("a segment can be opened");
            file.write_all(&garbage).expect("a segment can be written");
        }
    }
}

/// The segment with the highest number in each folder.
fn newest_segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut here = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(newest_segments(&path));
        } else if path.extension().is_some_and(|extension| extension == "seg") {
            here.push(path);
        }
    }
    found.extend(here.into_iter().max());
    found
}
