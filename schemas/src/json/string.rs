//! A string as it stands between its quotes, and what it says once unescaped.

use crate::rejection::RejectCode;

/// A string or member name in its raw text, without the quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawString<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> RawString<'a> {
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// From a whole raw value, quotes included, checked: `Malformed` if it is not exactly one JSON string.
    pub fn parse(value: &'a [u8]) -> Result<Self, RejectCode> {
        match super::token::string_end(value, 1) {
            Ok((end, escaped)) if value.first() == Some(&b'"') && end + 1 == value.len() => {
                Ok(Self { raw: &value[1..end], escaped })
            }
            _ => Err(RejectCode::Malformed),
        }
    }

    /// From a whole raw value that was checked before, quotes included. `None` if it is not a string.
    pub fn of_value(value: &'a [u8]) -> Option<Self> {
        let raw = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(Self { raw, escaped: memchr::memchr(b'\\', raw).is_some() })
    }

    /// The text between the quotes, escapes as they stand.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether it holds a backslash.
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// Whether it says `text`.
    pub fn is(&self, text: &str) -> bool {
        if !self.escaped {
            return self.raw == text.as_bytes();
        }
        let mut left = text.as_bytes();
        let mut same = true;
        let read = self.pieces(|piece| match left.strip_prefix(piece) {
            Some(tail) => left = tail,
            None => same = false,
        });
        read.is_ok() && same && left.is_empty()
    }

    /// What it says. Plain text is lent as it stands; `buffer` is used only where escapes must be resolved.
    ///
    /// Errors: `LoneSurrogate`, `InvalidUtf8`, `Malformed`. U+0000 is not an error here.
    pub fn decode<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b str, RejectCode>
    where
        'a: 'b,
    {
        let bytes: &'b [u8] = if self.escaped {
            buffer.clear();
            self.append_to(buffer)?;
            buffer
        } else {
            self.raw
        };
        std::str::from_utf8(bytes).map_err(|_| RejectCode::InvalidUtf8)
    }

    /// Appends what it says. Errors as [`decode`](Self::decode), without the check of UTF-8.
    pub fn append_to(&self, out: &mut Vec<u8>) -> Result<(), RejectCode> {
        self.pieces(|piece| out.extend_from_slice(piece))
    }

    /// Whether an escape in it says U+0000 (which cannot stand there otherwise).
    pub fn has_nul(&self) -> Result<bool, RejectCode> {
        let mut found = false;
        if self.escaped {
            self.pieces(|piece| found |= piece == [0])?;
        }
        Ok(found)
    }

    /// Runs over its text in pieces: stretches without escapes as they stand, escapes one by one, resolved.
    fn pieces(&self, mut take: impl FnMut(&[u8])) -> Result<(), RejectCode> {
        let mut at = 0;
        while let Some(slash) = memchr::memchr(b'\\', &self.raw[at..]) {
            if slash > 0 {
                take(&self.raw[at..at + slash]);
            }
            let (character, next) = escape(self.raw, at + slash)?;
            take(character.encode_utf8(&mut [0; 4]).as_bytes());
            at = next;
        }
        if at < self.raw.len() {
            take(&self.raw[at..]);
        }
        Ok(())
    }
}

impl std::fmt::Debug for RawString<'_> {
    /// Its length only: it may be a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawString").field("bytes", &self.raw.len()).field("escaped", &self.escaped).finish()
    }
}

/// The character of the escape at `at`, and the offset behind it. A surrogate pair is one escape.
fn escape(raw: &[u8], at: usize) -> Result<(char, usize), RejectCode> {
    let simple = match raw.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(raw, at),
        _ => return Err(RejectCode::Malformed),
    };
    Ok((simple, at + 2))
}

fn unicode_escape(raw: &[u8], at: usize) -> Result<(char, usize), RejectCode> {
    let first = hex4(raw, at + 2)?;
    let (code, next) = if (0xd800..0xdc00).contains(&first) && raw.get(at + 6..at + 8) == Some(b"\\u") {
        match hex4(raw, at + 8)? {
            second @ 0xdc00..=0xdfff => (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), at + 12),
            _ => return Err(RejectCode::LoneSurrogate),
        }
    } else {
        (first, at + 6)
    };
    // The only numbers up to 0x10ffff that are no characters are surrogates.
    char::from_u32(code).map(|character| (character, next)).ok_or(RejectCode::LoneSurrogate)
}

fn hex4(raw: &[u8], at: usize) -> Result<u32, RejectCode> {
    let digits = raw.get(at..at + 4).ok_or(RejectCode::Malformed)?;
    digits.iter().try_fold(0_u32, |sum, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(RejectCode::Malformed)?;
        Ok(sum << 4 | value)
    })
}
