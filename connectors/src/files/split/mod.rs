//! Splitting: where the records of a JSON document stand, found in one streaming pass.
//!
//! The document is read in chunks into one reused buffer and never mapped (promise 10). Several containers, selected by
//! JSON pointers, are found at once; each of their elements is a record, handed to a [`RecordSink`] as raw bytes with its
//! place. Everything *outside* records is checked strictly here: brackets, commas, colons, names, scalars, UTF-8, one
//! value at the top, nothing behind it; nesting costs a bit a level and no recursion. *Inside* a record only brackets
//! and quotes are followed: the sink checks what it has not seen before, so that an unchanged document is hashed and
//! not parsed. A sink that knows a record by its bytes says so, and it is stepped over without being looked at.
//!
//! Memory: [`CHUNK`], or the longest record up to [`MAX_RECORD_BYTES`](landfall_schemas::json::MAX_RECORD_BYTES) and a
//! chunk; a longer record is hashed and skipped. Fails with the byte offset of the first thing that is not JSON.

mod levels;
mod machine;
mod oversize;
mod pieces;
mod selection;
#[cfg(test)]
mod tests;

pub use machine::{Progress, Splitter};
pub use selection::{Overlap, Selection};

use landfall_schemas::hash::RowHash;

/// Bytes asked of the file in one read.
pub const CHUNK: usize = 1 << 20;
/// Bytes kept of a record that is too large: what a dead letter shows of it, and where its key is looked for.
pub const TOO_LARGE_HEAD: usize = 64 << 10;

/// What a selected pointer leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    /// An array: its elements are the records.
    Array,
    /// An object: its members' values are the records, their names the keys.
    Map,
    /// Neither.
    Scalar,
}

/// The name of a record in a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name<'a> {
    /// The record is an element of an array.
    None,
    /// What the member's name says.
    Text(&'a str),
    /// It holds half a surrogate pair: JSON, but no text.
    Broken,
}

/// Where a record stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// Index of its pointer in the [`Selection`].
    pub stream: usize,
    /// Byte offset in the file.
    pub at: u64,
    /// Its name, in a map.
    pub name: Name<'a>,
}

/// What a record consists of.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Its raw bytes.
    Whole(&'a [u8]),
    /// It is longer than the limit.
    TooLarge {
        /// Its first bytes.
        head: &'a [u8],
        /// Its length in bytes.
        len: u64,
        /// Its hash.
        hash: RowHash,
    },
}

/// Why a document cannot be taken as it stands: not JSON, or not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct NotJson {
    /// Byte offset in the file.
    pub at: u64,
    /// What is wrong there, never a value.
    pub what: &'static str,
}

/// Why splitting stopped.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// The file could not be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// The document does not parse.
    #[error("{0}")]
    NotJson(#[from] NotJson),
}

/// Who takes the records.
pub trait RecordSink {
    /// The pointer `stream` leads to a value of this shape. Called before its records; a pointer that leads nowhere is
    /// never called for.
    fn container(&mut self, stream: usize, shape: Shape);

    /// A record starts at `window[0]`, and `window` is all that is in memory from there. Its length, if the sink knows it
    /// byte for byte and takes it as such: it is then neither looked at nor handed to [`RecordSink::record`]. Only asked
    /// where a record is told from a longer one by its own bytes: it starts with a bracket or a quote.
    fn known(&mut self, origin: Origin<'_>, window: &[u8]) -> Option<usize>;

    /// A record, in file order. The offset in an error is the file's.
    fn record(&mut self, origin: Origin<'_>, body: Body<'_>) -> Result<(), NotJson>;
}
