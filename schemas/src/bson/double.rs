//! Texts of finite doubles: the exact one, and the shortest one that reads back as the same double.

use std::io::Write;

/// Integers up to here are exact, and all their digits can be written from an `i64`.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Appends the double's exact decimal expansion as a JSON number (up to 1 080 characters). Not a number and the infinities
/// are the caller's affair.
pub fn append_exact(value: f64, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    if value.abs() <= EXACT_INTEGER && value.fract() == 0.0 {
        let _ = write!(out, "{}", value as i64);
        return;
    }
    let _ = write!(out, "{value:.*}", binary_places(value));
}

/// Appends the shortest text that reads back as the same double, as a JSON number.
pub fn append_shortest(value: f64, out: &mut Vec<u8>) {
    let _ = write!(out, "{value:?}");
}

/// How many binary, and so decimal, places stand behind the point.
fn binary_places(value: f64) -> usize {
    let bits = value.to_bits();
    let biased = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if biased == 0 { (fraction, -1_074) } else { (fraction | 1 << 52, biased - 1_075) };
    let lowest = exponent + mantissa.trailing_zeros() as i32;
    usize::try_from(-lowest).unwrap_or(0)
}
