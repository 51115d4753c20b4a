//! `name`, `target`, `state` and `queue`.

use super::health;
use super::permission;
use super::pipeline::{SslMode, Target};
use super::reference::resolve;
use super::section::{Reading, Section};
use super::tree::Node;
use crate::queue::Retention;
use landfall_schemas::ident::Ident;
use landfall_schemas::stream::StreamName;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// Beyond this a target is slowed by its clients, not helped.
const MAX_CONNECTIONS: u64 = 64;
/// Smallest queue: a few segments, so that trimming has something to drop.
const MIN_QUEUE_BYTES: u64 = 64 << 20;

/// `name`.
pub fn name(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let node = root.need("name", "name: my-pipeline", reading)?;
    let name = reading.text(node, "the pipeline's name")?;
    if StreamName::new(&name.value).is_err() {
        let advice = "1 to 63 characters of A-Z a-z 0-9 _ . - starting with a letter or _";
        reading.problems.add(name.at, "this is not a name for a pipeline", advice);
        return None;
    }
    Some(name.value)
}

/// `target`.
pub fn target(
    root: &mut Section<'_>,
    reading: &mut Reading<'_>,
    warnings: &mut Vec<permission::Warning>,
) -> Option<Target> {
    let node = root.need("target", "target: { url: \"${DATABASE_URL}\" }", reading)?;
    let mut section = Section::open(node, "target", reading)?;
    let url = section.need("url", "url: \"${DATABASE_URL}\"", reading).and_then(|node| url(node, reading, warnings));
    let schema = schema(&mut section, reading);
    let max_connections = section
        .get("max_connections")
        .map_or(Some(4), |node| reading.number(node, "max_connections", 1..=MAX_CONNECTIONS));
    let sslmode = section.get("sslmode").map(|node| sslmode(node, reading));
    let root_cert = section.get("root_cert").map(|node| reading.text(node, "root_cert"));
    let timeout = |node: Option<&Node>, what: &str, default: u64, reading: &mut Reading<'_>| match node {
        Some(node) => reading.duration(node, what, SECOND / 10..=DAY),
        None => Some(SECOND * u32::try_from(default).unwrap_or(1)),
    };
    let statement_timeout = timeout(section.get("statement_timeout"), "statement_timeout", 60, reading);
    let lock_timeout = timeout(section.get("lock_timeout"), "lock_timeout", 10, reading);
    let health = health::health(section.get("health"), reading);
    said_twice(&section, url.as_ref(), reading);
    let unsafe_commit = section
        .get("synchronous_commit_off_allowed")
        .map_or(Some(false), |node| reading.flag(node, "synchronous_commit_off_allowed"));
    section.close(reading);
    Some(Target {
        url: url?,
        schema: schema?,
        max_connections: NonZeroU16::new(u16::try_from(max_connections?).ok()?)?,
        sslmode: flatten(sslmode)?,
        root_cert: flatten(root_cert)?.map(|path| resolve(&path.value, &reading.surroundings.base)),
        statement_timeout: statement_timeout?,
        lock_timeout: lock_timeout?,
        synchronous_commit_off_allowed: unsafe_commit?,
        health: health?,
    })
}

/// TLS settings of the URL and of the file would contradict each other without a word.
fn said_twice(section: &Section<'_>, url: Option<&super::Secret>, reading: &mut Reading<'_>) {
    for (key, parameter) in [("sslmode", "sslmode="), ("root_cert", "sslrootcert=")] {
        if section.has(key) && url.is_some_and(|url| url.reveal().contains(parameter)) {
            let at = section.key_place(key);
            reading.problems.add(at, format!("{key} stands here and in the URL"), "it in one of the two places");
        }
    }
}

/// Absent is fine, present and wrong is not.
fn flatten<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn url(node: &Node, reading: &mut Reading<'_>, warnings: &mut Vec<permission::Warning>) -> Option<super::Secret> {
    let url = reading.secret(node, "target.url")?;
    let text = url.value.reveal();
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        let advice = "`postgres://user@host:5432/database`, best by way of `\"${DATABASE_URL}\"`";
        reading.problems.add(url.at, "target.url is not a PostgreSQL URL", advice);
        return None;
    }
    if permission::holds_password(node) {
        warnings.push(permission::Warning::InlinePassword { at: url.at, key: "target.url".to_owned() });
    }
    Some(url.value)
}

fn schema(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Ident> {
    let Some(node) = section.get("schema") else {
        return Ident::new("public").ok();
    };
    let text = reading.text(node, "target.schema")?;
    if text.value == "landfall" || text.value == "information_schema" || text.value.starts_with("pg_") {
        let what = format!("the schema {} is not for tables of yours", text.value);
        reading.problems.add(text.at, what, "another schema, like `public`");
        return None;
    }
    let ident = Ident::new(&text.value);
    ident.map_err(|error| reading.problems.add(text.at, format!("not a schema: {error}"), "another name")).ok()
}

fn sslmode(node: &Node, reading: &mut Reading<'_>) -> Option<SslMode> {
    let word = reading.text(node, "sslmode")?;
    match word.value.as_str() {
        "disable" => Some(SslMode::Disable),
        "require" => Some(SslMode::Require),
        "verify-ca" => Some(SslMode::VerifyCa),
        "verify-full" => Some(SslMode::VerifyFull),
        "prefer" | "allow" => {
            let what = format!("sslmode {} falls back to clear text without a word", word.value);
            reading.problems.add(word.at, what, "`verify-full`, or `disable` where clear text is meant");
            None
        }
        _ => {
            reading.problems.add(word.at, "unknown sslmode", "disable, require, verify-ca or verify-full");
            None
        }
    }
}

/// `state`.
pub fn state_dir(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let default = || Some(resolve(".landfall", &reading.surroundings.base));
    let Some(node) = root.get("state") else {
        return default();
    };
    let mut section = Section::open(node, "state", reading)?;
    let dir = section.need("dir", "dir: ./.landfall", reading).and_then(|node| reading.text(node, "state.dir"));
    section.close(reading);
    Some(resolve(&dir?.value, &reading.surroundings.base))
}

/// `queue`.
pub fn queue(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Retention> {
    let standard = standard_retention();
    let Some(node) = root.get("queue") else {
        return Some(standard);
    };
    let mut section = Section::open(node, "queue", reading)?;
    if let Some(kind) = section.get("kind").and_then(|node| reading.text(node, "queue.kind")) {
        match kind.value.as_str() {
            "embedded" => {}
            "kafka" => {
                section.get("brokers");
                reading.problems.add(kind.at, "the kafka queue is not in this version of landfall", "`embedded`");
            }
            other => {
                reading.problems.add(kind.at, "unknown kind of queue", super::section::advice(other, &["embedded"]));
            }
        }
    }
    let max_bytes = section
        .get("max_bytes")
        .map_or(Some(standard.max_bytes), |node| reading.size(node, "queue.max_bytes", MIN_QUEUE_BYTES));
    let max_at = section.key_place("max_bytes");
    let disk_reserve = match section.get("disk_reserve") {
        Some(node) => reading.size(node, "queue.disk_reserve", 0).map(Some),
        None => Some(None),
    };
    // What is not written fits into what is.
    let most_retained = standard.bytes.min(max_bytes.unwrap_or(u64::MAX));
    let retention = match section.get("retention") {
        Some(node) => retention(node, most_retained, reading),
        None => Some(Retention { bytes: most_retained, ..standard }),
    };
    section.close(reading);
    let (retention, max_bytes, disk_reserve) = (retention?, max_bytes?, disk_reserve?);
    if retention.bytes > max_bytes {
        let what =
            "queue.max_bytes is less than queue.retention.bytes, so that applied events alone would fill the queue";
        reading.problems.add(max_at, what, "a larger `max_bytes`, or a smaller `retention.bytes`");
        return None;
    }
    Some(Retention { max_bytes, disk_reserve, ..retention })
}

fn standard_retention() -> Retention {
    Retention { age: DAY * 7, bytes: 10 << 30, floor: SECOND * 3_600, max_bytes: 50 << 30, disk_reserve: None }
}

fn retention(node: &Node, most: u64, reading: &mut Reading<'_>) -> Option<Retention> {
    let standard = standard_retention();
    let mut section = Section::open(node, "queue.retention", reading)?;
    let bytes = section.get("bytes").map_or(Some(most), |node| reading.size(node, "retention.bytes", 0));
    let age = section
        .get("age")
        .map_or(Some(standard.age), |node| reading.duration(node, "retention.age", Duration::ZERO..=DAY * 3_650));
    let floor = section
        .get("floor")
        .map_or(Some(standard.floor), |node| reading.duration(node, "retention.floor", Duration::ZERO..=DAY * 3_650));
    let floor_at = section.key_place("floor");
    section.close(reading);
    let (bytes, age, floor) = (bytes?, age?, floor?);
    if floor > age {
        let what = "retention.floor is longer than retention.age";
        reading.problems.add(floor_at, what, "a floor below the age (the floor is what stays in any case)");
        return None;
    }
    Some(Retention { age, bytes, floor, ..standard })
}
