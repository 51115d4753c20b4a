//! Records of a store to look at: all of a small one; of a large one some from everywhere, the largest, the oldest and the newest.

mod directory;
mod document;
mod lines;
mod mongo;
mod sqlite;

use super::StreamKey;
use super::profile::Profile;
use landfall_connectors::failure::Failure;
use landfall_connectors::files::root::{OpenError, Root, Symlinks};
use landfall_connectors::mongodb::SecretUri;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Bytes of a store that are looked at whole; of larger ones about as many.
const MOST_BYTES: u64 = 256 << 20;

/// A store as it was named.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file, a directory, or a glob of lines.
    Path(PathBuf),
    /// A database of MongoDB.
    Mongo(SecretUri),
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Mongo(_) => f.write_str("the MongoDB database"),
        }
    }
}

/// Why a store cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// It is no store that we know.
    #[error("{store}: {what}")]
    Unusable {
        /// Which.
        store: String,
        /// Why, and what to do.
        what: String,
    },
    /// The server says no.
    #[error("{0}")]
    Failed(Failure),
}

impl SampleError {
    fn unusable(store: &Path, what: impl Into<String>) -> Self {
        Self::Unusable { store: store.display().to_string(), what: what.into() }
    }
}

/// What was seen of a store.
pub(super) struct Sampled {
    /// What it may be called.
    pub(super) name: String,
    /// The source's fields, as YAML between braces.
    pub(super) fields: String,
    pub(super) streams: Vec<Seen>,
    pub(super) notes: Vec<String>,
}

/// What was seen of one stream.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) select: Option<String>,
    pub(super) key: StreamKey,
    /// Where the key stands in a record, which is no column then.
    pub(super) key_field: Option<String>,
    pub(super) profile: Profile,
    /// NULL means null without a word: rows of a table.
    pub(super) nulls_are_null: bool,
    /// Every record was looked at.
    pub(super) all: bool,
    /// Records that are no JSON, or no objects.
    pub(super) odd: u64,
}

/// Looks at a store.
pub(super) async fn look(store: &Store, base: &Path) -> Result<Sampled, SampleError> {
    let path = match store {
        Store::Mongo(uri) => return mongo::look(uri).await,
        Store::Path(path) => path,
    };
    if path.to_string_lossy().contains(['*', '?', '[']) {
        return lines::look(path, base);
    }
    let kind = std::fs::metadata(path).map_err(|error| SampleError::unusable(path, format!("{}", error.kind())))?;
    if kind.is_dir() {
        return directory::look(path, base);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let lines = [".ndjson", ".jsonl", ".log", ".ndjson.gz", ".jsonl.gz"];
    if lines.iter().any(|end| name.ends_with(end)) {
        return lines::look(path, base);
    }
    let ends = [".db", ".sqlite", ".sqlite3", ".db3"];
    if ends.iter().any(|end| name.ends_with(end)) || sqlite::is_one(path) {
        return sqlite::look(path, base);
    }
    document::look(path, base)
}

/// Opens a directory for looking.
fn root(dir: &Path) -> Result<Root, SampleError> {
    Root::open(dir, Symlinks::Refuse).map_err(|error| SampleError::unusable(dir, error.to_string()))
}

/// Opens a file beneath it.
fn open(root: &Root, file: &Path) -> Result<(File, u64), SampleError> {
    let opened = root.open_file(file).map_err(|error| {
        let what = match error {
            OpenError::Missing => "it is not there".to_owned(),
            OpenError::Skipped(reason) => format!("it is not read: {}", reason.name()),
            OpenError::Unreadable(errno) => format!("it cannot be read: {errno}"),
        };
        SampleError::unusable(&root.path().join(file), what)
    })?;
    Ok((opened.0, opened.1.size))
}

/// The directory of a path, and what it is called there.
fn split(path: &Path) -> (PathBuf, PathBuf) {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (dir.to_path_buf(), PathBuf::from(path.file_name().unwrap_or_default()))
}

/// A path as a configuration in `base` names it.
fn relative(path: &Path, base: &Path) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (path, base) = (whole(path), whole(base));
    match path.strip_prefix(&base) {
        Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
        Ok(inside) => inside.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// The name of a store without what says its kind.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').find(|part| !part.is_empty()).unwrap_or("store").to_owned()
}
