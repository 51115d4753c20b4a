//! Text and bytes as JSON can hold them.

use crate::json::plain_until;
use std::io::Write;

/// Appends `text` between quotes, with the fewest escapes. U+0000 becomes one like any other control character; bytes that are
/// not UTF-8 stay as they are: who minds looks first.
pub(crate) fn append_quoted(mut text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    loop {
        let plain = plain_until(text, 0);
        out.extend_from_slice(&text[..plain]);
        match text.get(plain) {
            None => break,
            Some(b'"') => out.extend_from_slice(b"\\\""),
            Some(b'\\') => out.extend_from_slice(b"\\\\"),
            Some(control) => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        text = &text[plain + 1..];
    }
    out.push(b'"');
}

/// Appends bytes as lower-case hex.
pub(crate) fn append_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}
