//! The JSON pointer of a byte offset: for people who must mend a parked record. Made on the cold path only.

use super::SyntaxError;
use super::grammar::{Visit, walk};
use super::nesting::Container;
use super::string::RawString;

/// Longest pointer shown, in bytes; a longer one is cut at its front, because its end is what a person looks for.
const MAX_POINTER: usize = 256;

/// Most reference tokens shown; deeper ones replace the last.
const MAX_TOKENS: usize = 64;

/// The pointer of the innermost member or element that has begun at `at`; empty for the record itself. It never fails: on
/// malformed text it is the place reached.
pub fn pointer_at(bytes: &[u8], at: usize) -> String {
    let mut finder = Finder { until: at, places: Vec::new(), depth: 0 };
    // How the walk ends does not matter: it stops at the offset or at the fault, with the place in hand.
    let _ = walk(bytes.get(..valid_up_to(bytes)).unwrap_or_default(), &mut finder);
    let mut pointer = String::new();
    for place in finder.places.iter().take(MAX_TOKENS) {
        match place {
            // An array whose first element has not begun.
            Place::Element(usize::MAX) => {}
            Place::Element(n) => pointer.push_str(&format!("/{n}")),
            Place::Member(name) => {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            Place::Before => {}
        }
    }
    cut(pointer)
}

fn valid_up_to(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)
}

/// Keeps the end of a long pointer, marked by `…`. Control characters become spaces.
fn cut(pointer: String) -> String {
    let pointer: String = pointer.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if pointer.len() <= MAX_POINTER {
        return pointer;
    }
    let from = (pointer.len() - MAX_POINTER..pointer.len()).find(|n| pointer.is_char_boundary(*n));
    format!("…{}", &pointer[from.unwrap_or(pointer.len())..])
}

/// Where inside an open container the walk is.
#[derive(Debug)]
enum Place {
    /// In an object, before its first name.
    Before,
    /// In an object, at this member.
    Member(String),
    /// In an array, at this element.
    Element(usize),
}

/// Follows the walk up to an offset. Levels past the shown ones are only counted.
struct Finder {
    until: usize,
    places: Vec<Place>,
    depth: usize,
}

impl Finder {
    fn go_on(&self, at: usize) -> Result<(), SyntaxError> {
        if at >= self.until { Err(SyntaxError::malformed(at)) } else { Ok(()) }
    }

    /// The next element begins, if an array is innermost: called as each value begins.
    fn value(&mut self, at: usize) -> Result<(), SyntaxError> {
        if self.depth <= MAX_TOKENS
            && let Some(Place::Element(n)) = self.places.last_mut()
        {
            // The first element is 0: the count starts one below.
            *n = n.wrapping_add(1);
        }
        self.go_on(at)
    }
}

impl Visit for Finder {
    fn open(&mut self, at: usize, kind: Container, _depth: usize) -> Result<(), SyntaxError> {
        self.value(at)?;
        self.depth += 1;
        if self.depth <= MAX_TOKENS {
            self.places.push(if kind == Container::Array { Place::Element(usize::MAX) } else { Place::Before });
        }
        Ok(())
    }

    fn close(&mut self, at: usize, _kind: Container) -> Result<(), SyntaxError> {
        self.go_on(at)?;
        if self.depth <= MAX_TOKENS {
            self.places.pop();
        }
        self.depth -= 1;
        Ok(())
    }

    fn name(&mut self, at: usize, name: RawString<'_>) -> Result<(), SyntaxError> {
        if self.depth <= MAX_TOKENS
            && let Some(last) = self.places.last_mut()
        {
            let raw = &name.raw()[..name.raw().len().min(2 * MAX_POINTER)];
            let text = name.decode(&mut Vec::new()).map_or_else(|_| String::from_utf8_lossy(raw).into(), str::to_owned);
            *last = Place::Member(text);
        }
        self.go_on(at)
    }

    fn string(&mut self, at: usize, _text: RawString<'_>) -> Result<(), SyntaxError> {
        self.value(at)
    }

    fn number(&mut self, at: usize, _text: &[u8]) -> Result<(), SyntaxError> {
        self.value(at)
    }

    fn literal(&mut self, at: usize, _text: &[u8]) -> Result<(), SyntaxError> {
        self.value(at)
    }
}
