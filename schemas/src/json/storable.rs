//! What a record must be before it can become a row: well formed, within the limits, no member twice, and, where it goes
//! into `jsonb`, nothing that `jsonb` would refuse or change.
//!
//! `jsonb` (PostgreSQL 15) holds text, `true`, `false`, `null` and `numeric`. So:
//!
//! - a string or name with U+0000 or half a surrogate pair is refused: `NulCharacter`, `LoneSurrogate`;
//! - of two members with one name the last would win: `DuplicateMember`;
//! - a number must fit `numeric`: written out, at most 131 072 digits before the point and 16 383 behind it, trailing zeros
//!   counted (`1.50` keeps its scale), and an exponent below 2³⁰ even for zero: `NumberRange`;
//! - `-0` in any spelling would lose its sign: `NumberRange`. `1e3` becomes `1000`, which is the same number: it passes.
//!
//! Member order inside objects and white space are not kept by `jsonb`; they are not part of a JSON value.

use super::decimal::Decimal;
use super::grammar::{Visit, walk};
use super::limits::{MAX_DEPTH, MAX_EXPANDED_DIGITS, MAX_MEMBERS, MAX_NUMBER_TEXT, MAX_RECORD_BYTES};
use super::member::Member;
use super::nesting::Container;
use super::outline::Outline;
use super::pointer::pointer_at;
use super::string::RawString;
use super::{SyntaxError, skip_space};
use crate::rejection::{RejectCode, Rejection};
use std::ops::Range;

/// Most digits `numeric` has before the point.
pub(crate) const NUMERIC_WHOLE_DIGITS: i64 = 131_072;
/// Most digits it has behind the point.
pub(crate) const NUMERIC_SCALE: i64 = 16_383;
/// PostgreSQL refuses to read exponents from here on, whatever the mantissa.
pub(crate) const NUMERIC_EXPONENT: i64 = (i32::MAX / 2) as i64;
/// Objects with at most this many members are compared pairwise when they close; larger ones are sorted.
const PAIRWISE: usize = 24;

/// Checks records, keeping its memory from one to the next. A record whose objects are ordinary costs no allocation after
/// the first.
#[derive(Debug, Default)]
pub struct StorableCheck {
    names: Vec<Name>,
    /// Where each open object's names start.
    objects: Vec<u32>,
    /// Names that hold escapes, resolved.
    resolved: Vec<u8>,
    members: Outline,
}

/// A member name seen in an object that is still open.
#[derive(Clone, Debug)]
struct Name {
    hash: u64,
    /// Where its text stands: in the record, or among the resolved.
    text: Range<u32>,
    resolved: bool,
    /// Where its opening quote stands in the record.
    at: u32,
}

/// How much is known of a record that passed a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checked {
    /// Grammar, limits and names: what `jsonb` takes of it must be checked on its own.
    Structure,
    /// All of it could go into `jsonb`, and so could any value in it.
    Storable,
}

/// Checks one record with fresh memory; where there are many, keep a [`StorableCheck`].
pub fn check_storable(bytes: &[u8]) -> Result<(), Rejection> {
    StorableCheck::default().check_storable(bytes)
}

impl StorableCheck {
    /// Grammar, limits, duplicates, and all that `jsonb` cannot hold exactly. The rejection names the place by JSON pointer
    /// and byte offset.
    pub fn check_storable(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.run::<true>(bytes).map_err(|error| reject(bytes, error))
    }

    /// Grammar, limits and duplicates only: for records whose values go into columns of other types, each of which has
    /// rules of its own. A member name that is not text is rejected here too: it cannot be compared.
    pub fn check_structure(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.run::<false>(bytes).map_err(|error| reject(bytes, error))
    }

    /// Asks for no more than [`check_structure`](Self::check_structure) does, and says when the record is storable too: of nearly
    /// every record this is known in the same pass, and then no value in it needs another.
    pub fn check_record(&mut self, bytes: &[u8]) -> Result<Checked, Rejection> {
        match self.run::<true>(bytes) {
            Ok(()) => Ok(Checked::Storable),
            // What `jsonb` refuses may stand where no `jsonb` takes it.
            Err(_) => self.check_structure(bytes).map(|()| Checked::Structure),
        }
    }

    fn run<const LEAVES: bool>(&mut self, bytes: &[u8]) -> Result<(), SyntaxError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(SyntaxError { at: MAX_RECORD_BYTES, code: RejectCode::TooLarge });
        }
        self.names.clear();
        self.objects.clear();
        self.resolved.clear();
        self.members.clear();
        walk(bytes, &mut Pass::<LEAVES> { bytes, state: self, expanded: 0 })
    }

    /// The members of the record that was checked last, if it passed and is an object.
    pub fn members<'a>(&'a self, record: &'a [u8]) -> impl Iterator<Item = Member<'a>> + 'a {
        self.members.members(record)
    }
}

/// Checks one number against what `numeric` (and so `jsonb`) holds exactly: the digits it would spell out beyond its text.
pub fn check_number(text: &[u8]) -> Result<u64, RejectCode> {
    if is_small(text) {
        return Ok(0);
    }
    let number = Decimal::parse(text)?;
    let too_far = number.exponent().abs() >= NUMERIC_EXPONENT
        || (!number.is_zero() && number.magnitude() > NUMERIC_WHOLE_DIGITS)
        || number.scale() > NUMERIC_SCALE
        || number.is_negative_zero();
    if too_far {
        return Err(RejectCode::NumberRange);
    }
    let whole = if number.is_zero() { 1 } else { number.magnitude().max(1) };
    Ok((whole + number.scale()).unsigned_abs().saturating_sub(text.len() as u64))
}

/// Ordinary numbers: short, no exponent, not starting with `-0`. They need no arithmetic.
fn is_small(text: &[u8]) -> bool {
    text.len() <= 64 && !text.starts_with(b"-0") && !text.iter().any(|b| matches!(b, b'e' | b'E'))
}

/// One pass over one record.
struct Pass<'a, const LEAVES: bool> {
    bytes: &'a [u8],
    state: &'a mut StorableCheck,
    expanded: u64,
}

impl<const LEAVES: bool> Visit for Pass<'_, LEAVES> {
    #[inline]
    fn open(&mut self, at: usize, kind: Container, depth: usize) -> Result<(), SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError { at, code: RejectCode::TooDeep });
        }
        self.state.members.open(at, kind);
        if kind == Container::Object {
            self.state.objects.push(self.state.names.len() as u32);
        }
        Ok(())
    }

    #[inline]
    fn close(&mut self, at: usize, kind: Container) -> Result<(), SyntaxError> {
        self.state.members.close(at);
        if kind == Container::Object {
            let from = self.state.objects.pop().map_or(0, |from| from as usize);
            self.state.check_names(self.bytes, from)?;
            self.state.names.truncate(from);
        }
        Ok(())
    }

    #[inline]
    fn name(&mut self, at: usize, name: RawString<'_>) -> Result<(), SyntaxError> {
        self.state.members.name(at, name);
        let from = self.state.objects.last().map_or(0, |from| *from as usize);
        if self.state.names.len() - from == MAX_MEMBERS {
            return Err(SyntaxError { at, code: RejectCode::TooComplex });
        }
        if name.is_escaped() {
            let start = self.state.resolved.len();
            name.append_to(&mut self.state.resolved).map_err(|code| SyntaxError { at, code })?;
            let resolved = &self.state.resolved[start..];
            if LEAVES && resolved.contains(&0) {
                return Err(SyntaxError { at, code: RejectCode::NulCharacter });
            }
            let hash = hash(resolved);
            let text = start as u32..self.state.resolved.len() as u32;
            self.state.names.push(Name { hash, text, resolved: true, at: at as u32 });
        } else {
            let start = at as u32 + 1;
            let text = start..start + name.raw().len() as u32;
            self.state.names.push(Name { hash: hash(name.raw()), text, resolved: false, at: at as u32 });
        }
        Ok(())
    }

    #[inline]
    fn string(&mut self, at: usize, text: RawString<'_>) -> Result<(), SyntaxError> {
        self.state.members.scalar(at, at + text.raw().len() + 2);
        if LEAVES && text.is_escaped() && text.has_nul().map_err(|code| SyntaxError { at, code })? {
            return Err(SyntaxError { at, code: RejectCode::NulCharacter });
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self, at: usize, text: &[u8]) -> Result<(), SyntaxError> {
        self.state.members.scalar(at, at + text.len());
        if text.len() > MAX_NUMBER_TEXT {
            return Err(SyntaxError { at, code: RejectCode::TooComplex });
        }
        if LEAVES {
            self.expanded += check_number(text).map_err(|code| SyntaxError { at, code })?;
            if self.expanded > MAX_EXPANDED_DIGITS {
                return Err(SyntaxError { at, code: RejectCode::TooComplex });
            }
        }
        Ok(())
    }

    #[inline]
    fn literal(&mut self, at: usize, text: &[u8]) -> Result<(), SyntaxError> {
        self.state.members.scalar(at, at + text.len());
        Ok(())
    }
}

impl StorableCheck {
    /// Looks for two equal names among those from `from` on; the error is at the later one.
    fn check_names(&mut self, bytes: &[u8], from: usize) -> Result<(), SyntaxError> {
        let Self { names, resolved, .. } = self;
        let names = &mut names[from..];
        let text = |name: &Name| {
            let range = name.text.start as usize..name.text.end as usize;
            if name.resolved { &resolved[range] } else { &bytes[range] }
        };
        let twice = |a: &Name, b: &Name| {
            let at = a.at.max(b.at) as usize;
            Err(SyntaxError { at, code: RejectCode::DuplicateMember })
        };
        if names.len() <= PAIRWISE {
            for (n, name) in names.iter().enumerate() {
                for earlier in &names[..n] {
                    if earlier.hash == name.hash && text(earlier) == text(name) {
                        return twice(earlier, name);
                    }
                }
            }
            return Ok(());
        }
        names.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| text(a).cmp(text(b))));
        match names.windows(2).find(|pair| pair[0].hash == pair[1].hash && text(&pair[0]) == text(&pair[1])) {
            Some(pair) => twice(&pair[0], &pair[1]),
            None => Ok(()),
        }
    }
}

/// Tells names apart quickly; equal hashes are settled by the text. Names of up to sixteen bytes are most, and two words.
#[inline]
fn hash(name: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) else {
        return name.iter().fold(name.len() as u64, |hash, byte| hash << 8 | u64::from(*byte));
    };
    if name.len() > 16 {
        return xxhash_rust::xxh3::xxh3_64(name);
    }
    let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    (first ^ last.rotate_left(29) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Says where and what, in words that hold no value.
fn reject(bytes: &[u8], error: SyntaxError) -> Rejection {
    let (expected, found) = match error.code {
        RejectCode::Malformed if skip_space(bytes, error.at) >= bytes.len() => ("more JSON text", "the end"),
        RejectCode::Malformed => ("JSON", "something else"),
        RejectCode::InvalidUtf8 => ("UTF-8", "other bytes"),
        RejectCode::TooDeep => ("at most 200 levels", "more"),
        RejectCode::TooLarge => ("at most 16 MiB", "more"),
        RejectCode::TooComplex => ("at most 10000 members, 1000 characters a number", "more"),
        RejectCode::DuplicateMember => ("each member once", "a second one"),
        RejectCode::NulCharacter => ("text without U+0000", "U+0000"),
        RejectCode::LoneSurrogate => ("whole characters", "half a surrogate pair"),
        RejectCode::NumberRange => ("a number that jsonb keeps", "one that it refuses or changes"),
        _ => ("a storable record", "another"),
    };
    Rejection::new(error.code, &pointer_at(bytes, error.at), expected, found).at(error.at as u64)
}
