//! Why a record was parked: stable codes, never a value of the record.
//!
//! Keeps promise 13. Codes are append-only: dashboards, runbooks and dead letters name them.

use std::fmt;

/// Why something in a source or a record could not become a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub enum RejectCode {
    /// Not JSON.
    Malformed = 1,
    /// Not UTF-8.
    InvalidUtf8 = 2,
    /// Deeper than the limit.
    TooDeep = 3,
    /// Longer than the limit; the payload is the record's head.
    TooLarge = 4,
    /// One object names a member twice.
    DuplicateMember = 5,
    /// The key is missing, null, or cannot be a key.
    KeyMissing = 6,
    /// The record is not an object where one is needed.
    NotAnObject = 7,
    /// One revision holds the key twice; the first stands.
    DuplicateKey = 8,
    /// The key's value does not fit the declared key type.
    KeyType = 9,
    /// A value does not fit its column.
    ColumnType = 10,
    /// A required value is missing or null.
    RequiredMissing = 11,
    /// Text holds U+0000, which PostgreSQL cannot store.
    NulCharacter = 12,
    /// Text holds half a surrogate pair, which PostgreSQL cannot store.
    LoneSurrogate = 13,
    /// A number beyond what the column (or `jsonb`) can hold exactly.
    NumberRange = 14,
    /// A date or time outside PostgreSQL's range.
    TimeRange = 15,
    /// PostgreSQL refused the row; the detail is its SQLSTATE.
    Refused = 16,
    /// An operation field holds something that is not an operation.
    UnknownOperation = 17,
    /// Waiting behind an earlier dead letter of the same key.
    Behind = 18,
    /// More members, or a longer number, than the limits allow.
    TooComplex = 19,
    /// A spelling that the list of a column does not name.
    ValueNotListed = 20,
    /// A nested value is not what its table is made of: no array, no object.
    ChildShape = 21,
    /// Two nested values of one record have one key.
    DuplicateChild = 22,
    /// A jq expression failed, gave several values, or one that JSON does not have.
    ExpressionFailed = 23,
    /// A field that nothing maps, where the stream wants to know of it.
    NewField = 24,
    /// Several files hold lines of the key, and which of them was captured last is not known.
    OrderUnknown = 25,
}

impl RejectCode {
    /// All codes.
    pub const ALL: [Self; 25] = [
        Self::Malformed,
        Self::InvalidUtf8,
        Self::TooDeep,
        Self::TooLarge,
        Self::DuplicateMember,
        Self::KeyMissing,
        Self::NotAnObject,
        Self::DuplicateKey,
        Self::KeyType,
        Self::ColumnType,
        Self::RequiredMissing,
        Self::NulCharacter,
        Self::LoneSurrogate,
        Self::NumberRange,
        Self::TimeRange,
        Self::Refused,
        Self::UnknownOperation,
        Self::Behind,
        Self::TooComplex,
        Self::ValueNotListed,
        Self::ChildShape,
        Self::DuplicateChild,
        Self::ExpressionFailed,
        Self::NewField,
        Self::OrderUnknown,
    ];

    /// The stable name, as in `landfall.dead_letters.code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::DuplicateMember => "duplicate_member",
            Self::KeyMissing => "key_missing",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateKey => "duplicate_key",
            Self::KeyType => "key_type",
            Self::ColumnType => "column_type",
            Self::RequiredMissing => "required_missing",
            Self::NulCharacter => "nul_character",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NumberRange => "number_range",
            Self::TimeRange => "time_range",
            Self::Refused => "refused",
            Self::UnknownOperation => "unknown_operation",
            Self::Behind => "behind",
            Self::TooComplex => "too_complex",
            Self::ValueNotListed => "value_not_listed",
            Self::ChildShape => "child_shape",
            Self::DuplicateChild => "duplicate_child",
            Self::ExpressionFailed => "expression_failed",
            Self::NewField => "new_field",
            Self::OrderUnknown => "order_unknown",
        }
    }

    /// From the stored number.
    pub fn from_u16(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u16 == code)
    }

    /// Whether later changes of the key wait behind it. A duplicate inside one revision does not: its first record stands whole. Nor do lines
    /// without an order: the next one is surely behind them all.
    pub fn blocks_key(self) -> bool {
        !matches!(self, Self::DuplicateKey | Self::OrderUnknown)
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rejection with what a person needs to mend it: which path, what was expected, what was found. Never a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code} at {path}: expected {expected}, found {found}")]
pub struct Rejection {
    /// Why.
    pub code: RejectCode,
    /// JSON pointer or column.
    pub path: Box<str>,
    /// What would have fitted.
    pub expected: Box<str>,
    /// What kind of thing stood there.
    pub found: Box<str>,
    /// Byte offset inside the record, where one is known.
    pub at: Option<u64>,
}

impl Rejection {
    /// A rejection at a path.
    pub fn new(code: RejectCode, path: &str, expected: &str, found: &str) -> Self {
        Self { code, path: path.into(), expected: expected.into(), found: found.into(), at: None }
    }

    /// With the byte offset inside the record.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.at = Some(offset);
        self
    }
}
