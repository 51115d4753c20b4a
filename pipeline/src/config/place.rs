//! A place in the configuration file.

/// Where something stands: for messages and carets. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// How many characters the caret underlines, at least one.
    pub width: u32,
}

impl Place {
    /// The file as a whole.
    pub const START: Self = Self { line: 1, column: 1, width: 1 };
}
