//! What is kept on disk of a replay into a schema: `STATE/into/SCHEMA`.
//!
//! `CONFIGURATION.json` is a configuration as it was written, named by its content; there are two of them around a swap, and which of them is
//! beside the live one is said by the mappings that the target has registered, never by the disk. `places.json` says where each stream began;
//! without it nothing was begun.

use crate::assemble::Target;
use crate::assemble::fingerprint;
use crate::config::reference::Surroundings;
use crate::config::{self, Pipeline};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::ident::Ident;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::stream::PartitionId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const PLACES: &str = "places.json";

/// A configuration as it was written. May hold a password, as the file does that it was.
#[derive(Serialize, Deserialize)]
pub(crate) struct Configuration {
    file: PathBuf,
    text: String,
}

/// Where the streams of a schema beside began.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The checkpoint whose base is loaded.
    pub(super) checkpoint: Option<String>,
    /// It was made for this and ends with it.
    pub(super) ours: bool,
    /// By name.
    pub(super) streams: BTreeMap<String, BegunStream>,
}

/// Where one began.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct BegunStream {
    /// Sequence that the rows of its base count as captured with; `None`: it has no base.
    pub(super) before: Option<u64>,
    /// First offset of each partition.
    places: Vec<(u16, u64)>,
}

impl BegunStream {
    pub(super) fn new(before: Option<Sequence>, places: &[(PartitionId, Offset)]) -> Self {
        let places = places.iter().map(|(partition, at)| (partition.0, at.0)).collect();
        Self { before: before.map(|sequence| sequence.0), places }
    }

    pub(super) fn places(&self) -> Vec<(PartitionId, Offset)> {
        self.places.iter().map(|(partition, at)| (PartitionId(*partition), Offset(*at))).collect()
    }
}

/// The pipeline beside `pipeline`, as the target knows it.
pub(crate) fn beside_name(pipeline: &str, schema: &Ident) -> String {
    format!("{pipeline}@{schema}")
}

/// The directory of a schema.
pub(crate) fn directory(state_dir: &Path, schema: &Ident) -> PathBuf {
    state_dir.join("into").join(schema.as_str())
}

/// Whether a schema is followed, or was.
pub(crate) fn is_begun(state_dir: &Path, schema: &Ident) -> bool {
    directory(state_dir, schema).join(PLACES).exists()
}

/// The schemas that are followed.
pub(super) fn all(state_dir: &Path) -> Vec<Ident> {
    let Ok(entries) = std::fs::read_dir(state_dir.join("into")) else { return Vec::new() };
    let named = entries.flatten().filter_map(|entry| Ident::new(entry.file_name().to_str()?).ok());
    let mut all: Vec<Ident> = named.filter(|schema| is_begun(state_dir, schema)).collect();
    all.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    all
}

/// Makes the directory of a schema, with a configuration and nothing else in it.
pub(crate) fn begin_directory(state_dir: &Path, schema: &Ident, pipeline: &Pipeline) -> Result<(), Failure> {
    forget(state_dir, schema)?;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory(state_dir, schema));
    made.map_err(|error| unusable(&error))?;
    Configuration::of(pipeline).keep(state_dir, schema)
}

/// Takes everything away that is kept of a schema.
pub(crate) fn forget(state_dir: &Path, schema: &Ident) -> Result<(), Failure> {
    match std::fs::remove_dir_all(directory(state_dir, schema)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&error)),
        _ => Ok(()),
    }
}

impl Configuration {
    /// The one that a pipeline was read from.
    pub(crate) fn of(pipeline: &Pipeline) -> Self {
        Self { file: pipeline.file.clone(), text: pipeline.text.reveal().to_owned() }
    }

    fn name(&self) -> String {
        format!("{:016x}.json", xxhash_rust::xxh3::xxh3_64(self.text.as_bytes()))
    }

    /// Keeps it beside those that are there.
    pub(crate) fn keep(&self, state_dir: &Path, schema: &Ident) -> Result<(), Failure> {
        write(&directory(state_dir, schema), &self.name(), self)
    }

    /// The pipeline it says, as one that runs by itself.
    fn pipeline(&self) -> Result<Pipeline, Failure> {
        let base = self.file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let variable = |name: &str| std::env::var(name).ok();
        let surroundings = Surroundings { base: base.to_path_buf(), variable: &variable };
        config::validate(&self.file, &self.text, &surroundings).map_err(|_| {
            let detail = "a configuration that is kept in the state directory cannot be read any more (a variable or a file it names \
                          may be gone); `landfall replay drop` ends what it is for";
            Failure::new(FailureClass::Halt, "configuration_kept", detail)
        })
    }
}

/// The configurations that are kept of a schema.
fn configurations(state_dir: &Path, schema: &Ident) -> Result<Vec<Configuration>, Failure> {
    let entries = std::fs::read_dir(directory(state_dir, schema)).map_err(|error| unusable(&error))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "json") && path.file_name().is_some_and(|name| name != PLACES)
    };
    paths.filter(is_one).map(|path| read(&path)).collect()
}

/// The one configuration of a schema that is not begun.
pub(super) fn only(state_dir: &Path, schema: &Ident) -> Result<Pipeline, Failure> {
    match configurations(state_dir, schema)?.as_slice() {
        [one] => one.pipeline(),
        _ => Err(unknown(schema)),
    }
}

/// The configuration whose mappings are registered for the schema: of two, the one that is beside. `streams` are those that there are.
pub(crate) async fn registered(state_dir: &Path, schema: &Ident, target: &Target) -> Result<Pipeline, Failure> {
    let registered = target.registered_mappings().await?;
    for configuration in configurations(state_dir, schema)? {
        let Ok(pipeline) = configuration.pipeline() else { continue };
        let whole = pipeline.with_streams(registered.keys().map(String::as_str));
        let moved = whole.into_schema(schema);
        let is_it = |(name, hash): (&String, &Vec<u8>)| {
            moved.stream(name).is_some_and(|stream| fingerprint::of(&stream).as_slice() == hash.as_slice())
        };
        if !registered.is_empty() && registered.iter().all(is_it) {
            return Ok(whole);
        }
    }
    let detail = format!(
        "the target has other mappings for schema {schema} than the state directory: `landfall replay drop {schema}` ends what is there"
    );
    Err(Failure::new(FailureClass::Halt, "mapping_changed", detail))
}

impl Begun {
    pub(super) fn keep(&self, state_dir: &Path, schema: &Ident) -> Result<(), Failure> {
        write(&directory(state_dir, schema), PLACES, self)
    }

    pub(super) fn of(state_dir: &Path, schema: &Ident) -> Result<Self, Failure> {
        read(&directory(state_dir, schema).join(PLACES))
    }
}

/// Whole or not at all, and durable.
fn write(directory: &Path, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let work = || {
        let beside = directory.join("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, directory.join(name))?;
        File::open(directory)?.sync_all()
    };
    work().map_err(|error: io::Error| unusable(&error))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unusable(&error))?;
    serde_json::from_slice(&bytes).map_err(|_| unusable(&io::ErrorKind::InvalidData.into()))
}

fn unusable(error: &io::Error) -> Failure {
    let detail = format!("what is kept of a replay in the state directory cannot be used: {}", error.kind());
    Failure::new(FailureClass::Halt, "state_dir_unusable", detail)
}

pub(super) fn unknown(schema: &Ident) -> Failure {
    Failure::new(
        FailureClass::Halt,
        "unknown_schema",
        format!("nothing is replayed into schema {schema}: `landfall status`"),
    )
}
