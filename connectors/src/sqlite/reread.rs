//! The database read a second time: every row of the streams' tables in one snapshot, through a connection of its own.

use super::SqliteConfig;
use super::database::{Database, SeenRow, Trouble};
use super::looking::away;
use super::pass::key_of_row;
use crate::failure::{Failure, FailureClass};
use crate::files::root::Root;
use crate::reread::{Nameless, Part, Repeats, Reread, Said, Seen, Taker};
use crate::source::SourceStream;
use landfall_schemas::hash::RowHash;
use landfall_schemas::json::MAX_RECORD_BYTES;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::Select;
use landfall_schemas::rejection::RejectCode;

/// A database file to be read a second time.
#[derive(Debug)]
pub struct SqliteReread {
    config: SqliteConfig,
    streams: Vec<SourceStream>,
}

impl SqliteReread {
    /// For these of its tables; opens nothing yet.
    pub fn new(config: SqliteConfig, streams: Vec<SourceStream>) -> Self {
        Self { config, streams }
    }

    fn failure(&self, trouble: &Trouble) -> Failure {
        let path = self.config.root.join(&self.config.file);
        Failure::new(FailureClass::Transient, trouble.code, format!("{}: {}", path.display(), trouble.detail))
    }

    fn table(&self, database: &Database, at: usize, taker: &mut dyn Taker) -> Result<Option<Failure>, Failure> {
        let stream = &self.streams[at];
        let found = match &stream.select {
            Select::Collection(name) => database.table(name).map_err(|trouble| self.failure(&trouble))?,
            Select::Whole | Select::Pointer(_) => None,
        };
        let Some(table) = found else {
            let detail = format!("there is no table of the name that stream {} selects", stream.name);
            return Ok(Some(self.failure(&Trouble { code: "table_missing", detail })));
        };
        let (mut key, mut after, mut nameless) = (RecordKey::default(), None, Nameless::default());
        loop {
            let mut taken = Ok(());
            let read = database.chunk(&table, &after, &mut |row| {
                if taken.is_ok() {
                    taken = take((stream, at), &row, (&mut key, &mut nameless), taker);
                }
            });
            after = read.map_err(|trouble| self.failure(&trouble))?;
            taken?;
            if after.is_none() {
                return Ok(None);
            }
        }
    }
}

fn take(
    (stream, at): (&SourceStream, usize),
    row: &SeenRow<'_>,
    (key, nameless): (&mut RecordKey, &mut Nameless),
    taker: &mut dyn Taker,
) -> Result<(), Failure> {
    let made = key_of_row(&stream.key, row, key);
    if made.is_err() {
        nameless.name(RowHash::of(row.document), key);
    }
    let too_large = (row.document.len() > MAX_RECORD_BYTES).then_some(RejectCode::TooLarge);
    let said = match made.err().or(too_large) {
        Some(code) => Said::Rejected(code),
        None => Said::Record(row.document),
    };
    taker.take(&Seen { stream: at, key: key.as_bytes(), said, chain: 0, part: Part::Sure })
}

impl Reread for SqliteReread {
    fn repeats(&self) -> Repeats {
        Repeats::FirstStands
    }

    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure> {
        let root = Root::open(&self.config.root, self.config.symlinks);
        let root = root.map_err(|error| self.failure(&Trouble { code: error.code(), detail: error.to_string() }))?;
        root.stat_file(&self.config.file).map_err(|error| self.failure(&away(&error)))?;
        let opened = Database::open(&self.config.root.join(&self.config.file));
        let database = opened.map_err(|trouble| self.failure(&trouble))?;
        database.begin().map_err(|trouble| self.failure(&trouble))?;
        let read = (0..self.streams.len()).map(|at| self.table(&database, at, taker)).collect();
        database.end();
        read
    }
}
