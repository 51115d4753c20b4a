//! Canonical JSON of an array or object that serves as a key: no white space, members in their order, numbers in normal
//! form, strings with the fewest escapes.

use crate::json::{Container, Decimal, MAX_DEPTH, MAX_NUMBER_TEXT, RawString, SyntaxError, Visit, walk};
use crate::rejection::RejectCode;
use std::io::Write;

/// Appends the canonical text of `raw`. Two values give the same text exactly when they are equal, member order included.
pub(super) fn append_canonical(raw: &[u8], out: &mut Vec<u8>) -> Result<(), RejectCode> {
    walk(raw, &mut Canonical { out, comma: false, text: Vec::new() }).map_err(|error| error.code)
}

struct Canonical<'a> {
    out: &'a mut Vec<u8>,
    /// Whether a comma goes before the next member or element.
    comma: bool,
    text: Vec<u8>,
}

impl Canonical<'_> {
    fn begin(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    fn quoted(&mut self, at: usize, string: RawString<'_>) -> Result<(), SyntaxError> {
        let text = string.decode(&mut self.text).map_err(|code| SyntaxError { at, code })?;
        self.out.push(b'"');
        for byte in text.bytes() {
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                0..0x20 => {
                    // Writing to a Vec cannot fail.
                    let _ = write!(self.out, "\\u{byte:04x}");
                }
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
        Ok(())
    }
}

impl Visit for Canonical<'_> {
    fn open(&mut self, at: usize, kind: Container, depth: usize) -> Result<(), SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError { at, code: RejectCode::TooDeep });
        }
        self.begin();
        self.out.push(if kind == Container::Object { b'{' } else { b'[' });
        self.comma = false;
        Ok(())
    }

    fn close(&mut self, _at: usize, kind: Container) -> Result<(), SyntaxError> {
        self.out.push(if kind == Container::Object { b'}' } else { b']' });
        self.comma = true;
        Ok(())
    }

    fn name(&mut self, at: usize, name: RawString<'_>) -> Result<(), SyntaxError> {
        self.begin();
        self.quoted(at, name)?;
        self.out.push(b':');
        self.comma = false;
        Ok(())
    }

    fn string(&mut self, at: usize, text: RawString<'_>) -> Result<(), SyntaxError> {
        self.begin();
        self.quoted(at, text)
    }

    fn number(&mut self, at: usize, text: &[u8]) -> Result<(), SyntaxError> {
        if text.len() > MAX_NUMBER_TEXT {
            return Err(SyntaxError { at, code: RejectCode::TooComplex });
        }
        self.begin();
        let number = Decimal::parse(text).and_then(|number| number.append_normal(self.out));
        number.map_err(|code| SyntaxError { at, code })
    }

    fn literal(&mut self, _at: usize, text: &[u8]) -> Result<(), SyntaxError> {
        self.begin();
        self.out.extend_from_slice(text);
        Ok(())
    }
}
