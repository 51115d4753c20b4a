//! Which files a path in the configuration means: a fixed directory and a glob under it.
//!
//! Owns the split and the matching of relative paths (`*`, `?`, `**`, `[..]`, `{a,b}`; `*` never crosses a `/`). Opens
//! nothing. Fails on a pattern that cannot be parsed or that leaves its own directory.

use std::path::{Component, Path, PathBuf};

/// Characters that make a path component a glob.
const META: [char; 4] = ['*', '?', '[', '{'];

/// Why a path or glob cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing there, or no file name at its end.
    #[error("a path needs a file name or a glob at its end")]
    Empty,
    /// `..` behind the first glob character, or in a glob of its own.
    #[error("a glob may not hold `..`")]
    Parent,
    /// Not a glob.
    #[error("not a glob: {0}")]
    Syntax(String),
}

/// A compiled glob over paths relative to a root.
#[derive(Clone, Debug)]
pub struct Pattern {
    matcher: globset::GlobMatcher,
    depth: Option<usize>,
    literal: Option<PathBuf>,
}

impl Pattern {
    /// Compiles a glob that is relative to a root.
    pub fn new(glob: &str) -> Result<Self, InvalidPattern> {
        let glob = glob.strip_prefix("./").unwrap_or(glob);
        let components: Vec<_> = Path::new(glob).components().collect();
        if components.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if !components.iter().all(|part| matches!(part, Component::Normal(_))) {
            return Err(InvalidPattern::Parent);
        }
        let matcher = globset::GlobBuilder::new(glob)
            .literal_separator(true)
            .build()
            .map_err(|error| InvalidPattern::Syntax(error.kind().to_string()))?
            .compile_matcher();
        // A `/` inside braces would make the number of components a lie; then no depth is promised.
        let unbounded = glob.contains("**") || glob.contains('{');
        let literal = (!glob.contains(META) && !glob.contains('\\')).then(|| PathBuf::from(glob));
        Ok(Self { matcher, depth: (!unbounded).then_some(components.len()), literal })
    }

    /// Splits what the user wrote into the directory without any glob and the glob below it. `logs/*.ndjson` becomes
    /// (`logs`, `*.ndjson`), `data/x.json` (`data`, `x.json`), `x.json` (`.`, `x.json`).
    pub fn split(path: &str) -> Result<(PathBuf, Self), InvalidPattern> {
        if path.is_empty() || path.ends_with('/') {
            return Err(InvalidPattern::Empty);
        }
        let fixed_end = path.find(META).unwrap_or(path.len());
        let cut = path[..fixed_end].rfind('/');
        let (dir, glob) = match cut {
            Some(0) => ("/", &path[1..]),
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (".", path),
        };
        Ok((PathBuf::from(dir), Self::new(glob)?))
    }

    /// Whether a path relative to the root is meant.
    pub fn matches(&self, relative: &Path) -> bool {
        match &self.literal {
            Some(literal) => relative == literal,
            None => self.matcher.is_match(relative),
        }
    }

    /// How many directory levels can hold a match (1: the root itself); `None`: any.
    pub fn depth(&self) -> Option<usize> {
        self.depth
    }

    /// The one path it means, when it holds no glob character.
    pub fn literal(&self) -> Option<&Path> {
        self.literal.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, path: &str) -> bool {
        Pattern::new(glob).unwrap().matches(Path::new(path))
    }

    #[test]
    fn a_path_is_split_before_its_first_glob_component() {
        for (path, dir, glob, hit) in [
            ("logs/*.ndjson", "logs", "*.ndjson", "a.ndjson"),
            ("data/x.json", "data", "x.json", "x.json"),
            ("x.json", ".", "x.json", "x.json"),
            ("/var/log/**/*.log", "/var/log", "**/*.log", "a/b/c.log"),
            ("/x.json", "/", "x.json", "x.json"),
            ("../up/a?/[xy].json", "../up", "a?/[xy].json", "ab/y.json"),
        ] {
            let (found, pattern) = Pattern::split(path).unwrap();
            assert_eq!(found, Path::new(dir), "{path}");
            assert!(pattern.matches(Path::new(hit)), "{path} as {glob}");
        }
        assert_eq!(Pattern::split("logs/").unwrap_err(), InvalidPattern::Empty);
        assert_eq!(Pattern::split("logs/*/../x").unwrap_err(), InvalidPattern::Parent);
    }

    #[test]
    fn a_star_stays_in_its_directory_and_two_stars_do_not() {
        assert!(matches("*.json", "a.json"));
        assert!(!matches("*.json", "b/a.json"));
        assert!(matches("**/*.json", "a.json"));
        assert!(matches("**/*.json", "b/c/a.json"));
        assert!(matches("{a,b}.json", "b.json"));
        assert!(!matches("a.json", "a-json"));
        assert_eq!(Pattern::new("*/*.json").unwrap().depth(), Some(2));
        assert_eq!(Pattern::new("**/x").unwrap().depth(), None);
    }
}
