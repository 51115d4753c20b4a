//! The configuration as the program may rely on it: plain values, checked, references resolved, paths made absolute or
//! relative to the directory they were written for.

use super::health::HealthLimits;
use super::hooks::Hook;
use super::http::Http;
use super::problem::Problems;
use super::secret::Secret;
use super::template::Template;
use super::traces::Traces;
use crate::queue::Retention;
use landfall_connectors::files::lines::LinesFormat;
use landfall_connectors::files::pattern::Pattern;
use landfall_connectors::files::root::Symlinks;
use landfall_connectors::mongodb::MongoConfig;
use landfall_connectors::source::Cadence;
use landfall_connectors::sqlite::SqliteCapture;
use landfall_schemas::ddl::{BulkLoad, Constraint, TableName};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{ChildMapping, RecordFormat, Select, StreamMapping};
use landfall_schemas::stream::{SourceName, StreamName};
use landfall_schemas::table::{TableColumn, TableShape};
use std::fmt;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A whole pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name: keys every table of schema `landfall`. Same alphabet as a stream's name.
    pub name: String,
    /// The file it was read from, as the user named it.
    pub file: PathBuf,
    /// Where rows go.
    pub target: Target,
    /// The state directory. May not exist yet: see [`super::permission::prepare_state_dir`].
    pub state_dir: PathBuf,
    /// Bounds of each source's queue.
    pub retention: Retention,
    /// Where HTTP is answered, if it is.
    pub http: Option<Http>,
    /// Who is told what happens, in the order of the file.
    pub hooks: Vec<Hook>,
    /// Which collector is sent spans of batches, if one is.
    pub traces: Option<Traces>,
    /// The sources, in the order of the file. Each has at least one stream or pattern.
    pub sources: Vec<SourceSpec>,
    /// The streams, in the order of the file.
    pub streams: Vec<StreamMapping>,
    /// The entries that are patterns, in the order of the file.
    pub templates: Vec<Template>,
    /// How old a dead letter of a stream or of an entry's streams may become before the stream halts.
    pub parked_ages: Vec<(StreamName, Duration)>,
    /// Declared foreign keys: built at cutover, kept here until then.
    pub references: Vec<Reference>,
    /// What deserves a look but stops nothing.
    pub warnings: Problems,
    /// The configuration as it was written. May hold passwords.
    pub text: Written,
}

/// The text of a configuration, which nothing prints.
#[derive(Clone)]
pub struct Written(Secret);

impl Written {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// The text, for keeping it.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written(…)")
    }
}

impl Pipeline {
    /// The streams of a source.
    pub fn streams_of<'a>(&'a self, source: &'a SourceName) -> impl Iterator<Item = &'a StreamMapping> {
        self.streams.iter().filter(move |stream| stream.source == *source)
    }

    /// The pattern that a collection of a source falls to: the first that matches, unless a stream names the collection or it is
    /// MongoDB's own.
    pub fn template_of(&self, source: &SourceName, collection: &str) -> Option<&Template> {
        let named = |stream: &StreamMapping| matches!(&stream.select, Select::Collection(name) if name == collection);
        if collection.starts_with("system.") || self.streams_of(source).any(named) {
            return None;
        }
        self.templates.iter().find(|one| one.common.source == *source && one.pattern.matches(collection))
    }

    /// The stream by a name: one of the file, or one that a pattern makes of a collection.
    pub fn stream(&self, name: &str) -> Option<StreamMapping> {
        let named = self.streams.iter().find(|stream| stream.name.as_str() == name);
        named.cloned().or_else(|| {
            self.templates.iter().find_map(|template| {
                let collection = template.collection_of(name)?;
                let falls_to = self.template_of(&template.common.source, collection)?;
                (falls_to.common.name == template.common.name).then(|| template.stream(collection).ok())?
            })
        })
    }

    /// How old a dead letter of this stream may become before it halts.
    pub fn max_parked_age(&self, stream: &str) -> Option<Duration> {
        let made = self.templates.iter().find(|template| template.collection_of(stream).is_some());
        let entry = made.map_or(stream, |template| template.common.name.as_str());
        let limit = |name: &str| self.parked_ages.iter().find(|(known, _)| known.as_str() == name).map(|(_, age)| *age);
        limit(stream).or_else(|| limit(entry))
    }

    /// The same with those of the named streams that patterns make.
    #[must_use]
    pub fn with_streams<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut whole = self.clone();
        for name in names {
            if !whole.streams.iter().any(|stream| stream.name.as_str() == name) {
                whole.streams.extend(self.stream(name));
            }
        }
        whole
    }

    /// The pipeline beside this one whose tables stand in another schema.
    #[must_use]
    pub fn into_schema(&self, schema: &Ident) -> Self {
        let mut beside = self.clone();
        beside.name = format!("{}@{schema}", self.name);
        beside.target.schema = schema.clone();
        let streams = beside.streams.iter_mut().chain(beside.templates.iter_mut().map(|template| &mut template.common));
        for stream in streams {
            stream.table.schema = schema.clone();
            stream.children.iter_mut().for_each(|child| move_child(child, schema));
        }
        beside
    }

    /// What the mapping declares and no table has while it is followed: rows below refer to their parents, columns to keys, and what
    /// is unique.
    pub fn constraints(&self) -> Vec<Constraint> {
        let mut all = Vec::new();
        for (at, stream) in self.streams.iter().enumerate() {
            // A shared table has its constraints once.
            if self.streams[..at].iter().any(|earlier| earlier.table.is_shared_with(&stream.table)) {
                continue;
            }
            unique(&stream.table, &mut all);
            below(&stream.table, &stream.children, &mut all);
        }
        let schema = &self.target.schema;
        let table = |name: &Ident| TableName { schema: schema.clone(), name: name.clone() };
        let foreign = |one: &Reference| {
            let to = (table(&one.table), vec![one.key.clone()]);
            Constraint::references(table(&one.from), vec![one.column.clone()], to, false)
        };
        all.extend(self.references.iter().map(foreign));
        all
    }

    /// The source of a stream.
    pub fn source_of(&self, stream: &StreamMapping) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == stream.source)
    }
}

fn unique(table: &TableShape, all: &mut Vec<Constraint>) {
    let name = |at: &usize| table.columns[*at].name.clone();
    let one = |columns: &Vec<usize>| Constraint::unique(TableName::of(table), columns.iter().map(name).collect());
    all.extend(table.unique.iter().map(one));
}

fn below(parent: &TableShape, children: &[ChildMapping], all: &mut Vec<Constraint>) {
    let names = |columns: &[TableColumn]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    for child in children {
        let columns = names(&child.table.columns[..parent.key_columns]);
        let to = (TableName::of(parent), names(parent.key()));
        all.push(Constraint::references(TableName::of(&child.table), columns, to, true));
        unique(&child.table, all);
        below(&child.table, &child.children, all);
    }
}

fn move_child(child: &mut ChildMapping, schema: &Ident) {
    child.table.schema = schema.clone();
    child.children.iter_mut().for_each(|below| move_child(below, schema));
}

/// `target`.
#[derive(Clone)]
pub struct Target {
    /// Connection URL: `postgres://…`.
    pub url: Secret,
    /// Schema of the tables.
    pub schema: Ident,
    /// Most connections that write.
    pub max_connections: NonZeroU16,
    /// TLS; `None`: `verify-full` for hosts beyond this machine, off for loopback and sockets.
    pub sslmode: Option<SslMode>,
    /// Certificates to trust besides the public ones, PEM.
    pub root_cert: Option<PathBuf>,
    /// `statement_timeout` of every connection.
    pub statement_timeout: Duration,
    /// `lock_timeout` of every connection.
    pub lock_timeout: Duration,
    /// The operator accepts a server whose `synchronous_commit` is off.
    pub synchronous_commit_off_allowed: bool,
    /// Limits beyond which nothing is written for a while.
    pub health: HealthLimits,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("schema", &self.schema).field("sslmode", &self.sslmode).finish_non_exhaustive()
    }
}

/// `sslmode`. `prefer` and `allow` fall back to clear text and do not exist here (S4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SslMode {
    /// Clear text.
    Disable,
    /// Encrypted, the server's certificate unchecked.
    Require,
    /// Encrypted, certificate of a trusted authority.
    VerifyCa,
    /// And of this host.
    VerifyFull,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its name.
    pub name: SourceName,
    /// What it is.
    pub kind: SourceKind,
    /// `rescan` and `poll`.
    pub cadence: Cadence,
    /// Whether links inside its directory are followed.
    pub symlinks: Symlinks,
}

/// What a source is.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// `json_document`: one file.
    Document {
        /// The directory it stands in.
        dir: PathBuf,
        /// Its name there.
        file: PathBuf,
    },
    /// `json_lines`: files by glob.
    Lines {
        /// The directory without any glob.
        dir: PathBuf,
        /// Which files below it.
        pattern: Pattern,
        /// How a line is understood.
        format: LinesFormat,
    },
    /// `json_directory`: one record per file.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Which files below it.
        pattern: Pattern,
    },
    /// `sqlite`: tables of one database file.
    Sqlite {
        /// The directory it stands in.
        dir: PathBuf,
        /// Its name there.
        file: PathBuf,
        /// How changed rows are found.
        capture: SqliteCapture,
    },
    /// `mongodb`: collections of one database.
    Mongo {
        /// Where it is and how it is read.
        config: Box<MongoConfig>,
        /// How its collections are copied.
        pace: SnapshotPace,
    },
}

/// How a copy is read from a source that is in use meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotPace {
    /// Ranges read side by side.
    pub readers: NonZeroU16,
    /// Most records a second, over all readers; `None`: as fast as they come.
    pub rows_per_second: Option<u64>,
    /// The copy pauses while captured changes wait for longer than this.
    pub max_lag: Duration,
}

impl Default for SnapshotPace {
    fn default() -> Self {
        // Two readers keep one writer of the target busy and leave the source's cores to its product.
        Self { readers: NonZeroU16::MIN.saturating_add(1), rows_per_second: None, max_lag: Duration::from_secs(30) }
    }
}

impl SourceKind {
    /// Its word in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Document { .. } => "json_document",
            Self::Lines { .. } => "json_lines",
            Self::Directory { .. } => "json_directory",
            Self::Sqlite { .. } => "sqlite",
            Self::Mongo { .. } => "mongodb",
        }
    }

    /// The directory that is read, for files. Absolute, or relative to the working directory as the configuration file is.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Document { dir, .. }
            | Self::Lines { dir, .. }
            | Self::Directory { dir, .. }
            | Self::Sqlite { dir, .. } => Some(dir),
            Self::Mongo { .. } => None,
        }
    }

    /// What its records are made of.
    pub fn format(&self) -> RecordFormat {
        match self {
            Self::Document { .. } | Self::Lines { .. } | Self::Directory { .. } => RecordFormat::Json,
            Self::Mongo { .. } => RecordFormat::Bson,
            Self::Sqlite { .. } => RecordFormat::Sqlite,
        }
    }

    /// Whether its first revision, or its copy, is loaded in bulk. Lines may repeat a key, so theirs are ordinary changes.
    pub fn bulk(&self) -> BulkLoad {
        match self {
            Self::Document { .. } | Self::Directory { .. } | Self::Mongo { .. } | Self::Sqlite { .. } => {
                BulkLoad::Expected
            }
            Self::Lines { .. } => BulkLoad::None,
        }
    }
}

/// A declared foreign key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// Stream that refers.
    pub stream: StreamName,
    /// Its table, or one below it.
    pub from: Ident,
    /// Its column.
    pub column: Ident,
    /// Table referred to.
    pub table: Ident,
    /// Its key column.
    pub key: Ident,
}
