//! IEEE 754 decimal128 in the binary encoding that BSON uses, taken apart exactly.
//!
//! ```text
//! sign 1 | exponent 14, biased by 6176 | coefficient 113        highest bits 11110: infinity, 11111: not a number
//! ```
//!
//! Coefficients past 10³⁴ − 1 are not canonical and stand for zero, as the standard says.

use std::io::Write;

/// Largest coefficient.
const MAX_COEFFICIENT: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;
const EXPONENT_BIAS: i32 = 6_176;

/// A decimal number taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Decimal128 {
    /// `± coefficient × 10^exponent`; 1.0 and 1.00 are two members of one cohort.
    Finite {
        /// Sign, of zero too.
        negative: bool,
        /// At most 34 digits.
        coefficient: u128,
        /// −6176 to 6111.
        exponent: i32,
    },
    /// Infinity of either sign.
    Infinite {
        /// Sign.
        negative: bool,
    },
    /// Any not-a-number.
    NotANumber,
}

impl std::fmt::Debug for Decimal128 {
    /// Nothing of it: it is a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decimal128")
    }
}

impl Decimal128 {
    /// Takes the sixteen bytes apart, little endian as they stand.
    pub fn of(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits >> 127 == 1;
        let combination = (bits >> 122) as u32 & 0x1f;
        match combination {
            0x1f => return Self::NotANumber,
            0x1e => return Self::Infinite { negative },
            _ => {}
        }
        // With both high bits set the coefficient would begin with 100 in binary: past the largest.
        let large = combination >> 3 == 3;
        let biased = (bits >> if large { 111 } else { 113 }) as i32 & 0x3fff;
        let coefficient = if large { 0 } else { bits & ((1 << 113) - 1) };
        let coefficient = if coefficient > MAX_COEFFICIENT { 0 } else { coefficient };
        Self::Finite { negative, coefficient, exponent: biased - EXPONENT_BIAS }
    }

    /// Appends the text that the decimal128 specification gives it: plain for exponents from 0 down to six places, else with
    /// one digit before the point. Every canonical number has its own.
    pub fn append_text(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let (negative, coefficient, exponent) = match *self {
            Self::NotANumber => return out.extend_from_slice(b"NaN"),
            Self::Infinite { negative } => {
                return out.extend_from_slice(if negative { b"-Infinity" } else { b"Infinity" });
            }
            Self::Finite { negative, coefficient, exponent } => (negative, coefficient, exponent),
        };
        if negative {
            out.push(b'-');
        }
        let start = out.len();
        let _ = write!(out, "{coefficient}");
        let digits = (out.len() - start) as i32;
        let scientific = exponent + digits - 1;
        if exponent <= 0 && scientific >= -6 {
            if exponent < 0 {
                let behind = exponent.unsigned_abs() as usize;
                let missing = (behind + 1).saturating_sub(digits as usize);
                out.splice(start..start, std::iter::repeat_n(b'0', missing));
                out.insert(out.len() - behind, b'.');
            }
        } else {
            if digits > 1 {
                out.insert(start + 1, b'.');
            }
            let _ = write!(out, "E{scientific:+}");
        }
    }

    /// Appends the number as a JSON number: digits, and the exponent where it is not 0, so that its cohort shows. `false`,
    /// and nothing appended, for what is no finite number.
    pub fn append_number(&self, out: &mut Vec<u8>) -> bool {
        let Self::Finite { negative, coefficient, exponent } = *self else { return false };
        let sign = if negative { "-" } else { "" };
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{sign}{coefficient}");
        if exponent != 0 {
            let _ = write!(out, "e{exponent}");
        }
        true
    }
}
