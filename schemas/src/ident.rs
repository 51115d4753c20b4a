//! PostgreSQL identifiers, checked once.
//!
//! Keeps S1 of the security list: an identifier that reaches SQL is never empty, holds no NUL, fits 63 bytes, and is
//! always quoted.

use std::fmt;
use std::sync::Arc;

/// A checked identifier.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ident(Arc<str>);

impl Ident {
    /// PostgreSQL cuts longer names silently; we refuse them.
    pub const MAX_BYTES: usize = 63;

    /// Checks `name`.
    pub fn new(name: &str) -> Result<Self, InvalidIdent> {
        if name.is_empty() {
            return Err(InvalidIdent::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(InvalidIdent::TooLong);
        }
        if name.contains('\0') {
            return Err(InvalidIdent::Nul);
        }
        Ok(Self(Arc::from(name)))
    }

    /// A name of ours made of parts joined by `_`: what is too long is cut, and ends in eight hex digits that the whole name makes.
    pub fn joined(parts: &[&str]) -> Result<Self, InvalidIdent> {
        let whole = parts.join("_");
        if whole.len() <= Self::MAX_BYTES {
            return Self::new(&whole);
        }
        let mark = format!("_{:08x}", xxhash_rust::xxh3::xxh3_64(whole.as_bytes()) as u32);
        let mut end = Self::MAX_BYTES - mark.len();
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        Self::new(&format!("{}{mark}", &whole[..end]))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Quoted for SQL.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name cannot be an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdent {
    /// Nothing there.
    #[error("a name may not be empty")]
    Empty,
    /// Over 63 bytes.
    #[error("PostgreSQL names have at most 63 bytes")]
    TooLong,
    /// Holds U+0000.
    #[error("a name may not hold U+0000")]
    Nul,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_are_cut_to_what_postgresql_keeps_and_stay_apart() {
        assert_eq!(Ident::joined(&["projects", "tasks"]).unwrap().as_str(), "projects_tasks");
        let long = "a".repeat(60);
        let (one, two) = (Ident::joined(&[&long, "tasks"]).unwrap(), Ident::joined(&[&long, "teams"]).unwrap());
        assert_eq!(one.as_str().len(), Ident::MAX_BYTES);
        assert_ne!(one, two, "what was cut off is in the mark");
        assert_eq!(one, Ident::joined(&[&long, "tasks"]).unwrap(), "the same name every time");
        let wide = "é".repeat(40);
        let cut = Ident::joined(&[&wide, "x"]).unwrap();
        assert!(cut.as_str().len() <= Ident::MAX_BYTES && cut.as_str().starts_with("éé"), "never inside a character");
        assert_eq!(Ident::joined(&["a\0", &long, "tasks"]), Err(InvalidIdent::Nul));
    }
}
