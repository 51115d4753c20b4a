//! The manners in which programs write files, good and bad.

use crate::seed::Seed;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How a whole file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Temporary file and rename.
    Atomic,
    /// Truncated and written again in one go.
    Truncating,
    /// Truncated and written again in pieces, with pauses in which the file is half there.
    Torn,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Atomic, Self::Truncating, Self::Torn];

    /// Replaces the file at `path`.
    pub fn write(self, path: &Path, bytes: &[u8], seed: &mut Seed) {
        match self {
            Self::Atomic => {
                // A name that no glob for *.json matches.
                let mut name = path.file_name().expect("a store has a name").to_os_string();
                name.push(".tmp");
                let temporary = path.with_file_name(name);
                std::fs::write(&temporary, bytes).expect("the store can be written");
                std::fs::rename(&temporary, path).expect("the store can be replaced");
            }
            Self::Truncating => std::fs::write(path, bytes).expect("the store can be written"),
            Self::Torn => write_torn(path, bytes, seed),
        }
    }
}

fn write_torn(path: &Path, bytes: &[u8], seed: &mut Seed) {
    let mut file = File::create(path).expect("the store can be written");
    let mut written = 0;
    for _ in 0..seed.range(2, 5) {
        let until = (written + 1 + seed.below(bytes.len() as u64 + 1) as usize).min(bytes.len());
        file.write_all(&bytes[written..until]).expect("the store can be written");
        written = until;
        // Long enough for a watcher to look at the half-written file, short enough for hundreds of them.
        std::thread::sleep(Duration::from_millis(seed.range(1, 25)));
    }
    file.write_all(&bytes[written..]).expect("the store can be written");
}

/// Appends to a file, in two pieces with a pause between them once in a while.
pub fn append_torn(path: &Path, bytes: &[u8], seed: &mut Seed) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the log can be opened");
    if bytes.len() > 2 && seed.one_in(8) {
        let cut = seed.range(1, bytes.len() as u64) as usize;
        file.write_all(&bytes[..cut]).expect("the log can be written");
        std::thread::sleep(Duration::from_millis(seed.range(1, 15)));
        file.write_all(&bytes[cut..]).expect("the log can be written");
    } else {
        file.write_all(bytes).expect("the log can be written");
    }
}

#[cfg(test)]
mod tests {
    use super::{Manner, append_torn};
    use crate::run_dir;
    use crate::seed::Seed;

    #[test]
    fn every_manner_ends_with_the_whole_file() {
        let path = run_dir::fresh("manner").join("store.json");
        let mut seed = Seed::new(3);
        for manner in Manner::ALL {
            let bytes = vec![b'x'; 10_000 + manner as usize];
            manner.write(&path, &bytes, &mut seed);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn appended_pieces_stand_in_order() {
        let path = run_dir::fresh("manner").join("log.ndjson");
        let mut seed = Seed::new(3);
        let mut expected = Vec::new();
        for number in 0..50 {
            let line = format!("line {number}\n");
            append_torn(&path, line.as_bytes(), &mut seed);
            expected.extend_from_slice(line.as_bytes());
        }
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }
}
