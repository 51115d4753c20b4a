//! The baseline of line-shaped input: read in chunks and find the newlines.

use memchr::memchr_iter;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes per read.
const CHUNK: usize = 1 << 20;

/// Counts the newlines of a file.
pub fn newlines(path: &Path) -> u64 {
    let mut file = File::open(path).expect("a bench's own file is readable");
    let mut buffer = vec![0; CHUNK];
    let mut lines = 0;
    loop {
        let read = file.read(&mut buffer).expect("a bench's own file is readable");
        if read == 0 {
            return lines;
        }
        lines += memchr_iter(b'\n', &buffer[..read]).count() as u64;
    }
}
