//! Whether one file holds the content of another: what a rotated copy is known by.
//!
//! Compares beginnings and ends, never names. A gzip copy is read through once.

use crate::files::identity::{HEAD_BYTES, TAIL_BYTES};
use crate::files::lines::body::Body;
use crate::files::lines::generation::{Generation, Standing};
use std::io;

/// Whether a file holds the rest of a generation.
pub(super) enum Holds {
    /// From the offset on.
    Rest,
    /// Its beginning, and ends before the offset: everything that was copied has been handed out.
    LessThanRead(u64),
    /// Something else.
    No,
}

/// Whether `body` holds what follows the offset of a generation.
pub(super) fn holds(generation: &Generation, body: &mut Body) -> io::Result<Holds> {
    if generation.head.len == 0 || !generation.head_agrees(body)? {
        return Ok(Holds::No);
    }
    let len = usize::from(generation.tail.len);
    let tail = body.stretch(generation.offset - len as u64, len)?;
    if tail.len() == len && generation.tail.begins(&tail) {
        return Ok(Holds::Rest);
    }
    let end = body.length()?;
    // Only a copy made before a truncation can be shorter than what was read.
    let copied_early = generation.standing == Standing::Overwritten && end < generation.offset;
    Ok(if copied_early { Holds::LessThanRead(end) } else { Holds::No })
}

/// Whether `copy` repeats `original` from its beginning.
pub(super) fn repeats(original: &mut Body, copy: &mut Body) -> io::Result<bool> {
    let head = copy.stretch(0, HEAD_BYTES)?;
    if original.stretch(0, head.len())? != head {
        return Ok(false);
    }
    let end = copy.length()?;
    let len = end.min(TAIL_BYTES as u64);
    Ok(copy.stretch(end - len, len as usize)? == original.stretch(end - len, len as usize)?)
}
