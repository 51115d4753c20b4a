//! The contract of an independent second reading: what a source holds now, read from its store and from nothing that capture keeps.
//!
//! It is what `verify` compares with the target, so it shares neither queue, index nor position with capture, but for one word: in which order
//! lines of several files were captured ([`Reread::know_order`]), since the files do not say it. Records come in the order in
//! which capture would take them up, as the source's own bytes under the same encoded keys; what of them becomes a row is the reader's
//! business. Whole values only (promise 10): a store that changes under the reading is read again from its start, and the taker is told to
//! forget what it took. What cannot be read proves nothing (promise 12): it is said, for one key or for a whole stream.
//!
//! Blocking: a reading runs on a thread of its own. A taker's error ends it and is handed on as it is.

use crate::failure::Failure;
use landfall_schemas::hash::RowHash;
use landfall_schemas::key::RecordKey;
use landfall_schemas::position::PositionTable;
use landfall_schemas::rejection::RejectCode;
use std::collections::HashMap;

/// What a source says of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said<'a> {
    /// The record that stands under it.
    Record(&'a [u8]),
    /// It was deleted: said by a line, never by an absence.
    Deleted,
    /// Something stands there that no record can be made of.
    Rejected(RejectCode),
    /// Something stands there and cannot be read now.
    Unreadable,
}

/// Whether capture has read what is read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// It belongs to the source.
    Sure,
    /// A rotated file that the source's pattern does not name: capture has read it if it saw it under its first name.
    Perhaps,
}

/// One key as it is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen<'a> {
    /// Which of the streams that are read, by its place among them.
    pub stream: usize,
    /// Its encoded key. The generation of a place is `*`: only capture knows what it called a file.
    pub key: &'a [u8],
    /// What is said of it.
    pub said: Said<'a>,
    /// Inside one chain order is known; between chains it is not. 0 where there is one.
    pub chain: u16,
    /// Whether capture has read it.
    pub part: Part,
}

impl Seen<'_> {
    /// Most chains that are told apart.
    pub const CHAINS: u16 = 0x7fff;
}

/// Code of a taker's word that a record is no JSON. Readers of whole documents do not look into records: one that is broken inside is being
/// written, and the document is read again.
pub const NOT_JSON: &str = "unparsable";

/// Who takes what is met.
pub trait Taker {
    /// The store changed: everything taken so far is to be forgotten, it comes again.
    fn restart(&mut self) -> Result<(), Failure>;

    /// Takes one key.
    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure>;
}

/// Which of several sayings of one key counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeats {
    /// The first; the others are duplicates, which capture parks.
    FirstStands,
    /// The last of each chain.
    LastStands,
}

/// Most keys of one [`Reread::read_of`]: their records are held in memory together.
pub const MOST_KEYS: usize = 1_000;

/// A source that can be read a second time.
pub trait Reread: Send {
    /// What several sayings of one key mean.
    fn repeats(&self) -> Repeats;

    /// Tells where capture stands, which has taken up lines of several files in some order: they are given in it as far as it is known, as one
    /// chain. What is read stays the same.
    fn know_order(&mut self, _positions: &PositionTable) {}

    /// Reads everything once. For each stream: why it could not be read whole, if so. An error says that of all of them.
    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure>;

    /// Reads only these keys of one stream, at most [`MOST_KEYS`], and says what stands under them; keys beside them may be said as well. `false`, and
    /// nothing is said: not all of them can be found without reading everything.
    fn read_of(&mut self, _stream: usize, _keys: &[Vec<u8>], _taker: &mut dyn Taker) -> Result<bool, Failure> {
        Ok(false)
    }

    /// Closes what is open, once no more is asked. Blocking as well.
    fn farewell(&mut self) {}
}

/// Names for records without a readable key: by their bytes, numbered where several are alike, as sources with an index name them.
#[derive(Debug, Default)]
pub(crate) struct Nameless(HashMap<RowHash, u64>);

impl Nameless {
    /// Fills `key` for the next record with this hash.
    pub(crate) fn name(&mut self, hash: RowHash, key: &mut RecordKey) {
        let count = self.0.entry(hash).or_default();
        key.place(&format!("{:032x}", hash.0), *count);
        *count += 1;
    }
}
