//! Of many lines the last one of each key, for a base.
//!
//! Lines come file by file, and of a key that stands in several the last one is told by the moments alone. So they are dealt out by the hash of
//! their key into [`PARTS`] files, and each part is looked through twice: for which lines stand, then for those lines. Memory holds the keys of one
//! part, and no record but the one at hand. Where no moment is the last, and the lines do not say the same, the key is a reject of its own.

use super::snapshot::Reading;
use super::write::BaseFile;
use super::{damaged, unusable};
use landfall_connectors::failure::Failure;
use landfall_connectors::reread::Said;
use landfall_connectors::retrace::Moment;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::rejection::RejectCode;
use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Files that lines are dealt out into.
const PARTS: usize = 64;
/// What stands in front of a line's record: its moment, and what it says.
const FRONT: usize = Moment::BYTES + 2;
/// A line that says a record.
const RECORD: u16 = 0;
/// A line that says a deletion; no reject has this number.
const DELETED: u16 = u16::MAX;

/// Lines that are dealt out.
pub(super) struct LastLines {
    directory: PathBuf,
    parts: Vec<BaseFile>,
    scratch: Vec<u8>,
}

/// A line that may be the last of its key.
struct Standing {
    moment: Moment,
    /// Its number in its part.
    number: u64,
    /// Of all it says.
    hash: u64,
}

impl LastLines {
    /// In a directory of its own.
    pub(super) fn create(directory: PathBuf) -> Result<Self, Failure> {
        std::fs::DirBuilder::new().mode(0o700).create(&directory).map_err(|error| unusable(&error))?;
        let parts = (0..PARTS).map(|part| BaseFile::create(&path(&directory, part))).collect::<Result<_, _>>()?;
        Ok(Self { directory, parts, scratch: Vec::new() })
    }

    /// Forgets what was added.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        self.parts.iter_mut().try_for_each(BaseFile::restart)
    }

    pub(super) fn add(&mut self, key: &[u8], said: Said<'_>, moment: &Moment) -> Result<(), Failure> {
        let (word, record) = match said {
            Said::Record(record) => (RECORD, record),
            Said::Deleted | Said::Unreadable => (DELETED, &[][..]),
            Said::Rejected(code) => (code as u16, &[][..]),
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(&moment.encode());
        self.scratch.extend_from_slice(&word.to_le_bytes());
        self.scratch.extend_from_slice(record);
        let part = (KeyHash::of(key).0 % PARTS as u128) as usize;
        self.parts[part].add(key, Ok(&self.scratch))
    }

    /// Writes what stands under each key, and takes the parts away.
    pub(super) fn finish(self, into: &mut BaseFile) -> Result<(), Failure> {
        for (part, file) in self.parts.into_iter().enumerate() {
            file.finish()?;
            let path = path(&self.directory, part);
            pick(&path, &standing(&path)?, into)?;
            std::fs::remove_file(&path).map_err(|error| unusable(&error))?;
        }
        std::fs::remove_dir(&self.directory).map_err(|error| unusable(&error))
    }
}

fn path(directory: &Path, part: usize) -> PathBuf {
    directory.join(format!("{part:02}"))
}

/// The lines of each key that no other one is behind.
fn standing(path: &Path) -> Result<HashMap<KeyHash, Vec<Standing>>, Failure> {
    let mut keys: HashMap<KeyHash, Vec<Standing>> = HashMap::new();
    each(path, |number, key, line| {
        let (moment, hash) = (moment(line)?, xxh3_64(&line[Moment::BYTES..]));
        let standing = keys.entry(KeyHash::of(key)).or_default();
        // The same line met again has the same moment.
        standing.retain(|one| !one.moment.is_before(&moment) && one.moment != moment);
        if !standing.iter().any(|one| moment.is_before(&one.moment)) {
            standing.push(Standing { moment, number, hash });
        }
        Ok(())
    })?;
    Ok(keys)
}

/// Writes each line that stands alone, or with others that say the same.
fn pick(path: &Path, keys: &HashMap<KeyHash, Vec<Standing>>, into: &mut BaseFile) -> Result<(), Failure> {
    each(path, |number, key, line| {
        let standing = keys.get(&KeyHash::of(key)).map_or(&[][..], Vec::as_slice);
        let Some(first) = standing.first().filter(|first| first.number == number) else { return Ok(()) };
        if standing.iter().any(|one| one.hash != first.hash) {
            return into.add(key, Err(RejectCode::OrderUnknown));
        }
        let (word, record) = line[Moment::BYTES..].split_first_chunk().ok_or_else(damaged)?;
        match u16::from_le_bytes(*word) {
            RECORD => into.add(key, Ok(record)),
            DELETED => Ok(()),
            code => into.add(key, Err(RejectCode::from_u16(code).ok_or_else(damaged)?)),
        }
    })
}

fn moment(line: &[u8]) -> Result<Moment, Failure> {
    line.first_chunk().filter(|_| line.len() >= FRONT).map(Moment::decode).ok_or_else(damaged)
}

/// Each line of a part, numbered.
fn each(path: &Path, mut look: impl FnMut(u64, &[u8], &[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let (mut reading, mut number) = (Reading::open(path)?, 0);
    while let Some(mut records) = reading.records()? {
        while let Some(record) = records.next()? {
            look(number, record.key, record.payload)?;
            number += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::base_copy::file;
    use landfall_schemas::stream::StreamName;

    fn moment(turns: (u64, u64), file: u32, at: u64) -> Moment {
        Moment { turns, chain: file, file, at }
    }

    /// What a base holds of these lines, by key.
    fn resolved(name: &str, lines: &[(&str, Said<'_>, Moment)]) -> Vec<(String, Result<String, RejectCode>)> {
        let directory = crate::config::tests::scratch(name);
        let path = file(&directory, &StreamName::new("s").expect("a name"));
        let mut written = BaseFile::create(&path).expect("made");
        let mut last = LastLines::create(directory.join("lines")).expect("made");
        last.add(b"dropped", Said::Record(b"{}"), &moment((1, 1), 1, 0)).expect("added");
        last.restart().expect("begun anew");
        for (key, said, moment) in lines {
            last.add(key.as_bytes(), *said, moment).expect("added");
        }
        last.finish(&mut written).expect("picked");
        written.finish().expect("whole");
        assert!(!directory.join("lines").exists());
        let (mut reading, mut found) = (Reading::open(&path).expect("opened"), Vec::new());
        while let Some(mut records) = reading.records().expect("read") {
            while let Some(record) = records.next().expect("read") {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                let said = match RejectCode::from_u16(record.kind) {
                    Some(code) => Err(code),
                    None => Ok(text(record.payload)),
                };
                found.push((text(record.key), said));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_line_that_was_captured_last_is_the_record_wherever_it_stands() {
        let record = |text: &'static str| Said::Record(text.as_bytes());
        let found = resolved(
            "last_lines",
            &[
                ("a", record("a2"), moment((4, 4), 2, 0)),
                ("a", record("a1"), moment((1, 1), 1, 90)),
                ("b", record("b1"), moment((1, 1), 1, 10)),
                ("b", record("b2"), moment((1, 1), 1, 20)),
                ("b", record("b2"), moment((1, 1), 1, 20)),
                ("c", record("c1"), moment((1, 1), 1, 30)),
                ("c", Said::Deleted, moment((3, 9), 3, 0)),
                ("d", record("d1"), moment((2, 5), 1, 40)),
                ("d", record("d2"), moment((4, 9), 3, 5)),
                ("e", record("same"), moment((2, 5), 1, 50)),
                ("e", record("same"), moment((4, 9), 3, 15)),
                ("f", record("f1"), moment((2, 5), 1, 60)),
                ("f", record("f2"), moment((4, 9), 3, 25)),
                ("f", record("f3"), moment((10, 10), 1, 70)),
                ("g", Said::Rejected(RejectCode::Malformed), moment((1, 1), 1, 80)),
            ],
        );
        let ok = |key: &str, text: &str| (key.to_owned(), Ok(text.to_owned()));
        let unordered = ("d".to_owned(), Err(RejectCode::OrderUnknown));
        let broken = ("g".to_owned(), Err(RejectCode::Malformed));
        assert_eq!(found, [ok("a", "a2"), ok("b", "b2"), unordered, ok("e", "same"), ok("f", "f3"), broken]);
    }

    #[test]
    fn ten_thousand_keys_in_any_order_of_files() {
        let texts: Vec<String> = (0..30_000).map(|n| format!("{{\"n\":{n}}}")).collect();
        let keys: Vec<String> = (0..10_000).map(|key| format!("k{key:05}")).collect();
        // The third file is read first and was captured last.
        let lines: Vec<_> = [2_usize, 0, 1]
            .into_iter()
            .flat_map(|file| (0..10_000).map(move |key| (file, key)))
            .map(|(file, key)| {
                let turn = file as u64 + 1;
                let text = &texts[file * 10_000 + key];
                (keys[key].as_str(), Said::Record(text.as_bytes()), moment((turn, turn), file as u32, key as u64))
            })
            .collect();
        let found = resolved("last_lines_many", &lines);
        let expected: Vec<_> = (0..10_000).map(|key| (keys[key].clone(), Ok(texts[20_000 + key].clone()))).collect();
        assert_eq!(found, expected);
    }
}
