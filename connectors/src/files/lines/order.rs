//! A second reading of lines in the order in which they were captured: the pieces of all files by the turns that capture remembers of them.
//!
//! The files are those that the reading lists by itself, and all of them is read: positions say nothing but which piece comes before which. What
//! capture has not read yet comes last, chain by chain, as its next pass would take it. Where remembered turns overlap there is no such order.

use super::LinesConfig;
use super::generation::Standing;
use super::ledger::Ledger;
use super::listing::View;
use super::survey;
use crate::failure::Failure;
use crate::files::root::{FileStat, Root};
use landfall_schemas::position::PositionTable;

/// A piece of a listed file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// Which of the files that are read.
    pub(super) file: usize,
    pub(super) from: u64,
    /// Where the next piece of the file begins; `None`: it is the last one.
    pub(super) until: Option<u64>,
}

/// What capture remembers of one file.
pub(super) struct Remembered {
    stat: FileStat,
    offset: u64,
    /// First byte, first and last turn of each stretch.
    stretches: Vec<(u64, (u64, u64))>,
}

/// What capture remembers of the files that are there; `None`: they cannot be told from one another just now.
pub(super) fn remembered(
    config: &LinesConfig,
    root: &Root,
    positions: &PositionTable,
) -> Result<Option<Vec<Remembered>>, Failure> {
    let mut ledger = Ledger::load(positions)?;
    let Ok(view) = View::take(root, &config.pattern, &ledger) else { return Ok(None) };
    survey::once((root, &config.pattern), view, &mut ledger);
    let generations = ledger.lineages.values().flat_map(|lineage| &lineage.generations);
    let found = generations.filter_map(|generation| match generation.standing {
        Standing::Listed(stat) => {
            Some(Remembered { stat, offset: generation.offset, stretches: generation.turns.stretches().collect() })
        }
        _ => None,
    });
    Ok(Some(found.collect()))
}

/// The pieces of these files in the order of capture; `None`: it is not known.
pub(super) fn pieces<'a>(files: impl Iterator<Item = &'a FileStat>, remembered: &[Remembered]) -> Option<Vec<Piece>> {
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for (file, stat) in files.enumerate() {
        let known = remembered.iter().find(|known| known.stat.same_inode(stat));
        // A copy that holds less than was read is remembered for longer than it is.
        let stretches = known.map(|known| known.stretches.iter().filter(|(from, _)| *from < known.offset));
        let stretches: Vec<_> = stretches.into_iter().flatten().collect();
        let from = match known {
            Some(known) if stretches.first().is_some_and(|(from, _)| *from == 0) => known.offset,
            _ => 0,
        };
        if from > 0 {
            let ends = stretches.iter().skip(1).map(|(from, _)| *from).chain([from]);
            for ((from, turns), until) in stretches.iter().zip(ends) {
                read.push((*turns, Piece { file, from: *from, until: Some(until) }));
            }
        }
        unread.push(Piece { file, from, until: None });
    }
    read.sort_by_key(|(turns, _)| *turns);
    let ordered = read.windows(2).all(|pair| pair[0].1.file == pair[1].1.file || pair[0].0.1 < pair[1].0.0);
    ordered.then(|| read.into_iter().map(|(_, piece)| piece).chain(unread).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(ino: u64) -> FileStat {
        FileStat { dev: 1, ino, size: 100, mtime_ns: 0, ctime_ns: 0, birth_ns: Some(ino.into()), nlink: 1 }
    }

    fn known(ino: u64, offset: u64, stretches: &[(u64, (u64, u64))]) -> Remembered {
        Remembered { stat: stat(ino), offset, stretches: stretches.to_vec() }
    }

    fn ranges(pieces: &[Piece]) -> Vec<(usize, u64, Option<u64>)> {
        pieces.iter().map(|piece| (piece.file, piece.from, piece.until)).collect()
    }

    #[test]
    fn pieces_come_by_their_turns_and_what_is_unread_last() {
        let files = [stat(1), stat(2), stat(3)];
        let remembered = [known(2, 60, &[(0, (1, 1)), (40, (3, 5))]), known(1, 100, &[(0, (2, 2))])];
        let found = pieces(files.iter(), &remembered).expect("in order");
        let read = [(1, 0, Some(40)), (0, 0, Some(100)), (1, 40, Some(60))];
        assert_eq!(ranges(&found), [read.as_slice(), &[(0, 100, None), (1, 60, None), (2, 0, None)]].concat());
    }

    #[test]
    fn what_is_remembered_beyond_the_end_or_not_from_the_beginning_leaves_no_byte_out() {
        let files = [stat(1)];
        let found =
            pieces(files.iter(), &[known(1, 50, &[(0, (1, 1)), (50, (3, 3)), (80, (5, 5))])]).expect("in order");
        assert_eq!(ranges(&found), [(0, 0, Some(50)), (0, 50, None)]);
        for known in [known(1, 50, &[]), known(1, 50, &[(10, (1, 1))]), known(1, 0, &[(0, (1, 1))])] {
            assert_eq!(ranges(&pieces(files.iter(), &[known]).expect("in order")), [(0, 0, None)]);
        }
    }

    #[test]
    fn where_turns_overlap_there_is_no_order() {
        let files = [stat(1), stat(2)];
        assert_eq!(pieces(files.iter(), &[known(1, 9, &[(0, (1, 4))]), known(2, 9, &[(0, (4, 6))])]), None);
        assert_eq!(pieces(files.iter(), &[known(1, 9, &[(0, (0, 0))]), known(2, 9, &[(0, (0, 0))])]), None);
        assert!(pieces(files.iter(), &[known(1, 9, &[(0, (0, 0)), (5, (4, 6))])]).is_some());
    }
}
