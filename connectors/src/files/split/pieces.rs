//! The pieces of JSON text, each scanned as far as it is in memory.
//!
//! Strict for what stands outside records ([`string`], [`number`], [`literal`]); [`Follower`] follows a record by its
//! brackets and quotes alone, eight bytes at a time inside strings.

/// How far a piece could be scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scan {
    /// It ends before this index.
    Done(usize),
    /// Valid so far; the bytes before this index need not be seen again.
    More(usize),
    /// Wrong at this index.
    Bad(usize, &'static str),
}

/// The rest of a string, from behind its opening quote (or any place where [`Scan::More`] left off) past the closing one.
pub(super) fn string(bytes: &[u8]) -> Scan {
    let mut from = 0;
    loop {
        let until = special(bytes, from);
        if let Err(error) = std::str::from_utf8(&bytes[from..until]) {
            let at = from + error.valid_up_to();
            let cut = error.error_len().is_none() && until == bytes.len();
            return if cut { Scan::More(at) } else { Scan::Bad(at, "not UTF-8") };
        }
        match bytes.get(until) {
            None => return Scan::More(until),
            Some(b'"') => return Scan::Done(until + 1),
            Some(b'\\') => match escape(&bytes[until..]) {
                Scan::Done(len) => from = until + len,
                Scan::More(_) => return Scan::More(until),
                Scan::Bad(at, what) => return Scan::Bad(until + at, what),
            },
            Some(_) => return Scan::Bad(until, "a control character inside a string"),
        }
    }
}

fn special(bytes: &[u8], from: usize) -> usize {
    let found = bytes[from..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
    found.map_or(bytes.len(), |at| from + at)
}

fn escape(bytes: &[u8]) -> Scan {
    match bytes.get(1) {
        None => Scan::More(0),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Scan::Done(2),
        Some(b'u') => {
            let digits = &bytes[2..bytes.len().min(6)];
            match digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
                Some(at) => Scan::Bad(2 + at, "not four hexadecimal digits"),
                None if digits.len() == 4 => Scan::Done(6),
                None => Scan::More(0),
            }
        }
        Some(_) => Scan::Bad(1, "not an escape"),
    }
}

/// A number, whole or not at all: without its end in `bytes` (and `ends`: the file ends there) more is asked for.
pub(super) fn number(bytes: &[u8], ends: bool) -> Scan {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    match digits(bytes, at) {
        0 => return bad_or_more(bytes, (at, ends)),
        count if count > 1 && bytes[at] == b'0' => return Scan::Bad(at + 1, "a number with a leading zero"),
        count => at += count,
    }
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        match digits(bytes, at) {
            0 => return bad_or_more(bytes, (at, ends)),
            count => at += count,
        }
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        match digits(bytes, at) {
            0 => return bad_or_more(bytes, (at, ends)),
            count => at += count,
        }
    }
    if at == bytes.len() && !ends { Scan::More(0) } else { Scan::Done(at) }
}

fn digits(bytes: &[u8], from: usize) -> usize {
    bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn bad_or_more(bytes: &[u8], place: (usize, bool)) -> Scan {
    let (at, ends) = place;
    if at >= bytes.len() && !ends { Scan::More(0) } else { Scan::Bad(at, "a digit is missing") }
}

/// `true`, `false` or `null`.
pub(super) fn literal(bytes: &[u8], word: &'static [u8]) -> Scan {
    let len = bytes.len().min(word.len());
    match bytes[..len].iter().zip(word).position(|(found, wanted)| found != wanted) {
        Some(at) => Scan::Bad(at, "not a value"),
        None if len == word.len() => Scan::Done(len),
        None => Scan::More(0),
    }
}

/// Follows one record to its end, in as many steps as it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follower {
    /// An array or object: open brackets, and whether inside a string, or behind a backslash in one.
    Bracketed(u64, Place),
    /// A string, from its opening quote.
    Quoted(Place),
    /// A number or literal: ends before the next bracket, comma or space.
    Bare,
}

/// Where in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Outside,
    InString,
    Escaped,
}

const QUIET: u8 = 0;
const QUOTE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;

const CLASS: [u8; 256] = {
    let mut class = [QUIET; 256];
    class[b'"' as usize] = QUOTE;
    class[b'{' as usize] = OPEN;
    class[b'[' as usize] = OPEN;
    class[b'}' as usize] = CLOSE;
    class[b']' as usize] = CLOSE;
    class
};

impl Follower {
    /// For a record that starts with this byte.
    pub(super) fn of(first: u8) -> Self {
        match first {
            b'{' | b'[' => Self::Bracketed(0, Place::Outside),
            b'"' => Self::Quoted(Place::Outside),
            _ => Self::Bare,
        }
    }

    /// Goes on over `bytes`; the index past the record's end, if it stands there.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Bracketed(depth, place) => bracketed(bytes, (depth, place)),
            Self::Quoted(place) => quoted(bytes, place),
            Self::Bare => {
                bytes.iter().position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))
            }
        }
    }
}

fn bracketed(bytes: &[u8], state: (&mut u64, &mut Place)) -> Option<usize> {
    let (depth, place) = state;
    let mut at = 0;
    loop {
        if *place != Place::Outside {
            at = string_end(bytes, at, place)?;
        }
        loop {
            let byte = *bytes.get(at)?;
            at += 1;
            match CLASS[byte as usize] {
                QUIET => {}
                QUOTE => break,
                OPEN => *depth += 1,
                _ => {
                    *depth -= 1;
                    if *depth == 0 {
                        return Some(at);
                    }
                }
            }
        }
        *place = Place::InString;
    }
}

fn quoted(bytes: &[u8], place: &mut Place) -> Option<usize> {
    let mut at = 0;
    if *place == Place::Outside {
        bytes.first()?;
        at = 1;
        *place = Place::InString;
    }
    string_end(bytes, at, place)
}

/// The index past the closing quote; `place` says where the text was left otherwise.
fn string_end(bytes: &[u8], from: usize, place: &mut Place) -> Option<usize> {
    let mut at = from;
    if *place == Place::Escaped {
        bytes.get(at)?;
        at += 1;
        *place = Place::InString;
    }
    loop {
        at = quote_or_backslash(bytes, at)?;
        if bytes[at] == b'"' {
            *place = Place::Outside;
            return Some(at + 1);
        }
        if at + 1 == bytes.len() {
            *place = Place::Escaped;
            return None;
        }
        at += 2;
    }
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Strings longer than this are searched by `memchr`, whose start costs more than a few words here.
const SHORT: usize = 64;

/// The bytes of `word` that are zero, marked by their high bit: the lowest mark is exact, ones above it may be too many.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some((word, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ (LOW * b'"' as u64)) | zeros(word ^ (LOW * b'\\' as u64));
        if hits != 0 {
            return Some(at + (hits.trailing_zeros() / 8) as usize);
        }
        at += 8;
        if at - from >= SHORT {
            return memchr::memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found);
        }
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|found| at + found)
}
