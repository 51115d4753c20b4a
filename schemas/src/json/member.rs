//! Cursors over the members of one object and the elements of one array.
//!
//! It finds where each value ends by brackets and quotes and looks no further, so it is for text that has been checked;
//! on unchecked text it gives an error or slices of it, never a panic.

use super::string::RawString;
use super::token::{skip_space, skip_value, string_end};
use super::{Kind, SyntaxError};
use std::ops::Range;

/// Walks one object inside a larger text. Offsets are those of the whole text.
#[derive(Debug)]
pub struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
    first: bool,
}

/// One member.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: RawString<'a>,
    /// Where the member starts: its name's opening quote.
    pub start: usize,
    /// Where its value stands.
    pub value: Range<usize>,
    /// What its value is.
    pub kind: Kind,
}

impl<'a> Members<'a> {
    /// The members of the object at `at` (white space before it allowed); `None` if no object starts there.
    pub fn of(bytes: &'a [u8], at: usize) -> Option<Self> {
        let at = skip_space(bytes, at);
        (bytes.get(at) == Some(&b'{')).then_some(Self { bytes, at: at + 1, first: true })
    }

    /// The next member, in the order of the text.
    pub fn next_member(&mut self) -> Result<Option<Member<'a>>, SyntaxError> {
        let Some((start, name)) = self.next_name()? else { return Ok(None) };
        let from = self.at;
        let kind = self.bytes.get(from).and_then(|b| Kind::of(*b)).ok_or(SyntaxError::malformed(from))?;
        self.skip()?;
        Ok(Some(Member { name, start, value: from..self.at, kind }))
    }

    /// The next name; the cursor then stands on its value, which [`skip`](Self::skip) passes.
    pub(super) fn next_name(&mut self) -> Result<Option<(usize, RawString<'a>)>, SyntaxError> {
        let mut at = skip_space(self.bytes, self.at);
        match self.bytes.get(at) {
            Some(b'}') => return Ok(None),
            Some(b',') if !self.first => at = skip_space(self.bytes, at + 1),
            _ if self.first => self.first = false,
            _ => return Err(SyntaxError::malformed(at)),
        }
        if self.bytes.get(at) != Some(&b'"') {
            return Err(SyntaxError::malformed(at));
        }
        let (end, escaped) = string_end(self.bytes, at + 1)?;
        let colon = skip_space(self.bytes, end + 1);
        if self.bytes.get(colon) != Some(&b':') {
            return Err(SyntaxError::malformed(colon));
        }
        self.at = skip_space(self.bytes, colon + 1);
        Ok(Some((at, RawString::new(&self.bytes[at + 1..end], escaped))))
    }

    /// Where the cursor stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Passes the value the cursor stands on.
    pub(super) fn skip(&mut self) -> Result<(), SyntaxError> {
        self.at = skip_value(self.bytes, self.at)?;
        Ok(())
    }
}

/// Walks one array inside a larger text. Offsets are those of the whole text.
#[derive(Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
    first: bool,
}

impl<'a> Items<'a> {
    /// The elements of the array at `at` (white space before it allowed); `None` if no array starts there.
    pub fn of(bytes: &'a [u8], at: usize) -> Option<Self> {
        let at = skip_space(bytes, at);
        (bytes.get(at) == Some(&b'[')).then_some(Self { bytes, at: at + 1, first: true })
    }

    /// Where the next element stands and what it is.
    pub fn next_item(&mut self) -> Result<Option<(Range<usize>, Kind)>, SyntaxError> {
        let mut at = skip_space(self.bytes, self.at);
        match self.bytes.get(at) {
            Some(b']') => return Ok(None),
            Some(b',') if !self.first => at = skip_space(self.bytes, at + 1),
            _ if self.first => self.first = false,
            _ => return Err(SyntaxError::malformed(at)),
        }
        let kind = self.bytes.get(at).and_then(|b| Kind::of(*b)).ok_or(SyntaxError::malformed(at))?;
        self.at = skip_value(self.bytes, at)?;
        Ok(Some((at..self.at, kind)))
    }
}
