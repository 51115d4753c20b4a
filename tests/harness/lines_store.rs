//! An append-only log of JSON lines, with the ways in which logs are rotated. A ledger outside the watched folder notes every
//! complete line in order: the oracle reads it when the log itself has been rotated away.

use crate::manner::append_torn;
use crate::record::record;
use crate::seed::Seed;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The log.
#[derive(Debug)]
pub struct LinesStore {
    path: PathBuf,
    ledger: PathBuf,
    keys: u64,
    rotated: u32,
    seed: Seed,
}

impl LinesStore {
    /// A log at `path` whose ledger is `ledger`, with `lines` lines over `keys` keys.
    pub fn create(path: &Path, ledger: &Path, size: (u64, u64), seed: Seed) -> Self {
        let (lines, keys) = size;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("the log's folder can be made");
        }
        let mut store = Self { path: path.to_path_buf(), ledger: ledger.to_path_buf(), keys, rotated: 0, seed };
        File::create(&store.path).expect("the log can be made");
        File::create(&store.ledger).expect("the ledger can be made");
        store.append_records(lines);
        store
    }

    /// Appends one line, whatever it holds; the newline is added.
    pub fn append(&mut self, line: &[u8]) {
        let mut bytes = line.to_vec();
        bytes.push(b'\n');
        append_torn(&self.path, &bytes, &mut self.seed);
        append(&self.ledger, &bytes);
    }

    /// Appends records of random keys, in one write.
    pub fn append_records(&mut self, count: u64) {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let key = self.seed.below(self.keys);
            let spelled = if key.is_multiple_of(3) { format!("\"{key}\"") } else { key.to_string() };
            bytes.extend_from_slice(record(&spelled, &mut self.seed).as_bytes());
            bytes.push(b'\n');
        }
        append_torn(&self.path, &bytes, &mut self.seed);
        append(&self.ledger, &bytes);
    }

    /// Appends records of a few kibibytes that no compression makes small, in one write.
    pub fn append_bulky(&mut self, count: u64) {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
        let mut bytes = Vec::new();
        for _ in 0..count {
            let key = self.seed.below(self.keys);
            bytes.extend_from_slice(format!("{{\"id\":\"bulky {key}\",\"text\":\"").as_bytes());
            for _ in 0..300 {
                let draw = self.seed.draw();
                bytes.extend((0..10).map(|at| LETTERS[(draw >> (6 * at)) as usize & 63]));
            }
            bytes.extend_from_slice(b"\"}\n");
        }
        append(&self.path, &bytes);
        append(&self.ledger, &bytes);
    }

    /// A few lines; now and then the log is rotated by rename first.
    pub fn live(&mut self) {
        if self.seed.one_in(40) {
            self.rotate_by_rename();
        }
        let lines = self.seed.range(1, 20);
        self.append_records(lines);
    }

    /// `log` becomes `log.1` (and `log.1` becomes `log.2`, …), a new `log` is begun.
    pub fn rotate_by_rename(&mut self) {
        self.shift_chain();
        std::fs::rename(&self.path, self.numbered(1)).expect("the log can be renamed");
        File::create(&self.path).expect("a new log can be begun");
    }

    /// `log` is copied to `log.1` and truncated in place.
    pub fn rotate_by_copy(&mut self) {
        self.shift_chain();
        std::fs::copy(&self.path, self.numbered(1)).expect("the log can be copied");
        OpenOptions::new().write(true).truncate(true).open(&self.path).expect("the log can be truncated");
    }

    /// `log.1` becomes `log.1.gz`.
    pub fn compress_last(&mut self) {
        let plain = std::fs::read(self.numbered(1)).expect("the rotated log can be read");
        let file = File::create(self.compressed(1)).expect("the compressed log can be written");
        let mut encoder = GzEncoder::new(file, Compression::fast());
        encoder.write_all(&plain).expect("the compressed log can be written");
        encoder.finish().expect("the compressed log can be ended");
        std::fs::remove_file(self.numbered(1)).expect("the rotated log can be removed");
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the ledger is.
    pub fn ledger(&self) -> &Path {
        &self.ledger
    }

    fn shift_chain(&mut self) {
        for number in (1..=self.rotated).rev() {
            for (from, to) in [
                (self.numbered(number), self.numbered(number + 1)),
                (self.compressed(number), self.compressed(number + 1)),
            ] {
                if from.exists() {
                    std::fs::rename(from, to).expect("a rotated log can be renamed");
                }
            }
        }
        self.rotated += 1;
    }

    fn numbered(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.path.display()))
    }

    fn compressed(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.{number}.gz", self.path.display()))
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("a log can be opened");
    file.write_all(bytes).expect("a log can be written");
}

#[cfg(test)]
mod tests {
    use super::LinesStore;
    use crate::run_dir;
    use crate::seed::Seed;

    #[test]
    fn the_ledger_keeps_what_rotation_took_away() {
        let folder = run_dir::fresh("lines-store");
        let mut store =
            LinesStore::create(&folder.join("logs/a.ndjson"), &folder.join("ledger"), (10, 5), Seed::new(1));
        store.rotate_by_rename();
        store.append_records(3);
        store.compress_last();
        store.rotate_by_copy();
        store.append_records(2);
        let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!(lines(store.ledger()), 15);
        assert_eq!(lines(store.path()), 2);
        assert!(folder.join("logs/a.ndjson.2.gz").is_file());
    }
}
