//! A source of kind `mongodb`, and how the copy of its collections is paced.

use super::permission::{self, Warning};
use super::pipeline::{SnapshotPace, SourceKind};
use super::reference::resolve;
use super::section::{Reading, Section, shown};
use super::tree::Node;
use landfall_connectors::mongodb::{Capture, MongoConfig, ReadFrom, SecretUri, client};
use landfall_schemas::mapping::Select;
use std::num::NonZeroU16;
use std::time::Duration;

/// More readers than this take the server's cores from the product it serves.
const MOST_READERS: u64 = 16;
/// A rate beyond every server.
const MOST_ROWS: u64 = 100_000_000;
/// Shorter, and every hiccup of the target would stop the copy.
const LEAST_LAG: Duration = Duration::from_secs(1);
/// Longer, and the limit would protect nothing.
const MOST_LAG: Duration = Duration::from_secs(86_400);
/// Longest name of a database and of a collection that servers take.
const DATABASE_BYTES: usize = 63;
const COLLECTION_BYTES: usize = 255;

/// Reads a source. `pipeline` is the name that the server will show.
pub fn mongo(
    section: &mut Section<'_>,
    pipeline: &str,
    secrets: &mut Vec<Warning>,
    reading: &mut Reading<'_>,
) -> Option<SourceKind> {
    let uri =
        section.need("uri", "uri: \"${MONGODB_URI}\"", reading).and_then(|node| uri(node, section, secrets, reading));
    let database = section.need("database", "database: app", reading).and_then(|node| database(node, reading));
    let capture = section.get("capture").map_or(Some(Capture::Lookup), |node| {
        reading.choice(node, "capture", &[("lookup", Capture::Lookup), ("images", Capture::Images)])
    });
    let read_from = section.get("read_preference").map(|node| read_preference(node, reading));
    let tls = section.get("tls").map(|node| tls(node, reading));
    let pace = section.get("snapshot").map_or(Some(SnapshotPace::default()), |node| pace(node, reading));
    for (key, why) in
        [("rescan", "its changes are pushed"), ("poll", "its changes are pushed"), ("path", "it has no files")]
    {
        if section.get(key).is_some() {
            let at = section.key_place(key);
            reading.problems.add(at, format!("a mongodb source has no `{key}`: {why}"), format!("no `{key}`"));
        }
    }
    let read_from = match read_from {
        None => None,
        Some(word) => Some(word?),
    };
    let ca_file = match tls {
        None => None,
        Some(file) => file?,
    };
    let config = MongoConfig { capture: capture?, read_from, ca_file, ..MongoConfig::new(uri?, &database?, pipeline) };
    Some(SourceKind::Mongo { config: Box::new(config), pace: pace? })
}

fn uri(node: &Node, section: &Section<'_>, secrets: &mut Vec<Warning>, reading: &mut Reading<'_>) -> Option<SecretUri> {
    let key = format!("{}.uri", section.path);
    let text = reading.secret(node, &key)?;
    let uri = SecretUri::new(text.value.reveal().to_owned());
    if let Some(why) = client::fault_of(&uri) {
        reading.problems.add_note(text.at, format!("{key} cannot be used: {why}"));
        return None;
    }
    if permission::holds_password(node) {
        secrets.push(Warning::InlinePassword { at: text.at, key });
    }
    Some(uri)
}

fn database(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let name = reading.text(node, "database")?;
    if ["admin", "local", "config"].contains(&name.value.as_str()) {
        let what = format!("the database {} is MongoDB's own and has no change stream", name.value);
        reading.problems.add(name.at, what, "the database of your product");
        return None;
    }
    if name.value.len() > DATABASE_BYTES || name.value.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        let what = format!("`{}` is not a name for a MongoDB database", shown(&name.value));
        reading.problems.add(name.at, what, "its name alone, without the collection");
        return None;
    }
    Some(name.value)
}

fn read_preference(node: &Node, reading: &mut Reading<'_>) -> Option<ReadFrom> {
    let words = [
        ("primary", ReadFrom::Primary),
        ("primaryPreferred", ReadFrom::PrimaryPreferred),
        ("secondary", ReadFrom::Secondary),
        ("secondaryPreferred", ReadFrom::SecondaryPreferred),
        ("nearest", ReadFrom::Nearest),
    ];
    reading.choice(node, "read_preference", &words)
}

fn tls(node: &Node, reading: &mut Reading<'_>) -> Option<Option<std::path::PathBuf>> {
    let mut section = Section::open(node, "tls", reading)?;
    let file = section.need("ca_file", "ca_file: ca.pem", reading).and_then(|node| reading.text(node, "tls.ca_file"));
    section.close(reading);
    Some(Some(resolve(&file?.value, &reading.surroundings.base)))
}

fn pace(node: &Node, reading: &mut Reading<'_>) -> Option<SnapshotPace> {
    let standard = SnapshotPace::default();
    let mut section = Section::open(node, "snapshot", reading)?;
    let readers = section.get("readers").map_or(Some(u64::from(standard.readers.get())), |node| {
        reading.number(node, "snapshot.readers", 1..=MOST_READERS)
    });
    let rows = section.get("rows_per_second").map(|node| reading.number(node, "rows_per_second", 1..=MOST_ROWS));
    let max_lag = section
        .get("max_lag")
        .map_or(Some(standard.max_lag), |node| reading.duration(node, "snapshot.max_lag", LEAST_LAG..=MOST_LAG));
    section.close(reading);
    let rows_per_second = match rows {
        None => None,
        Some(rows) => Some(rows?),
    };
    Some(SnapshotPace { readers: NonZeroU16::new(u16::try_from(readers?).ok()?)?, rows_per_second, max_lag: max_lag? })
}

/// `select` of a stream of a MongoDB source: the name of a collection, or a pattern of names; left out: the stream's name.
pub fn collection(node: Option<&Node>, stream: &super::tree::Entry, reading: &mut Reading<'_>) -> Option<Select> {
    let (name, at) = match node {
        None => (stream.key.clone(), stream.at),
        Some(node) => {
            let text = reading.text(node, "select")?;
            (text.value, text.at)
        }
    };
    let refused = if name.starts_with('/') {
        Some(("select of a mongodb stream is a collection, not a JSON pointer", shown(name.trim_start_matches('/'))))
    } else if name.starts_with('*') {
        Some((
            "a pattern begins with what all its collections begin with: names that come from data stay inside a prefix",
            "a pattern like `logs_*`".to_owned(),
        ))
    } else if name.contains('*') && name.split('*').next().is_some_and(|prefix| prefix.contains('.')) {
        Some(("tables are named as collections, and a table has no dot in its name", "a stream for each".to_owned()))
    } else if name.contains('?') {
        Some(("`*` is the only wildcard in the name of a collection", "`*`, or a stream for each".to_owned()))
    } else if name.starts_with("system.") {
        Some(("collections that begin with system. are MongoDB's own", "a collection of your product".to_owned()))
    } else if name.len() > COLLECTION_BYTES
        || name.contains(['$', '\0'])
        || name.starts_with('.')
        || name.ends_with('.')
    {
        Some(("this is not a name for a collection", "`select: NAME`".to_owned()))
    } else {
        None
    };
    match refused {
        None => Some(Select::Collection(name)),
        Some((what, instead)) => {
            reading.problems.add(at, what, instead);
            None
        }
    }
}
