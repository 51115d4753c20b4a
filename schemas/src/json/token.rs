//! The smallest pieces: white space, strings, numbers, literals, and skipping a value without looking into it.
//!
//! Offsets go in and come out; each function stays inside the slice whatever it holds.

use super::SyntaxError;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte at or after `at` that is not JSON white space.
#[inline]
pub fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// High bits of the bytes that are `"`, `\` or below 0x20. Only the lowest flag is exact; a borrow may set later ones.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * 0x22);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let slash = word ^ (ONES * 0x5c);
    let slash = slash.wrapping_sub(ONES) & !slash;
    (control | quote | slash) & HIGHS
}

/// The first `"`, `\` or control byte at or after `at`, or the end. Eight bytes a step.
#[inline]
pub(crate) fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|tail| tail.first_chunk::<8>()) {
        let found = special_bytes(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Checks the string whose opening quote stands before `start`: offset of the closing quote, and whether it holds a
/// backslash.
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Result<(usize, bool), SyntaxError> {
    let mut at = start;
    let mut escaped = false;
    loop {
        at = plain_until(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape_end(bytes, at)?;
            }
            _ => return Err(SyntaxError::malformed(at)),
        }
    }
}

fn escape_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(SyntaxError::malformed(at)),
        },
        _ => Err(SyntaxError::malformed(at)),
    }
}

/// Checks the number that starts at `at`: offset behind it. What may follow a number is the caller's affair.
#[inline]
pub(super) fn number_end(bytes: &[u8], start: usize) -> Result<usize, SyntaxError> {
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        Some(b'1'..=b'9') => digits_end(bytes, at),
        _ => return Err(SyntaxError::malformed(at)),
    };
    if bytes.get(at) == Some(&b'.') {
        at = some_digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = some_digits(bytes, at + 1 + sign)?;
    }
    Ok(at)
}

#[inline]
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    at
}

fn some_digits(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    let end = digits_end(bytes, at);
    if end == at { Err(SyntaxError::malformed(at)) } else { Ok(end) }
}

/// Checks `true`, `false` or `null` at `at`: offset behind it.
#[inline]
pub(super) fn literal_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    let tail = bytes.get(at..).unwrap_or_default();
    let word: &[u8] = match tail.first() {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        _ => b"null",
    };
    if tail.starts_with(word) { Ok(at + word.len()) } else { Err(SyntaxError::malformed(at)) }
}

/// Behind the value that starts at `at`, found by its brackets and quotes alone: what stands between them is not checked.
pub fn skip_value(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    match bytes.get(at) {
        Some(b'"') => Ok(string_end(bytes, at + 1)?.0 + 1),
        Some(b'{' | b'[') => skip_nested(bytes, at),
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = rest.iter().position(|b| ends_scalar(*b)).unwrap_or(rest.len());
            if length == 0 { Err(SyntaxError::malformed(at)) } else { Ok(at + length) }
        }
    }
}

fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[' | b' ' | b'\n' | b'\r' | b'\t')
}

fn skip_nested(bytes: &[u8], mut at: usize) -> Result<usize, SyntaxError> {
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1)?.0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(SyntaxError::malformed(bytes.len()))
}
