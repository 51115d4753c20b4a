//! The baseline of a queue's read: plain `read` of the same files, from the page cache.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes per read.
const CHUNK: usize = 1 << 20;

/// All regular files below `folder`, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a bench's own folder is readable").flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Reads every file to its end; gives the bytes.
pub fn read_all(files: &[PathBuf]) -> u64 {
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0;
    for path in files {
        let mut file = File::open(path).expect("a bench's own file is readable");
        loop {
            match file.read(&mut buffer).expect("a bench's own file is readable") {
                0 => break,
                read => bytes += read as u64,
            }
        }
    }
    // The last bytes are looked at, so that the reads cannot be left out.
    std::hint::black_box(&buffer);
    bytes
}
