//! The grammar of RFC 8259 as one loop over the text, telling a visitor what it passes.
//!
//! Depth costs a bit a level and no stack. The visitor may stop the walk with a code of its own; offsets are from the
//! start of the slice.

use super::SyntaxError;
use super::nesting::{Container, Nesting};
use super::string::RawString;
use super::token::{literal_end, number_end, skip_space, string_end};
use crate::rejection::RejectCode;

/// What a walk passes, in order. Every method may end it.
pub trait Visit {
    /// An array or object opens at `at`; `depth` counts it.
    fn open(&mut self, _at: usize, _kind: Container, _depth: usize) -> Result<(), SyntaxError> {
        Ok(())
    }

    /// It closes; `at` is its closing bracket.
    fn close(&mut self, _at: usize, _kind: Container) -> Result<(), SyntaxError> {
        Ok(())
    }

    /// A member's name, whose opening quote stands at `at`.
    fn name(&mut self, _at: usize, _name: RawString<'_>) -> Result<(), SyntaxError> {
        Ok(())
    }

    /// A string value, whose opening quote stands at `at`.
    fn string(&mut self, _at: usize, _text: RawString<'_>) -> Result<(), SyntaxError> {
        Ok(())
    }

    /// A number at `at`.
    fn number(&mut self, _at: usize, _text: &[u8]) -> Result<(), SyntaxError> {
        Ok(())
    }

    /// `true`, `false` or `null` at `at`.
    fn literal(&mut self, _at: usize, _text: &[u8]) -> Result<(), SyntaxError> {
        Ok(())
    }
}

/// Looks at nothing.
struct Passer;

impl Visit for Passer {}

/// Checks that `bytes` are exactly one JSON value with white space around it (RFC 8259) and valid UTF-8, at any depth.
pub fn check_syntax(bytes: &[u8]) -> Result<(), SyntaxError> {
    walk(bytes, &mut Passer)
}

/// Like [`check_syntax`], and shows every piece to `visit`.
pub fn walk<V: Visit>(bytes: &[u8], visit: &mut V) -> Result<(), SyntaxError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(SyntaxError { at: error.valid_up_to(), code: RejectCode::InvalidUtf8 });
    }
    let mut nesting = Nesting::default();
    let mut at = skip_space(bytes, 0);
    loop {
        at = match bytes.get(at) {
            Some(b'"') => {
                let (end, escaped) = string_end(bytes, at + 1)?;
                visit.string(at, RawString::new(&bytes[at + 1..end], escaped))?;
                end + 1
            }
            Some(b'{') => {
                nesting.push(Container::Object);
                visit.open(at, Container::Object, nesting.depth())?;
                let inside = skip_space(bytes, at + 1);
                if bytes.get(inside) != Some(&b'}') {
                    at = name(bytes, inside, visit)?;
                    continue;
                }
                inside
            }
            Some(b'[') => {
                nesting.push(Container::Array);
                visit.open(at, Container::Array, nesting.depth())?;
                let inside = skip_space(bytes, at + 1);
                if bytes.get(inside) != Some(&b']') {
                    at = inside;
                    continue;
                }
                inside
            }
            Some(b'-' | b'0'..=b'9') => {
                let end = number_end(bytes, at)?;
                visit.number(at, &bytes[at..end])?;
                end
            }
            _ => {
                let end = literal_end(bytes, at)?;
                visit.literal(at, &bytes[at..end])?;
                end
            }
        };
        match after_value(bytes, at, &mut nesting, visit)? {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
}

/// Closes what ends at `at`; the start of the next value, or `None` when the text is complete.
#[inline]
fn after_value<V: Visit>(
    bytes: &[u8],
    mut at: usize,
    nesting: &mut Nesting,
    visit: &mut V,
) -> Result<Option<usize>, SyntaxError> {
    loop {
        at = skip_space(bytes, at);
        let Some(kind) = nesting.innermost() else {
            return if at == bytes.len() { Ok(None) } else { Err(SyntaxError::malformed(at)) };
        };
        match (bytes.get(at), kind) {
            (Some(b','), Container::Object) => return name(bytes, skip_space(bytes, at + 1), visit).map(Some),
            (Some(b','), Container::Array) => return Ok(Some(skip_space(bytes, at + 1))),
            (Some(b'}'), Container::Object) | (Some(b']'), Container::Array) => {
                visit.close(at, kind)?;
                nesting.pop();
                at += 1;
            }
            _ => return Err(SyntaxError::malformed(at)),
        }
    }
}

/// A name and its colon; the start of the value.
#[inline]
fn name<V: Visit>(bytes: &[u8], at: usize, visit: &mut V) -> Result<usize, SyntaxError> {
    if bytes.get(at) != Some(&b'"') {
        return Err(SyntaxError::malformed(at));
    }
    let (end, escaped) = string_end(bytes, at + 1)?;
    visit.name(at, RawString::new(&bytes[at + 1..end], escaped))?;
    let colon = skip_space(bytes, end + 1);
    if bytes.get(colon) != Some(&b':') {
        return Err(SyntaxError::malformed(colon));
    }
    Ok(skip_space(bytes, colon + 1))
}
