//! Whole documents: an array of users, written in one go, and the same document with a few records changed.

use crate::chance::Chance;
use crate::user::User;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// How the array is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// No white space at all.
    Compact,
    /// A record per line, as hand-written stores and line-minded serialisers do.
    RecordPerLine,
}

/// A document of users `0..records`, `changed` of them at revision 1 instead of 0.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// How many.
    pub records: u64,
    /// How many of them differ from the document without changes.
    pub changed: u64,
    /// Laid out how.
    pub layout: Layout,
}

/// Seed of the choice of changed records.
const CHANGED_SEED: u64 = 11;

impl Document {
    /// Writes it to `path`; gives its bytes.
    pub fn write(&self, path: &Path) -> u64 {
        let changed = self.changed_numbers();
        let file = File::create(path).expect("a bench's own folder is writable");
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let (mut text, mut bytes) = (Vec::with_capacity(512), 0);
        for number in 0..self.records {
            text.clear();
            text.extend_from_slice(match (number, self.layout) {
                (0, Layout::Compact) => b"[",
                (0, Layout::RecordPerLine) => b"[\n",
                (_, Layout::Compact) => b",",
                (_, Layout::RecordPerLine) => b",\n",
            });
            let revision = u64::from(changed.binary_search(&number).is_ok());
            User::new(number, revision).write_json(&mut text);
            bytes += text.len() as u64;
            out.write_all(&text).expect("a bench's own disk has room");
        }
        let end: &[u8] = if self.layout == Layout::Compact { b"]" } else { b"\n]\n" };
        out.write_all(end).expect("a bench's own disk has room");
        out.flush().expect("a bench's own disk has room");
        bytes + end.len() as u64
    }

    fn changed_numbers(&self) -> Vec<u64> {
        let mut chance = Chance::new(CHANGED_SEED);
        let mut numbers = std::collections::BTreeSet::new();
        while (numbers.len() as u64) < self.changed.min(self.records) {
            numbers.insert(chance.below(self.records));
        }
        numbers.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Layout};

    #[test]
    fn a_changed_document_differs_in_as_many_records_as_said() {
        let folder = std::env::temp_dir();
        let read = |changed, layout| {
            let path = folder.join(format!("landfall-bench-document-{}-{changed}", std::process::id()));
            Document { records: 1_000, changed, layout }.write(&path);
            let values: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            std::fs::remove_file(&path).unwrap();
            values
        };
        let (old, new) = (read(0, Layout::Compact), read(7, Layout::RecordPerLine));
        assert_eq!(old.iter().zip(&new).filter(|(old, new)| old != new).count(), 7);
    }
}
