//! An encoded key read back: what it stands for, for typed key columns and for people.

use std::borrow::Cow;

/// What an encoded key says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyView<'a> {
    /// `s:`, escapes resolved; may hold U+0000.
    Text(Cow<'a, str>),
    /// `s:` of bytes that are not UTF-8.
    Octets(Vec<u8>),
    /// `n:`, in normal form; a JSON number, or `NaN`, `Infinity`, `-Infinity`.
    Number(&'a str),
    /// `T:` or `F:`.
    Bool(bool),
    /// `x:`, canonical JSON with the encodings of what JSON cannot say.
    Nested(&'a str),
    /// `o:`, 24 hex digits.
    ObjectId(&'a str),
    /// `u:`, 36 characters.
    Uuid(&'a str),
    /// `b:`, subtype and bytes in hex.
    Binary(&'a str),
    /// `d:`, milliseconds since 1970.
    Date(i64),
    /// `t:`, seconds and counter.
    Timestamp(&'a str),
    /// `z:`
    Null,
    /// `m:`
    MinKey,
    /// `M:`
    MaxKey,
    /// `c:`, `w:`, `r:`, `D:` or `v:`: what no key of a collection can be, with the name of its kind.
    Odd(&'static str),
    /// `p:`, generation and offset.
    Place(&'a str),
    /// `h:`, hex of the hash; the value itself is not in the key.
    Hashed(&'a str),
}

impl<'a> KeyView<'a> {
    /// Reads an encoding; `None` if it is none.
    pub fn of(key: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let (tag, rest) = text.split_at_checked(2)?;
        Some(match (tag, rest) {
            ("s:", rest) => unescape(rest)?,
            ("n:", rest) => Self::Number(rest),
            ("T:", "") => Self::Bool(true),
            ("F:", "") => Self::Bool(false),
            ("x:", rest) => Self::Nested(rest),
            ("o:", rest) => Self::ObjectId(rest),
            ("u:", rest) => Self::Uuid(rest),
            ("b:", rest) => Self::Binary(rest),
            ("d:", rest) => Self::Date(rest.parse().ok()?),
            ("t:", rest) => Self::Timestamp(rest),
            ("z:", "") => Self::Null,
            ("m:", "") => Self::MinKey,
            ("M:", "") => Self::MaxKey,
            ("c:", _) => Self::Odd("javascript"),
            ("w:", _) => Self::Odd("javascript with scope"),
            ("r:", _) => Self::Odd("regular expression"),
            ("D:", _) => Self::Odd("database pointer"),
            ("v:", "") => Self::Odd("undefined"),
            ("p:", rest) => Self::Place(rest),
            ("h:", rest) => Self::Hashed(rest),
            _ => return None,
        })
    }

    /// The kind of value, for people.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Octets(_) => "string that is not UTF-8",
            Self::Number(_) => "number",
            Self::Bool(_) => "boolean",
            Self::Nested(_) => "array or object",
            Self::ObjectId(_) => "ObjectId",
            Self::Uuid(_) => "binary UUID",
            Self::Binary(_) => "binary",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::Null => "null",
            Self::MinKey => "MinKey",
            Self::MaxKey => "MaxKey",
            Self::Odd(name) => name,
            Self::Place(_) => "place in a file",
            Self::Hashed(_) => "key over 1024 bytes",
        }
    }
}

/// Resolves `\0`, `\\` and `\x` with two hex digits.
fn unescape(text: &str) -> Option<KeyView<'_>> {
    if !text.contains('\\') {
        return Some(KeyView::Text(Cow::Borrowed(text)));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', bytes) {
        out.extend_from_slice(&bytes[..at]);
        let escape = bytes.get(at + 1)?;
        let (byte, length) = match escape {
            b'0' => (0, 2),
            b'\\' => (b'\\', 2),
            b'x' => (hex(bytes.get(at + 2..at + 4)?)?, 4),
            _ => return None,
        };
        out.push(byte);
        bytes = &bytes[at + length..];
    }
    out.extend_from_slice(bytes);
    Some(match String::from_utf8(out) {
        Ok(text) => KeyView::Text(Cow::Owned(text)),
        Err(error) => KeyView::Octets(error.into_bytes()),
    })
}

fn hex(digits: &[u8]) -> Option<u8> {
    let lower = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if lower { u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok() } else { None }
}
