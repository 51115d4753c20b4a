//! An encoded key read back: what it stands for, for typed key columns and for people.

use std::borrow::Cow;

/// What an encoded key says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyView<'a> {
    /// `s:`, escapes resolved; may hold U+0000.
    Text(Cow<'a, str>),
    /// `n:`, in normal form; a JSON number.
    Number(&'a str),
    /// `T:` or `F:`.
    Bool(bool),
    /// `x:`, canonical JSON.
    Nested(&'a str),
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
            ("s:", rest) => Self::Text(unescape(rest)?),
            ("n:", rest) => Self::Number(rest),
            ("T:", "") => Self::Bool(true),
            ("F:", "") => Self::Bool(false),
            ("x:", rest) => Self::Nested(rest),
            ("p:", rest) => Self::Place(rest),
            ("h:", rest) => Self::Hashed(rest),
            _ => return None,
        })
    }

    /// The kind of value, for people.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Number(_) => "number",
            Self::Bool(_) => "boolean",
            Self::Nested(_) => "array or object",
            Self::Place(_) => "place in a file",
            Self::Hashed(_) => "key over 1024 bytes",
        }
    }
}

fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                '0' => '\0',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(Cow::Owned(out))
}
