//! A path to a field of a record: `owner.id`, or with a JSON pointer where names hold dots: `/owner/id`.

use std::fmt;

/// Member names from the record's root; never empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FieldPath(Vec<String>);

/// Why a path cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a path as name.name, or as /name/name where names hold dots (~1 for /, ~0 for ~)")]
pub struct InvalidPath;

impl FieldPath {
    /// Parses either spelling.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let parts: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(unescape).collect::<Result<_, _>>()?,
            None => text.split('.').map(str::to_owned).collect(),
        };
        let dotted_gap = !text.starts_with('/') && parts.iter().any(String::is_empty);
        if parts.is_empty() || dotted_gap { Err(InvalidPath) } else { Ok(Self(parts)) }
    }

    /// The path of a member of the record itself.
    pub fn member(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// The member names.
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// The last member name: the default column name.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }
}

/// Unescapes one reference token of a JSON pointer (RFC 6901).
pub fn unescape(token: &str) -> Result<String, InvalidPath> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '~' { chars.next() } else { None }) {
            ('~', Some('0')) => out.push('~'),
            ('~', Some('1')) => out.push('/'),
            ('~', _) => return Err(InvalidPath),
            (c, _) => out.push(c),
        }
    }
    Ok(out)
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            write!(f, "/{}", part.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}
