//! Files of lines, one record each.

use super::{MOST_BYTES, SampleError, Sampled, Seen, open, relative, root, stem};
use crate::infer::StreamKey;
use crate::infer::candidate::Candidates;
use crate::infer::profile::{Profile, Scratch};
use crate::infer::propose;
use crate::infer::siblings::looks_like_a_key;
use crate::infer::yaml::text;
use landfall_connectors::files::pattern::Pattern;
use landfall_schemas::json::{Kind, MAX_RECORD_BYTES, StorableCheck};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Pieces of a large file that are looked at, evenly spread, its beginning and its end among them.
const PIECES: u64 = 32;

pub(super) fn look(path: &Path, base: &Path) -> Result<Sampled, SampleError> {
    let unusable = |what: String| SampleError::unusable(path, what);
    let (dir, pattern) = Pattern::split(&path.to_string_lossy()).map_err(|error| unusable(error.to_string()))?;
    let root = root(&dir)?;
    let listed = root.list(pattern.depth(), &mut |path| pattern.matches(path));
    let files = listed.map_err(|error| unusable(error.errno.to_string()))?.files;
    let packed = |path: &Path| path.extension().is_some_and(|extension| extension == "gz");
    let plain: Vec<_> = files.iter().filter(|file| !packed(&file.path)).collect();
    let mut notes = Vec::new();
    if plain.len() < files.len() {
        notes.push(format!(
            "{}: {} packed files are read by the service and were not looked at",
            path.display(),
            files.len() - plain.len()
        ));
    }
    let total: u64 = plain.iter().map(|file| file.stat.size).sum();
    let mut seen = Lines::default();
    for file in &plain {
        let (handle, size) = open(&root, &file.path)?;
        let share =
            if total <= MOST_BYTES { size } else { (size as u128 * u128::from(MOST_BYTES) / u128::from(total)) as u64 };
        seen.file(handle, size, share.max(1 << 20)).map_err(|error| unusable(error.kind().to_string()))?;
    }
    let key = seen.key();
    let key_field = key.field();
    let name = stem(path).trim_matches('*').to_owned();
    let name = if name.is_empty() { stem(&std::path::absolute(&dir).unwrap_or(dir)) } else { name };
    let streams = if seen.profile.objects == 0 {
        Vec::new()
    } else {
        vec![Seen {
            name: name.clone(),
            select: None,
            key,
            key_field,
            profile: seen.profile,
            nulls_are_null: false,
            all: total <= MOST_BYTES,
            odd: seen.odd,
        }]
    };
    let fields = format!("kind: json_lines, path: {}", text(&relative(path, base)));
    Ok(Sampled { name, fields, streams, notes })
}

/// What was seen of all lines.
struct Lines {
    profile: Profile,
    odd: u64,
    check: StorableCheck,
    scratch: Scratch,
}

impl Default for Lines {
    fn default() -> Self {
        let (check, scratch) = (StorableCheck::default(), Scratch::default());
        Self { profile: Profile::new(Candidates::json()), odd: 0, check, scratch }
    }
}

impl Lines {
    /// Looks at about `share` bytes of a file.
    fn file(&mut self, mut file: File, size: u64, share: u64) -> std::io::Result<()> {
        if share >= size {
            return self.piece(BufReader::new(file), u64::MAX);
        }
        let piece = share / PIECES;
        for number in 0..PIECES {
            let from = (size - piece) / (PIECES - 1) * number;
            file.seek(SeekFrom::Start(from))?;
            let mut reader = BufReader::new(&mut file);
            if from > 0 {
                // The rest of a line whose beginning lies before.
                skip_line(&mut reader)?;
            }
            self.piece(reader, piece)?;
        }
        Ok(())
    }

    fn piece(&mut self, mut reader: impl BufRead, most: u64) -> std::io::Result<()> {
        let (mut line, mut read) = (Vec::new(), 0);
        while read < most {
            line.clear();
            let took = (&mut reader).take(MAX_RECORD_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
            if took == 0 {
                break;
            }
            read += took as u64;
            if line.last() != Some(&b'\n') && took > MAX_RECORD_BYTES {
                self.odd += 1;
                skip_line(&mut reader)?;
                continue;
            }
            // Without its end it may still be being written.
            let Some(whole) = line.strip_suffix(b"\n") else { break };
            let text = whole.strip_prefix(b"\xef\xbb\xbf").unwrap_or(whole).trim_ascii();
            if text.is_empty() {
                continue;
            }
            let is_object = text.first().and_then(|first| Kind::of(*first)) == Some(Kind::Object);
            if is_object && self.check.check_structure(text).is_ok() {
                self.profile.add_json(text, &mut self.scratch);
            } else {
                self.odd += 1;
            }
        }
        Ok(())
    }

    /// A field that is called as keys are and stands in every line: a later line with the same value is a newer state. Else lines are
    /// told apart by where they stand.
    fn key(&self) -> StreamKey {
        let whole = |name: &str| {
            self.profile.field(name).filter(|field| {
                field.scalars == field.seen && field.seen == self.profile.objects && propose::key_type(field).is_some()
            })
        };
        let named = ["id", "_id", "uuid", "key"].iter().find_map(|name| Some((*name, whole(name)?)));
        let unique = propose::key(&self.profile).filter(|key| looks_like_a_key(&key.field));
        match (named, unique) {
            (Some((name, field)), _) => {
                let key = propose::key_of(name, field);
                StreamKey::Of { from: Some(key.field), ty: key.ty, column: key.column }
            }
            (None, Some(key)) => StreamKey::Of { from: Some(key.field), ty: key.ty, column: key.column },
            (None, None) => StreamKey::Position,
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (length, ended) = match memchr::memchr(b'\n', buffer) {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if ended {
            return Ok(());
        }
    }
}
