//! The baseline of a document's diff: split the array into raw values and hash each, nothing else.
//!
//! A plain byte machine: a table tells the few bytes that matter, strings are skipped by `memchr`, a value that straddles
//! two reads is scanned again from its start. It validates nothing, keeps nothing, and handles arrays of objects or arrays only.

use memchr::memchr2;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes per read: large enough that the system call vanishes, small enough to stay in the second-level cache.
const CHUNK: usize = 1 << 20;

/// What was found.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Found {
    /// Values.
    pub values: u64,
    /// All their hashes, folded: keeps the work from being optimised away and tells two runs apart.
    pub digest: u128,
}

/// Whether a byte means something outside strings.
const MATTERS: [bool; 256] = {
    let mut table = [false; 256];
    table[b'"' as usize] = true;
    table[b'{' as usize] = true;
    table[b'}' as usize] = true;
    table[b'[' as usize] = true;
    table[b']' as usize] = true;
    table
};

/// Reads `path` in chunks, splits, hashes.
pub fn split_and_hash(path: &Path) -> Found {
    let mut file = File::open(path).expect("a bench's own file is readable");
    let mut buffer = vec![0; 2 * CHUNK];
    let (mut filled, mut found, mut inside) = (0, Found::default(), false);
    loop {
        if buffer.len() - filled < CHUNK {
            buffer.resize(buffer.len() + CHUNK, 0);
        }
        let read = file.read(&mut buffer[filled..filled + CHUNK]).expect("a bench's own file is readable");
        if read == 0 {
            return found;
        }
        filled += read;
        let mut from = 0;
        if !inside {
            // The array's own bracket.
            from = 1;
            inside = true;
        }
        let consumed = from + values(&buffer[from..filled], &mut found);
        buffer.copy_within(consumed..filled, 0);
        filled -= consumed;
    }
}

/// Hashes each whole value in `text`; gives the bytes up to the end of the last one.
fn values(text: &[u8], found: &mut Found) -> usize {
    let (mut depth, mut start, mut consumed, mut at) = (0_usize, 0, 0, 0);
    loop {
        match text[at..].iter().position(|byte| MATTERS[usize::from(*byte)]) {
            None => return consumed,
            Some(further) => at += further,
        }
        match text[at] {
            b'"' => match string_end(text, at + 1) {
                None => return consumed,
                Some(end) => at = end,
            },
            b'{' | b'[' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            _ if depth == 0 => return text.len(),
            _ => {
                depth -= 1;
                if depth == 0 {
                    consumed = at + 1;
                    found.values += 1;
                    found.digest = found.digest.rotate_left(1) ^ xxh3_128(&text[start..consumed]);
                }
            }
        }
        at += 1;
    }
}

/// The closing quote of a string whose inside begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let further = memchr2(b'"', b'\\', &text[at..])?;
        at += further;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
        if at > text.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, split_and_hash, values};
    use crate::document::{Document, Layout};

    #[test]
    fn every_record_is_one_value_however_it_falls_into_reads() {
        let path = std::env::temp_dir().join(format!("landfall-bench-split-{}", std::process::id()));
        for layout in [Layout::Compact, Layout::RecordPerLine] {
            Document { records: 9_000, changed: 0, layout }.write(&path);
            assert_eq!(split_and_hash(&path).values, 9_000);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn quotes_and_brackets_inside_strings_split_nothing() {
        let mut found = Found::default();
        assert_eq!(values(br#"{"a":"}\"]["},[1,{"b":"\\"}],{"c":"#, &mut found), 28);
        assert_eq!(found.values, 2);
    }
}
