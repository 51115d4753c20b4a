//! Streams by pattern: one entry of the configuration, a stream for every collection that matches.
//!
//! Owns what a pattern matches and what the stream of a matching collection is: named `ENTRY.COLLECTION`, its table named as the
//! collection (or shared, with the collection as discriminator), all else as the entry says. Does not know which collections there are. A pattern begins with literal characters, so that
//! names which come from data stay inside a prefix that somebody wrote down; what cannot be a stream or a table is refused by name.

use super::section::{Reading, shown};
use super::tree::Node;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{Select, StreamMapping};
use landfall_schemas::stream::StreamName;

/// Names of collections: `*` stands for any characters, also none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern, if the text is one.
    pub fn of(text: &str) -> Option<Self> {
        text.contains('*').then(|| Self(text.to_owned()))
    }

    /// What every name that matches begins with.
    pub fn prefix(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all of the name matches.
    pub fn matches(&self, name: &str) -> bool {
        let prefix = self.prefix();
        let (_, others) = self.0.split_at(prefix.len());
        let Some(mut rest) = name.strip_prefix(prefix) else { return false };
        let mut parts = others.split('*').skip(1).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            // The leftmost place leaves most for the parts behind it.
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.is_empty()
    }
}

/// An entry that is a pattern.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    /// Its collections.
    pub pattern: NamePattern,
    /// What their streams have in common; named as the entry. Its table and `select` are those of no stream.
    pub common: StreamMapping,
}

impl Template {
    /// The stream of a collection; else why it cannot be one.
    pub fn stream(&self, collection: &str) -> Result<StreamMapping, String> {
        let name = format!("{}.{collection}", self.common.name);
        let name = StreamName::new(&name).map_err(|error| format!("its stream would be called {name:?}: {error}"))?;
        let mut mapping =
            StreamMapping { name, select: Select::Collection(collection.to_owned()), ..self.common.clone() };
        if mapping.table.shared.is_some() {
            if collection.contains('\0') {
                return Err("no text of PostgreSQL holds U+0000".to_owned());
            }
            mapping.table.shared = Some(collection.into());
            return Ok(mapping);
        }
        if collection.contains('.') {
            return Err("a table has no dot in its name".to_owned());
        }
        mapping.table.name = Ident::new(collection).map_err(|error| error.to_string())?;
        Ok(mapping)
    }

    /// The collection that a stream of this entry is made of, by the stream's name.
    pub fn collection_of<'a>(&self, stream: &'a str) -> Option<&'a str> {
        stream.strip_prefix(self.common.name.as_str())?.strip_prefix('.')
    }
}

/// `table` of an entry that is a pattern: there is none. Gives a name to go on with.
pub fn table(node: Option<&Node>, pattern: &NamePattern, reading: &mut Reading<'_>) -> Option<Ident> {
    if let Some(node) = node {
        let what = format!("the streams of `{}` have a table each, named as the collection", shown(pattern.as_str()));
        reading.problems.add(node.at, what, "no `table`");
        return None;
    }
    Ident::new(pattern.prefix()).ok()
}

#[cfg(test)]
mod tests {
    use super::NamePattern;

    fn matches(pattern: &str, name: &str) -> bool {
        NamePattern::of(pattern).unwrap().matches(name)
    }

    #[test]
    fn stars_stand_for_any_characters_and_all_else_for_itself() {
        for (pattern, name) in [
            ("logs_*", "logs_"),
            ("logs_*", "logs_a"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("a*bb", "abbb"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("logs_*", "logs"),
            ("logs_*", "xlogs_a"),
            ("logs_*", "LOGS_a"),
            ("a*b*c", "ac"),
            ("a*b*c", "abcd"),
            ("ab*b", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert_eq!(NamePattern::of("logs"), None);
        assert_eq!(NamePattern::of("logs_*_x*").unwrap().prefix(), "logs_");
    }
}
