//! The encoded key of a record: injective, type-tagged, numerically normalised, so that 5 and "5" stay two records and
//! 5, 5.0 and 5e0 are one.
//!
//! | tag  | value                                                             |
//! |------|-------------------------------------------------------------------|
//! | `s:` | string                                                            |
//! | `n:` | number as an exact decimal in one normal form                     |
//! | `T:` `F:` | true, false (no value behind the colon)                      |
//! | `x:` | array or object: canonical JSON, member order kept, numbers normalised |
//! | `o:` | ObjectId: 24 hex digits                                           |
//! | `u:` | UUID (binary of subtype 4): 36 characters                         |
//! | `b:` | any other binary: subtype and bytes in hex                        |
//! | `d:` | date: milliseconds since 1970                                     |
//! | `t:` | timestamp: seconds and counter (`1.2`)                            |
//! | `z:` | null (BSON only; a JSON key of null is none)                      |
//! | `m:` `M:` | MinKey, MaxKey                                               |
//! | `c:` `w:` `r:` `D:` `v:` | code, code with scope, regular expression, database pointer, undefined |
//! | `p:` | place: file generation and byte offset (`key: position`, and rejects whose key cannot be read) |
//! | `h:` | SHA-256 (hex) of an encoding longer than [`RecordKey::MAX_BYTES`] |
//!
//! The text is what an untyped key column holds, so it is valid UTF-8 without U+0000; how strings that hold U+0000 are
//! escaped is said at [`RecordKey::string`], how numbers are spelled at [`Decimal::append_normal`]. The encoding is stored:
//! in queues, in indexes and in PostgreSQL. It must never change.
//!
//! Keeps promise 8: whatever spelling a source uses, one key is one encoding and so one partition.

mod binary;
mod canonical;
mod finding;
mod view;

#[cfg(test)]
mod binary_tests;
#[cfg(test)]
mod tests;

pub use finding::{key_of, key_of_bson};
pub use view::KeyView;

use crate::hash::KeyHash;
use crate::json::{Decimal, Kind, MAX_NUMBER_TEXT, RawString};
use crate::rejection::RejectCode;
use sha2::{Digest, Sha256};
use std::io::Write;

/// An encoded key. Cheap to clear and refill: capture keeps one and rewrites it for each record.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct RecordKey(Vec<u8>);

impl RecordKey {
    /// Longest encoding; a longer one is replaced by its hash. Fits a btree key and leaves room for a parent's.
    pub const MAX_BYTES: usize = 1_024;

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Its hash.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }

    /// Takes an encoding made before, as an index or a queue kept it.
    pub fn set_encoded(&mut self, encoded: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(encoded);
    }

    /// Makes the key of a place: for `key: position` and for what has no readable key.
    pub fn place(&mut self, generation: &str, at: u64) {
        self.0.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(self.0, "p:{generation}:{at:016}");
    }

    /// Makes the key that says `text`: `s:` and the text, in which U+0000 is written `\0` and a backslash `\\`. All else
    /// stands as it is, so equal keys mean equal texts.
    pub fn string(&mut self, text: &str) {
        self.0.clear();
        self.append_string(text.as_bytes());
        self.shorten();
    }

    /// Makes the key that a JSON value stands for, from its raw text (no white space around it).
    ///
    /// Errors leave the key empty: `KeyMissing` for null, `LoneSurrogate`, `Malformed` and `InvalidUtf8` for text that has no
    /// meaning, `TooComplex` for numbers past [`MAX_NUMBER_TEXT`], `NumberRange` for exponents past 10¹⁴, `TooDeep`.
    pub fn set_json(&mut self, raw: &[u8]) -> Result<(), RejectCode> {
        self.0.clear();
        let made = self.append_json(raw);
        if made.is_err() {
            self.0.clear();
        }
        self.shorten();
        made
    }

    fn append_json(&mut self, raw: &[u8]) -> Result<(), RejectCode> {
        let kind = raw.first().and_then(|first| Kind::of(*first)).ok_or(RejectCode::Malformed)?;
        match kind {
            Kind::String => self.append_json_string(raw),
            Kind::Number if raw.len() > MAX_NUMBER_TEXT => Err(RejectCode::TooComplex),
            Kind::Number => {
                let number = Decimal::parse(raw)?;
                self.0.extend_from_slice(b"n:");
                number.append_normal(&mut self.0)
            }
            Kind::Array | Kind::Object => {
                self.0.extend_from_slice(b"x:");
                canonical::append_canonical(raw, &mut self.0)
            }
            Kind::Bool | Kind::Null => {
                match raw {
                    b"true" => self.0.extend_from_slice(b"T:"),
                    b"false" => self.0.extend_from_slice(b"F:"),
                    b"null" => return Err(RejectCode::KeyMissing),
                    _ => return Err(RejectCode::Malformed),
                }
                Ok(())
            }
        }
    }

    fn append_json_string(&mut self, raw: &[u8]) -> Result<(), RejectCode> {
        let string = RawString::parse(raw)?;
        if string.is_escaped() {
            let mut text = Vec::new();
            self.append_string(string.decode(&mut text)?.as_bytes());
        } else {
            // No backslash and no control byte can stand in it: it is its own encoding.
            std::str::from_utf8(string.raw()).map_err(|_| RejectCode::InvalidUtf8)?;
            self.0.extend_from_slice(b"s:");
            self.0.extend_from_slice(string.raw());
        }
        Ok(())
    }

    fn append_string(&mut self, mut text: &[u8]) {
        self.0.extend_from_slice(b"s:");
        while let Some(at) = memchr::memchr2(0, b'\\', text) {
            self.0.extend_from_slice(&text[..at]);
            self.0.extend_from_slice(if text[at] == 0 { br"\0" } else { br"\\" });
            text = &text[at + 1..];
        }
        self.0.extend_from_slice(text);
    }

    /// Replaces an encoding that is too long by its hash.
    fn shorten(&mut self) {
        if self.0.len() > Self::MAX_BYTES {
            let digest = Sha256::digest(&self.0);
            self.0.clear();
            self.0.extend_from_slice(b"h:");
            for byte in digest {
                // Writing to a Vec cannot fail.
                let _ = write!(self.0, "{byte:02x}");
            }
        }
    }
}
