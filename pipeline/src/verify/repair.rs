//! Repair: the keys of records that differ, handed to the capture of a running service, which captures them once more.
//!
//! The keys are put into a file of the state directory, since they may be many, and the service is told of it; it reads the file, and what
//! becomes of the records comes in order with everything else that is captured. Nothing is written to the target from here.
//!
//! ```text
//! STATE/verify/STREAM.repair = (length u32 | encoded key)*
//! ```

use super::fingerprint::{KeptKey, field_at};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::pgtype::PgType;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is done about differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repair {
    /// Nothing.
    #[default]
    No,
    /// Only said what would be done.
    DryRun,
    /// Records that differ are captured again; those that the source lacks are deleted.
    Yes,
}

/// Most bytes of a file of keys: a hundred thousand of the longest.
const MOST_BYTES: u64 = 128 << 20;

/// Where the keys of a stream stand.
fn file(state_dir: &Path, stream: &str) -> PathBuf {
    state_dir.join("verify").join(format!("{stream}.repair"))
}

/// Writes the keys for the service to find.
pub(super) fn put(state_dir: &Path, stream: &str, keys: &[Vec<u8>]) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let path = file(state_dir, stream);
        let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut bytes = Vec::new();
        for key in keys {
            bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
            bytes.extend_from_slice(key);
        }
        out.write_all(&bytes)
    };
    write().map_err(|error| super::spill::disk(&error))
}

/// Takes the keys that were put there; the file is gone then.
pub(crate) fn take(state_dir: &Path, stream: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let path = file(state_dir, stream);
    let unreadable = || {
        let detail = "the keys of a repair cannot be read from the state directory";
        Failure::new(FailureClass::Halt, "repair_unreadable", detail)
    };
    let size = fs::metadata(&path).map_err(|_| unreadable())?.len();
    if size > MOST_BYTES {
        return Err(unreadable());
    }
    let bytes = fs::read(&path).map_err(|_| unreadable())?;
    let (mut keys, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (key, after) = after.split_at_checked(length).ok_or_else(unreadable)?;
        keys.push(key.to_vec());
        rest = after;
    }
    let _ = fs::remove_file(&path);
    Ok(keys)
}

/// The encoded key of a record that only the target has; `None` where the column does not give back how the source wrote it.
pub(super) fn encoded(stream: &StreamMapping, key: &KeptKey) -> Option<Vec<u8>> {
    let field = match key {
        KeptKey::Encoded(key) => return Some(key.to_vec()),
        KeptKey::Field(field) => field_at(field, 0).0?,
    };
    let mut key = RecordKey::default();
    let text = || std::str::from_utf8(field).ok();
    let number = match (stream.key.ty, field.len()) {
        (None, _) => return Some(field.to_vec()),
        (Some(PgType::Text), _) => {
            key.string(text()?);
            return Some(key.as_bytes().to_vec());
        }
        (Some(PgType::ObjectId), _) if stream.format == RecordFormat::Json => {
            key.string(text()?);
            return Some(key.as_bytes().to_vec());
        }
        (Some(PgType::ObjectId), _) => return Some([b"o:", field].concat()),
        (Some(PgType::Int2), 2) => i64::from(i16::from_be_bytes(field.try_into().ok()?)),
        (Some(PgType::Int4), 4) => i64::from(i32::from_be_bytes(field.try_into().ok()?)),
        (Some(PgType::Int8), 8) => i64::from_be_bytes(field.try_into().ok()?),
        _ => return None,
    };
    key.set_json(number.to_string().as_bytes()).ok()?;
    Some(key.as_bytes().to_vec())
}
