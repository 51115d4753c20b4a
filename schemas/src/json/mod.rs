//! JSON text as it stands in a source: checked, searched and cut into slices, never turned into a tree.
//!
//! Our own, because one pass must give byte offsets, the text of numbers, duplicate members at every depth, a depth
//! limit, U+0000 and lone surrogates, and must do so without recursion, so that input nested a million deep is only long.
//! It is tested against `serde_json`.
//!
//! What it does not do: give values a PostgreSQL form (`value`), or know mappings.
//!
//! Keeps promise 13 (what cannot be stored is told apart before PostgreSQL sees it) and 14 (raw text is kept, so nothing
//! is lost on the way). Failure is a [`SyntaxError`]: a stable code and a byte offset, never a value. Nothing here panics
//! on malformed input.

mod decimal;
mod field;
mod grammar;
mod limits;
mod member;
mod nesting;
mod outline;
mod pointer;
mod storable;
mod string;
mod token;

#[cfg(test)]
pub(crate) mod tests;

pub use decimal::Decimal;
pub use field::field;
pub use grammar::{Visit, check_syntax, walk};
pub use limits::{MAX_DEPTH, MAX_MEMBERS, MAX_NUMBER_TEXT, MAX_RECORD_BYTES};
pub use member::{Items, Member, Members};
pub use nesting::Container;
pub use pointer::pointer_at;
pub use storable::{Checked, StorableCheck, check_number, check_storable};
pub use string::RawString;
pub(crate) use token::plain_until;
pub use token::{skip_space, skip_value};

use crate::rejection::RejectCode;

/// Where and why text is not what it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code} at byte {at}")]
pub struct SyntaxError {
    /// Byte offset, from the start of the slice that was given.
    pub at: usize,
    /// Why.
    pub code: RejectCode,
}

impl SyntaxError {
    pub(crate) fn malformed(at: usize) -> Self {
        Self { at, code: RejectCode::Malformed }
    }
}

/// The kind of a JSON value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// The kind of the value whose first byte this is; `None` if no value starts with it.
    pub fn of(first: u8) -> Option<Self> {
        Some(match first {
            b'n' => Self::Null,
            b't' | b'f' => Self::Bool,
            b'-' | b'0'..=b'9' => Self::Number,
            b'"' => Self::String,
            b'[' => Self::Array,
            b'{' => Self::Object,
            _ => return None,
        })
    }

    /// For people: `null`, `boolean`, `number`, `string`, `array`, `object`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
