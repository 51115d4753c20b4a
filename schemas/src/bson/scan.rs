//! The one pass that a document must survive before anything else looks at it: every length inside its bounds, every kind
//! known, no deeper than [`MAX_DEPTH`], and which members are named twice.
//!
//! Of members with one name the last counts, as in `jsonb`; the others are listed by offset, so that whoever writes the
//! document passes them over. Names are compared as bytes. In arrays names mean nothing: position counts.
//!
//! No recursion. Memory: sixteen bytes a member of the open documents, kept from one record to the next.

use super::element::{Element, Elements};
use super::pointer::pointer_at;
use super::{Fault, Kind, MAX_DEPTH, MAX_MEMBERS};
use crate::json::MAX_RECORD_BYTES;
use crate::rejection::{RejectCode, Rejection};

/// Documents with at most this many members are compared pairwise when they close; larger ones are sorted.
const PAIRWISE: usize = 24;

/// Looks through records, keeping its memory from one to the next.
#[derive(Debug, Default)]
pub struct Scan {
    names: Vec<Name>,
    open: Vec<Open>,
    superseded: Vec<u32>,
    /// Offset of the first member whose name stood before.
    repeated: Option<u32>,
    dollar: bool,
}

/// A name seen in a document that is still open.
#[derive(Clone, Copy, Debug)]
struct Name {
    hash: u64,
    /// Offset of its element.
    at: u32,
    length: u32,
}

/// A document, array or scope that is still open, without its elements: they are read from the iterator beside it.
#[derive(Debug)]
struct Open {
    /// Where the reading goes on in it once what it holds is closed.
    next: usize,
    end: usize,
    array: bool,
    /// Where its names start.
    names: u32,
}

impl Scan {
    /// Looks through a record, which must be one document from its first byte to its last.
    ///
    /// `TooLarge`, `Malformed`, `TooDeep`, `TooComplex`; the rejection names path and offset.
    pub fn check(&mut self, record: &[u8]) -> Result<(), Rejection> {
        self.run(record).map_err(|fault| reject(record, fault))
    }

    /// Offsets of the members that a later one of the same name supersedes, ascending.
    pub fn superseded(&self) -> &[u32] {
        &self.superseded
    }

    /// Offset of the first member whose name stood before in its document.
    pub fn repeated(&self) -> Option<usize> {
        self.repeated.map(|at| at as usize)
    }

    /// Whether any member's name begins with `$`: else no document can look like Extended JSON.
    pub fn has_dollar(&self) -> bool {
        self.dollar
    }

    fn run(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.names.clear();
        self.open.clear();
        self.superseded.clear();
        self.repeated = None;
        self.dollar = false;
        if record.len() > MAX_RECORD_BYTES {
            return Err(Fault { at: MAX_RECORD_BYTES, code: RejectCode::TooLarge });
        }
        let mut elements = Elements::of(record, 0)?;
        if elements.behind() != record.len() {
            return Err(Fault::malformed(elements.behind()));
        }
        let mut array = false;
        loop {
            match elements.next_element()? {
                Some(element) => {
                    if !array {
                        self.name(&element)?;
                    }
                    if let Some(inside) = element.elements(record) {
                        self.push(&element, elements, array)?;
                        (elements, array) = (inside, element.kind == Kind::Array);
                    }
                }
                None => {
                    let from = self.open.last().map_or(0, |open| open.names as usize);
                    if !array {
                        self.compare(record, from);
                    }
                    self.names.truncate(from);
                    let Some(outer) = self.open.pop() else { break };
                    (elements, array) = (Elements::resume(record, outer.next, outer.end), outer.array);
                }
            }
        }
        self.superseded.sort_unstable();
        Ok(())
    }

    fn push(&mut self, element: &Element<'_>, outer: Elements<'_>, array: bool) -> Result<(), Fault> {
        // The document itself is the first level and not among the open.
        if self.open.len() + 2 > MAX_DEPTH {
            return Err(Fault { at: element.at, code: RejectCode::TooDeep });
        }
        let (next, end) = outer.place();
        self.open.push(Open { next, end, array, names: self.names.len() as u32 });
        Ok(())
    }

    fn name(&mut self, element: &Element<'_>) -> Result<(), Fault> {
        let from = self.open.last().map_or(0, |open| open.names as usize);
        if self.names.len() - from == MAX_MEMBERS {
            return Err(Fault { at: element.at, code: RejectCode::TooComplex });
        }
        self.dollar |= element.name.first() == Some(&b'$');
        let hash = xxhash_rust::xxh3::xxh3_64(element.name);
        self.names.push(Name { hash, at: element.at as u32, length: element.name.len() as u32 });
        Ok(())
    }

    /// Looks for equal names among those from `from` on.
    fn compare(&mut self, record: &[u8], from: usize) {
        let text = |name: &Name| {
            let start = name.at as usize + 1;
            &record[start..start + name.length as usize]
        };
        let same = |a: &Name, b: &Name| a.hash == b.hash && text(a) == text(b);
        let names = &mut self.names[from..];
        let mut note = |earlier: &Name, later: &Name| {
            self.superseded.push(earlier.at);
            self.repeated = Some(self.repeated.map_or(later.at, |first| first.min(later.at)));
        };
        if names.len() <= PAIRWISE {
            for (n, name) in names.iter().enumerate() {
                if let Some(later) = names[n + 1..].iter().find(|later| same(name, later)) {
                    note(name, later);
                }
            }
            return;
        }
        names.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| text(a).cmp(text(b))).then(a.at.cmp(&b.at)));
        for pair in names.windows(2).filter(|pair| same(&pair[0], &pair[1])) {
            note(&pair[0], &pair[1]);
        }
    }
}

/// Says where and what, in words that hold no value.
pub fn reject(record: &[u8], fault: Fault) -> Rejection {
    let (expected, found) = match fault.code {
        RejectCode::Malformed => ("BSON", "something else"),
        RejectCode::TooLarge => ("at most 16 MiB", "more"),
        RejectCode::TooDeep => ("at most 200 levels", "more"),
        RejectCode::TooComplex => ("at most 100000 members a document", "more"),
        RejectCode::InvalidUtf8 => ("UTF-8 (or a column of exact bytes beside it)", "other bytes"),
        RejectCode::NulCharacter => ("text without U+0000 (or a column of exact bytes beside it)", "U+0000"),
        RejectCode::DuplicateMember => ("each member once (or a column of exact bytes beside it)", "a second one"),
        _ => ("a storable document", "another"),
    };
    Rejection::new(fault.code, &pointer_at(record, fault.at), expected, found).at(fault.at as u64)
}
