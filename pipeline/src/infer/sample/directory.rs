//! A directory of files, one record each.

use super::{MOST_BYTES, SampleError, Sampled, Seen, open, relative, root, stem};
use crate::infer::StreamKey;
use crate::infer::candidate::Candidates;
use crate::infer::profile::{Profile, Scratch};
use crate::infer::yaml::text;
use landfall_connectors::files::pattern::Pattern;
use landfall_connectors::files::root::{Listed, Root};
use landfall_schemas::json::{Kind, MAX_RECORD_BYTES, StorableCheck};
use landfall_schemas::pgtype::PgType;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// Files that are looked at, all of fewer.
const MOST_FILES: usize = 50_000;
/// Of each extreme: the largest, the oldest, the newest.
const AT_EACH_END: usize = 1_000;
const GLOB: &str = "**/*.json";

pub(super) fn look(dir: &Path, base: &Path) -> Result<Sampled, SampleError> {
    let root = root(dir)?;
    let json = list(&root, GLOB)?;
    if json.is_empty() && !list(&root, "*.{ndjson,jsonl}")?.is_empty() {
        return super::lines::look(&dir.join("*.{ndjson,jsonl}"), base);
    }
    let chosen = chosen(&json);
    let all = chosen.len() == json.len();
    let (mut profile, mut odd) = (Profile::new(Candidates::json()), 0);
    let (mut check, mut scratch, mut bytes) = (StorableCheck::default(), Scratch::default(), Vec::new());
    for file in chosen {
        bytes.clear();
        // What went away since the listing is not there to be looked at.
        let Ok((handle, _)) = open(&root, &json[file].path) else { continue };
        let read = handle.take(MAX_RECORD_BYTES as u64 + 1).read_to_end(&mut bytes);
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
        let is_object = text.first().and_then(|first| Kind::of(*first)) == Some(Kind::Object);
        if read.is_ok() && is_object && check.check_structure(text).is_ok() {
            profile.add_json(text, &mut scratch);
        } else {
            odd += 1;
        }
    }
    let column = if profile.field("file").is_some() { "path" } else { "file" };
    let key = StreamKey::Of { from: None, ty: Some(PgType::Text), column: column.to_owned() };
    let name = stem(&std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf()));
    let streams = if profile.objects == 0 {
        Vec::new()
    } else {
        vec![Seen { name: name.clone(), select: None, key, key_field: None, profile, nulls_are_null: false, all, odd }]
    };
    let fields = format!("kind: json_directory, path: {}, glob: {}", text(&relative(dir, base)), text(GLOB));
    Ok(Sampled { name, fields, streams, notes: Vec::new() })
}

fn list(root: &Root, glob: &str) -> Result<Vec<Listed>, SampleError> {
    let pattern = Pattern::new(glob).map_err(|error| SampleError::unusable(root.path(), error.to_string()))?;
    let listed = root.list(pattern.depth(), &mut |path| pattern.matches(path));
    let listing = listed.map_err(|error| SampleError::unusable(root.path(), error.errno.to_string()))?;
    Ok(listing.files)
}

/// Numbers of the files to look at: by size, by age, and evenly over all of them.
fn chosen(files: &[Listed]) -> BTreeSet<usize> {
    let bytes: u64 = files.iter().map(|file| file.stat.size).sum();
    if files.len() <= MOST_FILES && bytes <= MOST_BYTES {
        return (0..files.len()).collect();
    }
    let most = MOST_FILES.min((MOST_BYTES / (bytes / files.len() as u64).max(1)) as usize).max(3 * AT_EACH_END);
    let step = files.len().div_ceil(most).max(1);
    let mut chosen: BTreeSet<usize> = (0..files.len()).step_by(step).collect();
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(files[*at].stat.size));
    chosen.extend(order.iter().take(AT_EACH_END));
    order.sort_by_key(|at| files[*at].stat.mtime_ns);
    chosen.extend(order.iter().take(AT_EACH_END));
    chosen.extend(order.iter().rev().take(AT_EACH_END));
    chosen
}
