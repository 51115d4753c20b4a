//! Amounts as people and other programs write them: `$1,234.50`, `1.234,50 €`, `(12.00)`, `USD 5`.
//!
//! ```text
//! amount   = '(' plain ')' | plain
//! plain    = [sign] [currency] [sign] digits [currency]      white space between the parts; one currency at most
//! digits   = 1*digit *(group 3digit) [decimal 1*digit]       groups of three or none
//! currency = a currency sign of Unicode, or three upper-case letters
//! ```

use crate::mapping::MoneyMarks;

/// Signs of Unicode's category `Sc` that amounts are seen with.
const SIGNS: [char; 17] = ['$', '¢', '£', '¤', '¥', '֏', '؋', '৳', '฿', '₡', '₦', '₩', '₪', '₫', '€', '₹', '₽'];

/// The amount as a JSON number; `None`: it is none.
pub(super) fn amount(text: &str, marks: MoneyMarks) -> Option<String> {
    let text = text.trim();
    let (text, in_brackets) = match text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => (inner.trim(), true),
        None => (text, false),
    };
    let (text, sign) = signed(text);
    let (text, before) = currency_before(text);
    let (text, later) = if sign.is_none() { signed(text) } else { (text, None) };
    let (text, behind) = currency_behind(text);
    let sign = sign.or(later);
    if (before && behind) || (in_brackets && sign.is_some()) {
        return None;
    }
    let number = digits(text, marks)?;
    let negative = in_brackets || sign == Some('-');
    Some(if negative && number.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        format!("-{number}")
    } else {
        number
    })
}

fn signed(text: &str) -> (&str, Option<char>) {
    match text.chars().next() {
        Some(sign @ ('-' | '+')) => (text[1..].trim_start(), Some(sign)),
        Some('\u{2212}') => (text['\u{2212}'.len_utf8()..].trim_start(), Some('-')),
        _ => (text, None),
    }
}

fn currency_before(text: &str) -> (&str, bool) {
    if let Some(rest) = text.strip_prefix(SIGNS) {
        return (rest.trim_start(), true);
    }
    match text.as_bytes().first_chunk::<3>() {
        Some(code) if code.iter().all(u8::is_ascii_uppercase) => (text[3..].trim_start(), true),
        _ => (text, false),
    }
}

fn currency_behind(text: &str) -> (&str, bool) {
    if let Some(rest) = text.strip_suffix(SIGNS) {
        return (rest.trim_end(), true);
    }
    match text.as_bytes().last_chunk::<3>() {
        Some(code) if code.iter().all(u8::is_ascii_uppercase) => (text[..text.len() - 3].trim_end(), true),
        _ => (text, false),
    }
}

fn digits(text: &str, marks: MoneyMarks) -> Option<String> {
    let (whole, fraction) = match text.split_once(marks.decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.is_some_and(|fraction| !are_digits(fraction)) {
        return None;
    }
    let mut number = String::with_capacity(text.len());
    let groups: Vec<&str> = marks.group.map_or_else(|| vec![whole], |group| whole.split(group).collect());
    for (at, group) in groups.iter().enumerate() {
        let length = group.len();
        let fits = if groups.len() == 1 {
            true
        } else if at == 0 {
            (1..=3).contains(&length)
        } else {
            length == 3
        };
        if !fits || !are_digits(group) {
            return None;
        }
        number.push_str(group);
    }
    // JSON numbers have no zeros in front.
    let from = number.bytes().position(|digit| digit != b'0').unwrap_or(number.len() - 1);
    number.drain(..from);
    if let Some(fraction) = fraction {
        number.push('.');
        number.push_str(fraction);
    }
    Some(number)
}
