//! The lines gone over once more as capture has read them: each generation that its positions know, from its first byte to where capture stands.
//!
//! Generations are found the way capture finds them, by inode and content, under whatever name they have by now; so keys by place are capture's own,
//! and the turns in which lines were handed out order what stands in several files. A file that is renamed or copied away between the listing and
//! its opening is looked for again. What is not there in several listings is gone, and told.

use super::LinesConfig;
use super::body::Body;
use super::generation::{Generation, Standing};
use super::ledger::Ledger;
use super::listing::View;
use super::operation::Interpreter;
use super::rotation::is_compressed;
use super::survey;
use super::walk::{Extent, Walk, Walked};
use crate::failure::{Failure, FailureClass};
use crate::files::root::{FileStat, Root};
use crate::retrace::{Moment, Retrace, Traced, Tracer};
use crate::source::SourceStream;
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::StreamId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Listings in which a generation is looked for before it counts as gone, or its file as one that never stands still.
const LISTINGS: u32 = 6;

/// Lines that capture has read, up to where its positions stand.
#[derive(Debug)]
pub struct LinesRetrace {
    config: LinesConfig,
    interpreter: Interpreter,
    positions: PositionTable,
}

/// A generation that is still to be gone over.
struct Wanted {
    chain: u32,
    file: u32,
    /// Up to where it was read.
    until: u64,
    path: PathBuf,
    /// What stood in the way of the last try, unless it was not there.
    trouble: Option<Failure>,
}

/// What is still to be gone over, and what cannot be.
#[derive(Default)]
struct Rest {
    wanted: BTreeMap<Arc<str>, Wanted>,
    gone: Vec<PathBuf>,
}

impl LinesRetrace {
    /// For the streams of the source and the positions that its capture has reached. Opens nothing yet.
    pub fn new(config: LinesConfig, streams: Vec<SourceStream>, positions: PositionTable) -> Self {
        // Changes come back with the number of their stream: its place in the list.
        let numbered = streams.into_iter().zip(0..).map(|(stream, at)| SourceStream { id: StreamId(at), ..stream });
        Self { interpreter: Interpreter::new(config.format.clone(), numbered.collect()), config, positions }
    }

    fn failure(&self, path: &Path, code: &'static str, what: &str) -> Failure {
        let path = self.config.dir.join(path);
        Failure::new(FailureClass::Transient, code, format!("{}: {what}", path.display()))
    }

    /// One listing, and every wanted generation that is found in it.
    fn once(&mut self, rest: &mut Rest, tracer: &mut Tracer<'_>) -> Result<(), Failure> {
        let root = Root::open(&self.config.dir, self.config.symlinks)
            .map_err(|error| self.failure(Path::new(""), error.code(), &error.to_string()))?;
        let mut ledger = Ledger::load(&self.positions)?;
        let view = View::take(&root, &self.config.pattern, &ledger)
            .map_err(|error| self.failure(&error.path, error.code(), &error.errno.to_string()))?;
        if let Some(error) = view.unreadable.first() {
            return Err(self.failure(&error.path, "unreadable", "it cannot be listed"));
        }
        survey::once((&root, &self.config.pattern), view, &mut ledger);
        for generation in ledger.lineages.values().flat_map(|lineage| &lineage.generations) {
            let Some(one) = rest.wanted.get_mut(&generation.slot) else { continue };
            let Standing::Listed(stat) = generation.standing else { continue };
            one.trouble = Some(self.failure(&generation.path, "store_moving", "it changes faster than it can be read"));
            let Some(mut body) = open(&root, generation, &stat) else { continue };
            if self.walk((generation, one), &mut body, tracer)? {
                // A copy that was made before the last lines were written.
                if generation.offset < one.until {
                    rest.gone.push(self.config.dir.join(&generation.path));
                }
                rest.wanted.remove(&generation.slot);
            }
        }
        Ok(())
    }

    /// Hands on the lines of a generation; `false` if its file did not hold them to the end.
    fn walk(
        &mut self,
        (generation, wanted): (&Generation, &Wanted),
        body: &mut Body,
        tracer: &mut Tracer<'_>,
    ) -> Result<bool, Failure> {
        let (chain, file, until) = (wanted.chain, wanted.file, wanted.until.min(generation.offset));
        let mut hand = |line: &Walked<'_>| {
            let moment = Moment { turns: generation.turns.at(line.at), chain, file, at: line.at };
            tracer(&Traced { stream: line.stream, key: line.key, said: line.said, moment })
        };
        let mut walk = Walk::new(&mut self.interpreter, &generation.slot, &mut hand);
        let walked = walk.file(body, &Extent { from: 0, ended: true, until });
        let end = walked.map_err(|error| {
            error.unwrap_or_else(|| self.failure(&generation.path, "unreadable", "reading it failed"))
        })?;
        // Cut or written anew while it was read: the bytes before the offset are no longer those that capture saw there.
        let stands = body.stat().is_ok_and(|stat| generation.agrees(body, &stat).unwrap_or(false));
        Ok(end == until && stands)
    }
}

/// The file of a generation, if it is still the one that was listed.
fn open(root: &Root, generation: &Generation, stat: &FileStat) -> Option<Body> {
    let (file, now) = root.open_file(&generation.path).ok()?;
    now.same_inode(stat).then(|| Body::new(file, is_compressed(&generation.path)))
}

impl Retrace for LinesRetrace {
    fn read(&mut self, tracer: &mut Tracer<'_>) -> Result<Vec<PathBuf>, Failure> {
        let known = Ledger::load(&self.positions)?;
        let mut rest = Rest::default();
        let mut file = 0;
        for (chain, lineage) in (0..).zip(known.lineages.values()) {
            // Of the older generation first, so that numbers rise inside a chain.
            for generation in &lineage.generations {
                file += 1;
                let (until, path) = (generation.offset, generation.path.clone());
                if until > 0 {
                    let one = Wanted { chain, file, until, path, trouble: None };
                    rest.wanted.insert(Arc::clone(&generation.slot), one);
                }
            }
        }
        for listing in 0..LISTINGS {
            if listing > 0 {
                std::thread::sleep(self.config.cadence.poll);
            }
            self.once(&mut rest, tracer)?;
            if rest.wanted.is_empty() {
                return Ok(rest.gone);
            }
        }
        if let Some(trouble) = rest.wanted.values_mut().find_map(|one| one.trouble.take()) {
            return Err(trouble);
        }
        rest.gone.extend(rest.wanted.into_values().map(|one| self.config.dir.join(one.path)));
        Ok(rest.gone)
    }
}
