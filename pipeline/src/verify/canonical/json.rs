//! The canonical form of a JSON document as `jsonb` understands it: members have no order, of two with one name the last counts, escapes
//! and white space mean nothing, numbers are decimals with the scale they were written with.
//!
//! ```text
//! value  = 'z' | 't' | 'f' | 's' length u32 bytes | 'n' number | 'a' length u32 value* | 'o' length u32 (length u32 name value)*
//! number = sign u8 | scale u32 | exponent i64 | length u32 | significant digits
//! ```
//!
//! Members stand in `jsonb`'s own order (by length, then bytes), so that what PostgreSQL sends is already in place. A reader of its own: it
//! shares nothing with the one that capture and mapping use. `None`: this is no JSON, or deeper than [`DEEPEST`].

/// Levels of nesting: above what the source's reader takes, below what a stack has.
const DEEPEST: u32 = 2_000;

/// Scratch memory.
#[derive(Debug, Default)]
pub(super) struct JsonForm {
    /// Members of the objects that are open: where name and value begin, where they end.
    members: Vec<Member>,
    digits: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    name: (usize, usize),
    end: usize,
}

struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Text<'_> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }
}

impl JsonForm {
    /// Appends the form of a document.
    pub(super) fn put(&mut self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.members.clear();
        let mut text = Text { bytes: text, at: 0 };
        self.value(&mut text, 0, out)?;
        text.peek().is_none().then_some(())
    }

    fn value(&mut self, text: &mut Text<'_>, depth: u32, out: &mut Vec<u8>) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match text.peek()? {
            b'{' => self.object(text, depth, out),
            b'[' => {
                text.at += 1;
                let length = open(b'a', out);
                if text.peek()? != b']' {
                    self.value(text, depth + 1, out)?;
                    while text.eat(b',').is_some() {
                        self.value(text, depth + 1, out)?;
                    }
                }
                text.eat(b']')?;
                close(length, out);
                Some(())
            }
            b'"' => {
                let length = open(b's', out);
                string(text, out)?;
                close(length, out);
                Some(())
            }
            b't' => text.word(b"true").map(|()| out.push(b't')),
            b'f' => text.word(b"false").map(|()| out.push(b'f')),
            b'n' => text.word(b"null").map(|()| out.push(b'z')),
            _ => self.number(text, out),
        }
    }

    fn object(&mut self, text: &mut Text<'_>, depth: u32, out: &mut Vec<u8>) -> Option<()> {
        text.at += 1;
        let length = open(b'o', out);
        let (start, first) = (out.len(), self.members.len());
        let mut in_place = true;
        if text.peek()? != b'}' {
            loop {
                text.peek()?;
                let at = out.len();
                out.extend_from_slice(&[0; 4]);
                string(text, out)?;
                let name = (at + 4, out.len());
                out[at..at + 4].copy_from_slice(&((name.1 - name.0) as u32).to_le_bytes());
                if let Some(before) = self.members[first..].last() {
                    in_place &= order(out, before.name) < order(out, name);
                }
                text.eat(b':')?;
                self.value(text, depth + 1, out)?;
                self.members.push(Member { name, end: out.len() });
                if text.eat(b',').is_none() {
                    break;
                }
            }
        }
        text.eat(b'}')?;
        if !in_place {
            put_in_order(start, &mut self.members[first..], out);
        }
        self.members.truncate(first);
        close(length, out);
        Some(())
    }

    fn number(&mut self, text: &mut Text<'_>, out: &mut Vec<u8>) -> Option<()> {
        let negative = text.word(b"-").is_some();
        let (mut fraction, mut in_fraction, start) = (0_i64, false, text.at);
        self.digits.clear();
        while let Some(byte) = text.bytes.get(text.at) {
            match byte {
                b'0'..=b'9' => {
                    self.digits.push(*byte);
                    fraction += i64::from(in_fraction);
                }
                b'.' if !in_fraction => in_fraction = true,
                _ => break,
            }
            text.at += 1;
        }
        if text.at == start {
            return None;
        }
        let mut exponent = 0_i64;
        if let Some(b'e' | b'E') = text.bytes.get(text.at) {
            text.at += 1;
            let less = text.word(b"-").is_some();
            let _ = text.word(b"+");
            while let Some(digit @ b'0'..=b'9') = text.bytes.get(text.at) {
                exponent = exponent.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
                text.at += 1;
            }
            exponent = if less { -exponent } else { exponent };
        }
        let leading = self.digits.iter().take_while(|digit| **digit == b'0').count();
        let trailing = self.digits[leading..].iter().rev().take_while(|digit| **digit == b'0').count();
        let significant = &self.digits[leading..self.digits.len() - trailing];
        let zero = significant.is_empty();
        // Digits behind the point as PostgreSQL shows them: an exponent moves the point, and none are less than none.
        let scale = (fraction - exponent).max(0);
        let place = if zero { 0 } else { exponent - fraction + trailing as i64 };
        out.extend_from_slice(&[b'n', u8::from(negative && !zero)]);
        out.extend_from_slice(&u32::try_from(scale).ok()?.to_le_bytes());
        out.extend_from_slice(&place.to_le_bytes());
        out.extend_from_slice(&(significant.len() as u32).to_le_bytes());
        out.extend_from_slice(significant);
        Some(())
    }
}

/// Opens something with a length.
fn open(tag: u8, out: &mut Vec<u8>) -> usize {
    out.push(tag);
    out.extend_from_slice(&[0; 4]);
    out.len()
}

fn close(start: usize, out: &mut [u8]) {
    let length = (out.len() - start) as u32;
    out[start - 4..start].copy_from_slice(&length.to_le_bytes());
}

fn order(out: &[u8], (from, until): (usize, usize)) -> (usize, &[u8]) {
    (until - from, &out[from..until])
}

/// Brings members into order; of equal names the last stays.
fn put_in_order(start: usize, members: &mut [Member], out: &mut Vec<u8>) {
    let before = out.split_off(start);
    let name = |member: &Member| order(&before, (member.name.0 - start, member.name.1 - start));
    members.sort_by(|one, other| name(one).cmp(&name(other)));
    for (at, member) in members.iter().enumerate() {
        if members.get(at + 1).is_some_and(|next| name(next) == name(member)) {
            continue;
        }
        out.extend_from_slice(&before[member.name.0 - 4 - start..member.end - start]);
    }
}

/// What a string says, without its quotes.
fn string(text: &mut Text<'_>, out: &mut Vec<u8>) -> Option<()> {
    text.word(b"\"")?;
    loop {
        let rest = &text.bytes[text.at..];
        let plain = memchr::memchr2(b'"', b'\\', rest)?;
        out.extend_from_slice(&rest[..plain]);
        text.at += plain + 1;
        if rest[plain] == b'"' {
            return Some(());
        }
        let escape = *text.bytes.get(text.at)?;
        text.at += 1;
        match escape {
            b'"' | b'\\' | b'/' => out.push(escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let unit = hex(text)?;
                let code = match unit {
                    0xD800..0xDC00 => {
                        text.word(b"\\u")?;
                        let low = hex(text)?.checked_sub(0xDC00)?;
                        0x1_0000 + ((unit - 0xD800) << 10) + low
                    }
                    unit => unit,
                };
                let mut bytes = [0; 4];
                out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut bytes).as_bytes());
            }
            _ => return None,
        }
    }
}

fn hex(text: &mut Text<'_>) -> Option<u32> {
    let digits = text.bytes.get(text.at..text.at + 4)?;
    text.at += 4;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}
