//! One pass over a source: reads each generation from its offset to where it ended when the pass began.
//!
//! Owns the order (a lineage's older generations first), what is done at the end of one, and the bounds of one batch.
//! Keeps promise 10: an unterminated last line is handed out only once its generation is closed: another one has taken its
//! place and nothing was added for [`QUIET_PASSES`] passes, or it is compressed.

use crate::files::identity::{Fingerprint, TAIL_BYTES};
use crate::files::lines::body::{Body, OpenBodies};
use crate::files::lines::generation::Generation;
use crate::files::lines::ledger::{Ledger, Trouble};
use crate::files::lines::operation::Interpreter;
use crate::files::lines::reader::{Filled, Found, MAX_LINE_BYTES, OVERLONG_HEAD_BYTES, Reader};
use crate::files::lines::rotation;
use crate::files::lines::survey::QUIET_PASSES;
use crate::files::root::{FileStat, Root};
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::rejection::RejectCode;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Most chunks read for one batch: a call stays short where there is much to pass over and little to hand out.
const CHUNKS_PER_BATCH: usize = 8;
/// Most files turned to for one batch, for the same reason.
const FILES_PER_BATCH: usize = 256;

/// A generation to read on in.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Its lineage.
    pub base: PathBuf,
    /// Which one.
    pub slot: Arc<str>,
    /// Another generation follows it.
    pub rotated: bool,
}

/// What is left of a pass.
#[derive(Debug, Default)]
pub(super) struct Pass {
    tasks: VecDeque<Task>,
    /// Something was not what the survey saw: survey again.
    pub stale: bool,
}

/// How reading in one generation ended.
enum Ended {
    /// The batch is full, or the call has read enough.
    Enough,
    /// Read to its end.
    Done,
    /// Its unfinished last line holds up those that follow.
    Unfinished,
    /// Not the file that was surveyed.
    Changed,
}

/// What reading needs beside the pass.
pub(super) struct Reading<'a> {
    pub root: &'a Root,
    pub reader: &'a mut Reader,
    pub bodies: &'a mut OpenBodies,
    pub interpreter: &'a mut Interpreter,
    /// A wait has passed since the last pass.
    pub later: bool,
}

/// Room left in a batch.
struct Budget {
    chunks: usize,
    files: usize,
    bytes: usize,
}

impl Pass {
    /// All that has work, lineage by lineage, oldest generation first.
    pub(super) fn plan(ledger: &Ledger) -> Self {
        let mut tasks = VecDeque::new();
        for (base, lineage) in &ledger.lineages {
            if lineage.trouble.is_some() {
                continue;
            }
            for (index, generation) in lineage.generations.iter().enumerate() {
                let rotated = lineage.is_rotated(index);
                let settles = rotated && !generation.closed && generation.stat().is_some();
                if generation.has_work() || settles {
                    tasks.push_back(Task { base: base.clone(), slot: Arc::clone(&generation.slot), rotated });
                }
            }
        }
        Self { tasks, stale: false }
    }

    /// Nothing is left to read.
    pub(super) fn is_over(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Fills `batch` from where the pass stands, positions included.
    pub(super) fn read(&mut self, ledger: &mut Ledger, batch: &mut ChangeBatch, with: &mut Reading<'_>) {
        let mut budget = Budget { chunks: CHUNKS_PER_BATCH, files: FILES_PER_BATCH, bytes: 0 };
        while let Some(task) = self.tasks.front().cloned() {
            let Some(generation) = ledger.generation(&task.base, &task.slot) else {
                self.tasks.pop_front();
                continue;
            };
            let before = generation.offset;
            let ended = with.generation(generation, batch, (&task, &mut budget));
            if generation.offset != before {
                ledger.taken_up(&task.base, &task.slot, before);
            }
            let Some(generation) = ledger.generation(&task.base, &task.slot) else {
                self.tasks.pop_front();
                continue;
            };
            let trouble = match ended {
                Ok(Ended::Enough) => {
                    ledger.save(batch, Some((&task.base, &task.slot)));
                    return;
                }
                Ok(Ended::Done) => None,
                Ok(Ended::Unfinished) => {
                    let detail = "the last line of a rotated file has no newline yet: what follows it waits";
                    Some(Trouble::Waiting("unfinished_line", format!("{}: {detail}", generation.path.display())))
                }
                Ok(Ended::Changed) => {
                    generation.verified = None;
                    self.stale = true;
                    self.tasks.retain(|other| other.base != task.base);
                    with.reader.leave();
                    continue;
                }
                Err(error) => Some(Trouble::Waiting("unreadable", format!("{}: {error}", generation.path.display()))),
            };
            ledger.unsaved |= generation.touched;
            with.reader.leave();
            self.tasks.pop_front();
            budget.files -= 1;
            if let Some(trouble) = trouble {
                self.tasks.retain(|other| other.base != task.base);
                if let Some(lineage) = ledger.lineages.get_mut(&task.base) {
                    lineage.trouble = Some(trouble);
                }
            }
            if budget.files == 0 {
                break;
            }
        }
        ledger.save(batch, None);
    }
}

impl Reading<'_> {
    fn generation(
        &mut self,
        generation: &mut Generation,
        batch: &mut ChangeBatch,
        on: (&Task, &mut Budget),
    ) -> io::Result<Ended> {
        let (task, budget) = on;
        let Some(stat) = generation.stat() else { return Ok(Ended::Done) };
        if self.bodies.get(&generation.slot).is_none() && !self.open(generation, &stat)? {
            return Ok(Ended::Changed);
        }
        let Some(body) = self.bodies.get(&generation.slot) else { return Ok(Ended::Changed) };
        if !self.reader.is_on(&generation.slot) {
            generation.lengthen_head(body, &stat)?;
            if !self.reader.turn_to(generation, body)? {
                return Ok(Ended::Changed);
            }
        }
        let place = batch.place(&generation.path.to_string_lossy());
        loop {
            let before = generation.offset;
            let full = hand_out(self.reader, self.interpreter, (generation, body), (batch, budget, place))?;
            if generation.offset != before {
                generation.tail = self.reader.tail();
                generation.touched = true;
                generation.quiet = 0;
            }
            if full || budget.chunks == 0 {
                return Ok(Ended::Enough);
            }
            if !generation.compressed && self.reader.reached() >= stat.size {
                // All that the survey saw. What was added since waits for the next pass, so that no file starves another.
                break;
            }
            budget.chunks -= 1;
            match self.reader.fill(generation, body)? {
                Filled::More => {}
                Filled::End => break,
                Filled::Changed => return Ok(Ended::Changed),
            }
        }
        self.settle((generation, stat), task, (batch, place))
    }

    fn open(&mut self, generation: &Generation, stat: &FileStat) -> io::Result<bool> {
        let Ok((file, now)) = self.root.open_file(&generation.path) else { return Ok(false) };
        if now.same_inode(stat) {
            self.bodies.hold(&generation.slot, Body::new(file, rotation::is_compressed(&generation.path)));
        }
        Ok(now.same_inode(stat))
    }

    /// At the end of what there is: closes the generation, or notes its unfinished line.
    fn settle(
        &mut self,
        read: (&mut Generation, FileStat),
        task: &Task,
        into: (&mut ChangeBatch, u32),
    ) -> io::Result<Ended> {
        let (generation, stat) = read;
        let end = self.reader.reached().max(generation.searched).max(generation.offset);
        let grown = generation.drained.is_none_or(|drained| drained.size != stat.size);
        generation.searched = end;
        generation.drained = Some(stat);
        let unfinished = end > generation.offset;
        if unfinished && task.rotated && !generation.compressed {
            generation.quiet = if grown { 0 } else { generation.quiet.saturating_add(u8::from(self.later)) };
            if generation.quiet < QUIET_PASSES {
                return Ok(Ended::Unfinished);
            }
        }
        if unfinished && (task.rotated || generation.compressed) {
            self.last_line(generation, end, into)?;
        }
        if task.rotated && !generation.closed {
            (generation.closed, generation.size, generation.quiet, generation.touched) = (true, stat.size, 0, true);
        }
        Ok(Ended::Done)
    }

    /// Hands out an unterminated line of a generation that nothing is added to any more.
    fn last_line(&mut self, generation: &mut Generation, end: u64, into: (&mut ChangeBatch, u32)) -> io::Result<()> {
        let (batch, index) = into;
        let Some(body) = self.bodies.get(&generation.slot) else { return Ok(()) };
        let origin = (&*generation.slot, Place { index, at: generation.offset });
        let len = end - generation.offset;
        if len > MAX_LINE_BYTES as u64 {
            let head = body.stretch(generation.offset, OVERLONG_HEAD_BYTES)?;
            self.interpreter.reject(batch, (&head, RejectCode::TooLarge), origin);
        } else {
            let line = body.stretch(generation.offset, len as usize)?;
            self.interpreter.last_line(batch, without_mark(&line, generation.offset), origin);
        }
        let kept = end.min(TAIL_BYTES as u64);
        generation.tail = Fingerprint::of(&body.stretch(end - kept, kept as usize)?);
        (generation.offset, generation.searched, generation.touched) = (end, end, true);
        generation.lines += 1;
        Ok(())
    }
}

/// Hands out the lines in the buffer; `true` when the batch has no more room.
fn hand_out(
    reader: &mut Reader,
    interpreter: &mut Interpreter,
    from: (&mut Generation, &mut Body),
    into: (&mut ChangeBatch, &mut Budget, u32),
) -> io::Result<bool> {
    let (generation, body) = from;
    let (batch, budget, place) = into;
    let streams = interpreter.streams().len();
    loop {
        let room = batch.changes().len() + streams <= ChangeBatch::MAX_CHANGES && !batch.is_full();
        if !room && !batch.changes().is_empty() {
            return Ok(true);
        }
        match reader.find(generation) {
            Found::Line(range, at) => {
                let newline = range.end;
                let bytes = range.len() * streams;
                if !batch.changes().is_empty() && budget.bytes + bytes > ChangeBatch::SOFT_BYTES {
                    reader.leave_line(&range);
                    return Ok(true);
                }
                budget.bytes += bytes;
                let line = without_mark(reader.line(range), at);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                interpreter.line(batch, line, (&generation.slot, Place { index: place, at }));
                reader.take(generation, newline);
            }
            Found::Overlong(at) => {
                let head = body.stretch(at, OVERLONG_HEAD_BYTES)?;
                let origin = (&*generation.slot, Place { index: place, at });
                interpreter.reject(batch, (&head, RejectCode::TooLarge), origin);
                reader.take_overlong(generation);
            }
            Found::NeedMore => return Ok(false),
        }
    }
}

/// A line without the byte order mark that may stand at the beginning of a file.
fn without_mark(line: &[u8], at: u64) -> &[u8] {
    if at == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line }
}
