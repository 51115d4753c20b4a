//! The lines read a second time: every present file from its first byte to its last, chain by chain, oldest first.
//!
//! What capture knows of generations and offsets is not asked. Within a chain (a file and what rotation made of it) lines stand in order;
//! how two chains were interleaved the files do not say, so each has a number of its own, unless capture's turns are told and order them
//! (`order`). A rotated file that stands beside its own compressed copy is read once; one that the pattern does not name belongs to the source
//! only perhaps, since capture reads it when it saw it under its first name. A chain that moves while it is read is read again. Lines are understood by the interpreter that capture uses: what a line
//! means is one thing.

use super::LinesConfig;
use super::body::Body;
use super::ledger::Ledger;
use super::listing::{Member, View};
use super::operation::Interpreter;
use super::order::{self, Piece};
use super::rotation::{Age, is_compressed};
use super::walk::{Extent, Walk, Walked};
use crate::failure::{Failure, FailureClass};
use crate::files::root::{Listed, Root};
use crate::reread::{Part, Repeats, Reread, Seen, Taker};
use crate::source::SourceStream;
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::StreamId;
use std::path::Path;

/// Readings of chains that are rotated under them before they are given up.
const ATTEMPTS: u32 = 10;
/// What keys by place call a file: its name is capture's.
const ANYWHERE: &str = "*";

/// Lines to be read a second time.
#[derive(Debug)]
pub struct LinesReread {
    config: LinesConfig,
    interpreter: Interpreter,
    /// Where capture stands: what tells the order of several files.
    positions: Option<PositionTable>,
}

/// What is read of a listed file, and what it counts as.
struct FilePart {
    file: usize,
    chain: u16,
    part: Part,
    /// Nothing is added to it any more.
    ended: bool,
    until: u64,
}

impl LinesReread {
    /// For the streams of the source; opens nothing yet.
    pub fn new(config: LinesConfig, streams: Vec<SourceStream>) -> Self {
        // Changes come back with the number of their stream: its place in the list.
        let numbered = streams.into_iter().zip(0..).map(|(stream, at)| SourceStream { id: StreamId(at), ..stream });
        Self { interpreter: Interpreter::new(config.format.clone(), numbered.collect()), config, positions: None }
    }

    fn failure(&self, path: &Path, code: &'static str, what: &str) -> Failure {
        let path = self.config.dir.join(path);
        Failure::new(FailureClass::Transient, code, format!("{}: {what}", path.display()))
    }

    fn list(&self, root: &Root) -> Result<View, Failure> {
        let listed = View::take(root, &self.config.pattern, &Ledger::default());
        let view = listed.map_err(|error| self.failure(&error.path, error.code(), &error.errno.to_string()))?;
        match view.unreadable.first() {
            Some(error) => Err(self.failure(&error.path, "unreadable", "it cannot be listed")),
            None => Ok(view),
        }
    }

    /// Everything that is read, chain by chain, oldest first.
    fn parts(&self, view: &View) -> Vec<FilePart> {
        let mut parts = Vec::new();
        for (chain, base) in view.bases().enumerate() {
            let members = view.members(base);
            for (at, member) in members.iter().enumerate() {
                let file = &view.files[member.file];
                if repeats_another(file, members, view) {
                    continue;
                }
                let compressed = is_compressed(&file.path);
                let meant = member.age == Age::Live || self.config.pattern.matches(&file.path);
                parts.push(FilePart {
                    file: member.file,
                    // More chains than numbers: the last ones are told apart no more, which only makes more of them not comparable.
                    chain: u16::try_from(chain).unwrap_or(u16::MAX).min(Seen::CHAINS),
                    part: if meant { Part::Sure } else { Part::Perhaps },
                    ended: compressed || follows(&members[at + 1..], view),
                    until: if compressed { u64::MAX } else { file.stat.size },
                });
            }
        }
        parts
    }

    fn once(&mut self, root: &Root, view: &View, taker: &mut dyn Taker) -> Result<(), Failure> {
        let mut parts = self.parts(view);
        let stats = || parts.iter().map(|part| &view.files[part.file].stat);
        let remembered = match &self.positions {
            Some(positions) => order::remembered(&self.config, root, positions)?,
            None => None,
        };
        let pieces = match remembered.and_then(|remembered| order::pieces(stats(), &remembered)) {
            Some(pieces) => {
                parts.iter_mut().for_each(|part| part.chain = 0);
                pieces
            }
            None => (0..parts.len()).map(|file| Piece { file, from: 0, until: None }).collect(),
        };
        pieces.iter().try_for_each(|piece| self.piece((root, view), (&parts[piece.file], piece), taker))
    }

    fn piece(
        &mut self,
        (root, view): (&Root, &View),
        (part, piece): (&FilePart, &Piece),
        taker: &mut dyn Taker,
    ) -> Result<(), Failure> {
        let file = &view.files[part.file];
        let (opened, stat) = root
            .open_file(&file.path)
            .map_err(|_| self.failure(&file.path, "store_moving", "it is not where it was listed"))?;
        if !stat.same_inode(&file.stat) {
            return Err(self.failure(&file.path, "store_moving", "it is another file than was listed"));
        }
        let mut body = Body::new(opened, is_compressed(&file.path));
        // What capture has handed out is lines, whatever they end with.
        let extent = match piece.until {
            Some(until) => Extent { from: piece.from, ended: true, until },
            None => Extent { from: piece.from, ended: part.ended, until: part.until.max(piece.from) },
        };
        let (chain, part) = (part.chain, part.part);
        let mut hand = |line: &Walked<'_>| {
            let (stream, key, said) = (line.stream, line.key, line.said);
            taker.take(&Seen { stream, key, said, chain, part })
        };
        let read = Walk::new(&mut self.interpreter, ANYWHERE, &mut hand).file(&mut body, &extent);
        read.map(drop)
            .map_err(|error| error.unwrap_or_else(|| self.failure(&file.path, "unreadable", "reading it failed")))
    }
}

/// Another file of the chain with something in it follows.
fn follows(later: &[Member], view: &View) -> bool {
    later.iter().any(|member| view.files[member.file].stat.size > 0)
}

/// A compressed file whose plain one is still there.
fn repeats_another(file: &Listed, chain: &[Member], view: &View) -> bool {
    let plain = file.path.with_extension("");
    is_compressed(&file.path)
        && chain.iter().any(|other| view.files[other.file].path == plain && other.age != Age::Live)
}

impl Reread for LinesReread {
    fn repeats(&self) -> Repeats {
        Repeats::LastStands
    }

    fn know_order(&mut self, positions: &PositionTable) {
        self.positions = Some(positions.clone());
    }

    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure> {
        let mut attempt = 1;
        loop {
            let root = Root::open(&self.config.dir, self.config.symlinks)
                .map_err(|error| self.failure(Path::new(""), error.code(), &error.to_string()))?;
            let view = self.list(&root)?;
            let read = self.once(&root, &view, taker);
            let moved = match &read {
                Ok(()) => {
                    let after = self.list(&root)?;
                    view.bases().any(|base| !view.chain_stands(base, &after))
                }
                Err(failure) => failure.code == "store_moving",
            };
            if !moved {
                return read.map(|()| vec![None; self.interpreter.streams().len()]);
            }
            if attempt == ATTEMPTS {
                let what = "its files are rotated faster than they can be read";
                return Err(self.failure(Path::new(""), "store_moving", what));
            }
            attempt += 1;
            taker.restart()?;
        }
    }
}
