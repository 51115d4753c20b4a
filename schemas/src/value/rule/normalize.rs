//! Text made uniform.

use crate::mapping::Normalizer;
use unicode_normalization::UnicodeNormalization;

/// Applies them in order; `None`: NULL. Without any the text is not copied.
pub(super) fn all<'a>(steps: &[Normalizer], text: &'a str, scratch: &'a mut Vec<u8>) -> Option<&'a str> {
    let (mut whole, mut now) = (String::new(), text);
    let mut changed: String;
    for step in steps {
        changed = match step {
            Normalizer::Trim => now.trim().to_owned(),
            Normalizer::CollapseSpace => collapsed(now),
            Normalizer::Lower => now.to_lowercase(),
            Normalizer::Upper => now.to_uppercase(),
            Normalizer::Nfc => now.nfc().collect(),
            Normalizer::EmptyToNull if now.is_empty() => return None,
            Normalizer::EmptyToNull => continue,
        };
        std::mem::swap(&mut whole, &mut changed);
        now = &whole;
    }
    if steps.is_empty() {
        return Some(text);
    }
    scratch.clear();
    scratch.extend_from_slice(now.as_bytes());
    std::str::from_utf8(scratch).ok()
}

/// Runs of white space as one space each.
fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            if !in_space {
                out.push(' ');
            }
            in_space = true;
        } else {
            out.push(character);
            in_space = false;
        }
    }
    out
}
