//! A number's text as an exact decimal: sign, significant digits, power of ten.
//!
//! Nothing is rounded and nothing allocated: the digits stay where they stand in the text.

use crate::rejection::RejectCode;

/// A decimal number: `± digits × 10^low`, where the digits neither start nor end with a zero. Zero has no digits.
#[derive(Clone, Copy)]
pub struct Decimal<'a> {
    negative: bool,
    head: &'a [u8],
    tail: &'a [u8],
    low: i64,
    scale: i64,
    exponent: i64,
}

/// Exponents beyond this are held at it: no consumer can tell the difference, and sums of it stay inside `i64`.
const EXPONENT_LIMIT: i64 = 1_000_000_000_000_000;

/// Longest plain spelling of a normal form, in digits; beyond it the exponent is written, so that `1e1000000` stays short.
const PLAIN_DIGITS: i64 = 40;

impl<'a> Decimal<'a> {
    /// Reads the text of a JSON number. `Malformed` if it is none.
    pub fn parse(text: &'a [u8]) -> Result<Self, RejectCode> {
        if super::token::number_end(text, 0).map_err(|error| error.code)? != text.len() {
            return Err(RejectCode::Malformed);
        }
        Ok(Self::of_checked(text))
    }

    /// Reads text that is known to be a JSON number; anything else gives some number.
    fn of_checked(text: &'a [u8]) -> Self {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(e) => (&text[..e], exponent_of(&text[e + 1..])),
            None => (text, 0),
        };
        let (whole, fraction) = match memchr::memchr(b'.', mantissa) {
            Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
            None => (mantissa, &mantissa[..0]),
        };
        let scale = fraction.len() as i64 - exponent;
        let head = strip_front(whole);
        let tail = if head.is_empty() { strip_front(fraction) } else { fraction };
        let (head, tail, stripped) = strip_back(head, tail);
        let low = if head.is_empty() && tail.is_empty() { 0 } else { stripped - scale };
        Self { negative, head, tail, low, scale, exponent }
    }

    /// Whether it is zero, of either sign.
    pub fn is_zero(&self) -> bool {
        self.digit_count() == 0
    }

    /// Whether a minus stands before it.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// `-0`, `-0.0`, `-0e5`: a sign that integers, `numeric` and `jsonb` cannot hold.
    pub fn is_negative_zero(&self) -> bool {
        self.negative && self.is_zero()
    }

    /// How many significant digits.
    pub fn digit_count(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The significant digits as ASCII, most significant first.
    pub fn digits(&self) -> impl DoubleEndedIterator<Item = u8> + Clone {
        self.head.iter().chain(self.tail).copied()
    }

    /// Power of ten of the last significant digit.
    pub fn low(&self) -> i64 {
        self.low
    }

    /// How many digits stand before the decimal point when written out; zero or less for numbers below one.
    pub fn magnitude(&self) -> i64 {
        self.digit_count() as i64 + self.low
    }

    /// Digits behind the decimal point as the text wrote them, trailing zeros counted: what `numeric` keeps as scale.
    pub fn scale(&self) -> i64 {
        self.scale.max(0)
    }

    /// The exponent as the text wrote it.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Whether both are the same number (`-0` and `0` are).
    pub fn equals(&self, other: &Decimal<'_>) -> bool {
        (self.negative == other.negative || self.is_zero())
            && self.low == other.low
            && self.digit_count() == other.digit_count()
            && self.digits().eq(other.digits())
    }

    /// Its value, if it is an integer of at most 38 digits.
    pub fn integer(&self) -> Option<i128> {
        if self.low < 0 || self.magnitude() > 38 {
            return None;
        }
        let digits = self.digits().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let value = digits * 10_i128.pow(self.low as u32);
        Some(if self.negative { -value } else { value })
    }

    /// Appends the one spelling that all texts of this number share: `5`, `5.0`, `5e0` and `50e-1` give `5`; `-0` gives `0`.
    /// Up to 40 places it is written out, beyond that as digits and exponent (`15e-200`), so that it is never longer than its
    /// significant digits and 40 bytes. It is a JSON number again. `NumberRange` for exponents past 10¹⁴.
    pub fn append_normal(&self, out: &mut Vec<u8>) -> Result<(), RejectCode> {
        use std::io::Write;
        if self.is_zero() {
            out.push(b'0');
            return Ok(());
        }
        if self.low.abs() > EXPONENT_LIMIT / 10 {
            return Err(RejectCode::NumberRange);
        }
        if self.negative {
            out.push(b'-');
        }
        let magnitude = self.magnitude();
        let plain = magnitude <= PLAIN_DIGITS && self.low >= -PLAIN_DIGITS;
        if !plain {
            out.extend(self.digits());
            // Writing to a Vec cannot fail.
            let _ = write!(out, "e{}", self.low);
        } else if self.low >= 0 {
            out.extend(self.digits());
            out.extend(std::iter::repeat_n(b'0', self.low as usize));
        } else if magnitude > 0 {
            out.extend(self.digits().take(magnitude as usize));
            out.push(b'.');
            out.extend(self.digits().skip(magnitude as usize));
        } else {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', magnitude.unsigned_abs() as usize));
            out.extend(self.digits());
        }
        Ok(())
    }
}

impl std::fmt::Debug for Decimal<'_> {
    /// Its shape only: it may be a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decimal")
            .field("digits", &self.digit_count())
            .field("scale", &self.scale)
            .finish_non_exhaustive()
    }
}

fn exponent_of(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let size = digits.iter().fold(0_i64, |sum, digit| {
        let digit = i64::from(digit.wrapping_sub(b'0') % 10);
        (sum * 10 + digit).min(EXPONENT_LIMIT)
    });
    if negative { -size } else { size }
}

fn strip_front(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

/// Strips trailing zeros of `head` followed by `tail`; how many.
fn strip_back<'a>(head: &'a [u8], tail: &'a [u8]) -> (&'a [u8], &'a [u8], i64) {
    let zeros = |digits: &[u8]| digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let behind = zeros(tail);
    let kept = &tail[..tail.len() - behind];
    if !kept.is_empty() {
        return (head, kept, behind as i64);
    }
    let before = zeros(head);
    (&head[..head.len() - before], kept, (behind + before) as i64)
}
