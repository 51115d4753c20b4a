//! What a column does to a value before it takes it: text made uniform, spellings replaced, text and numbers read as something else.
//!
//! In this order: `normalize`, `values`, `parse`. Applied to strings, numbers and booleans; null stays null, other kinds are parked.
//! How it is done stands in [`crate::value::rule`].

use std::collections::BTreeMap;

/// The rule of one column.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ValueRule {
    /// Applied to strings, one after the other.
    pub normalize: Vec<Normalizer>,
    /// Spellings and what is stored for them.
    pub values: Option<Spellings>,
    /// How what is left is read.
    pub parse: Option<Parse>,
    /// Whether the field stays in the rest as it stood.
    pub source: SourceField,
}

/// What becomes of the field that a rule was applied to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SourceField {
    /// It stays in the rest too, so that the way back is exact.
    #[default]
    Kept,
    /// The column alone holds it.
    Taken,
}

/// Makes text uniform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Normalizer {
    /// White space at both ends goes.
    Trim,
    /// Runs of white space become one space.
    CollapseSpace,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Unicode normalization form C.
    Nfc,
    /// Empty text is NULL.
    EmptyToNull,
}

/// Spellings of a closed list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spellings {
    /// Text of a string, number or boolean → JSON text of what is stored.
    pub listed: BTreeMap<Box<str>, Box<str>>,
    /// Others.
    pub otherwise: Otherwise,
}

/// What becomes of a spelling that is not listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Otherwise {
    /// The record is parked.
    #[default]
    Park,
    /// It goes on as it is.
    Pass,
}

/// How a string or a number is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parse {
    /// A count of this unit since 1970-01-01 in UTC, a number or the text of one.
    Epoch(EpochUnit),
    /// ISO 8601, a date alone too; without an offset it is in this zone, where one is given.
    Iso(Option<Offset>),
    /// Text of this pattern (`%d/%m/%Y %H:%M`), in this zone unless the pattern tells one.
    Pattern(Box<str>, Option<Offset>),
    /// The text of a JSON number.
    Number,
    /// An amount with or without currency.
    Money(MoneyMarks),
    /// Any string, number or boolean as text, as it stands.
    Text,
}

/// A unit of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

/// Seconds east of UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset(pub i32);

/// How an amount is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoneyMarks {
    /// Before the fraction.
    pub decimal: char,
    /// Between groups of three digits.
    pub group: Option<char>,
}

impl Default for MoneyMarks {
    fn default() -> Self {
        Self { decimal: '.', group: Some(',') }
    }
}
