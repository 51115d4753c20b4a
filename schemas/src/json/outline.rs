//! Where the members of a record stand, noted while it is checked, so that nobody has to look for their ends again.
//!
//! Of the outermost object only; a record that is no object has none. Checks nothing itself.

use super::Kind;
use super::member::Member;
use super::nesting::Container;
use super::string::RawString;

/// One member of the outermost object.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Its name's opening quote.
    start: u32,
    /// Its name's closing quote.
    name_end: u32,
    escaped: bool,
    from: u32,
    until: u32,
}

/// The members of the outermost object, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Outline {
    spans: Vec<Span>,
    depth: usize,
    object: bool,
}

impl Outline {
    /// For the next record.
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.depth = 0;
        self.object = false;
    }

    #[inline]
    pub(super) fn open(&mut self, at: usize, kind: Container) {
        match self.depth {
            0 => self.object = kind == Container::Object,
            1 => self.begin(at),
            _ => {}
        }
        self.depth += 1;
    }

    #[inline]
    pub(super) fn close(&mut self, at: usize) {
        self.depth -= 1;
        if self.depth == 1 {
            self.end(at + 1);
        }
    }

    #[inline]
    pub(super) fn name(&mut self, at: usize, name: RawString<'_>) {
        if self.depth == 1 {
            let (start, name_end) = (at as u32, (at + 1 + name.raw().len()) as u32);
            self.spans.push(Span { start, name_end, escaped: name.is_escaped(), from: 0, until: 0 });
        }
    }

    #[inline]
    pub(super) fn scalar(&mut self, from: usize, until: usize) {
        if self.depth == 1 {
            self.begin(from);
            self.end(until);
        }
    }

    #[inline]
    fn begin(&mut self, at: usize) {
        if let Some(span) = self.spans.last_mut() {
            span.from = at as u32;
        }
    }

    #[inline]
    fn end(&mut self, at: usize) {
        if let Some(span) = self.spans.last_mut() {
            span.until = at as u32;
        }
    }

    /// The members, as slices of the same text.
    pub(super) fn members<'a>(&'a self, record: &'a [u8]) -> impl Iterator<Item = Member<'a>> + 'a {
        let spans = if self.object { &self.spans[..] } else { &[] };
        spans.iter().filter_map(move |span| {
            let value = span.from as usize..span.until as usize;
            let name = record.get(span.start as usize + 1..span.name_end as usize)?;
            let kind = Kind::of(*record.get(value.clone())?.first()?)?;
            Some(Member { name: RawString::new(name, span.escaped), start: span.start as usize, value, kind })
        })
    }
}
