//! The contract of going over a log once more as capture has read it: the same lines under the same keys, each with the moment it was captured.
//!
//! Unlike a second reading ([`crate::reread`]) this follows capture's own positions. It is what the base of a replay is made of: of several lines
//! of one key, the one that was captured last is the record. Blocking. A line may come twice, with the same moment.

use crate::failure::Failure;
use crate::reread::Said;
use std::path::PathBuf;

/// When a line was captured, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// First and last of the turns it may have been captured in. Turn 0: before turns were counted.
    pub turns: (u64, u64),
    /// Files that were rotated into one another have one number.
    pub chain: u32,
    /// Number of the file; inside a chain the older file has the lower one.
    pub file: u32,
    /// Where in it the line begins.
    pub at: u64,
}

impl Moment {
    /// Bytes of a stored one.
    pub const BYTES: usize = 32;

    /// Whether the line was captured before the other one. Of two in turns that overlap neither was, as far as is known.
    pub fn is_before(&self, other: &Self) -> bool {
        if self.file == other.file {
            return self.at < other.at;
        }
        let uncounted = self.turns == (0, 0) && other.turns == (0, 0);
        self.turns.1 < other.turns.0 || (uncounted && self.chain == other.chain && self.file < other.file)
    }

    /// Its stored form.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.turns.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.turns.1.to_le_bytes());
        out[16..20].copy_from_slice(&self.chain.to_le_bytes());
        out[20..24].copy_from_slice(&self.file.to_le_bytes());
        out[24..].copy_from_slice(&self.at.to_le_bytes());
        out
    }

    /// From its stored form.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        Self { turns: (word(0), word(8)), chain: half(16), file: half(20), at: word(24) }
    }
}

/// A line for one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traced<'a> {
    /// Which of the streams that are read, by its place among them.
    pub stream: usize,
    /// Its encoded key, as capture has it.
    pub key: &'a [u8],
    /// What it says.
    pub said: Said<'a>,
    /// When it was captured.
    pub moment: Moment,
}

/// Who takes lines.
pub type Tracer<'a> = dyn FnMut(&Traced<'_>) -> Result<(), Failure> + 'a;

/// A source whose lines can be gone over once more.
pub trait Retrace: Send {
    /// Goes over every line that was captured and whose file is still there. The files that are gone, or hold less than was captured.
    fn read(&mut self, tracer: &mut Tracer<'_>) -> Result<Vec<PathBuf>, Failure>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ordered_where_turns_do_not_overlap_and_come_back_from_bytes() {
        let moment = |turns, chain, file, at| Moment { turns, chain, file, at };
        let before = |one: Moment, other: Moment| {
            assert_eq!(Moment::decode(&one.encode()), one);
            (one.is_before(&other), other.is_before(&one))
        };
        assert_eq!(before(moment((5, 5), 1, 1, 10), moment((5, 5), 1, 1, 20)), (true, false));
        assert_eq!(before(moment((5, 5), 1, 1, 90), moment((6, 9), 2, 2, 0)), (true, false));
        assert_eq!(before(moment((3, 7), 1, 1, 0), moment((6, 9), 2, 2, 0)), (false, false));
        assert_eq!(before(moment((0, 0), 1, 1, 0), moment((1, 1), 2, 2, 0)), (true, false));
        assert_eq!(before(moment((0, 0), 1, 1, 9), moment((0, 0), 1, 2, 0)), (true, false));
        assert_eq!(before(moment((0, 0), 1, 1, 9), moment((0, 0), 2, 2, 0)), (false, false));
    }
}
