//! Names that log rotation gives: which file a rotated one was, and which of two is older.
//!
//! `app.log.3`, `app.log.3.gz`, `app.log-20240131`, `app.log-2024-01-31.gz`, `app.log.20240131`, `app.log.gz`. Knows
//! names only; content decides what a file is.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// Digits from which on a bare number is a date and no longer a count.
const DATE_DIGITS: usize = 8;

/// Age of a rotated file; ascending is from oldest to newest among files of one base.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Age {
    /// A date suffix: a later one is newer.
    Dated(String),
    /// A count: a lower one is newer.
    Numbered(Reverse<u64>),
    /// The file itself, under its own name.
    Live,
}

/// A rotated file's name, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RotatedName {
    /// The file it was.
    pub base: PathBuf,
    /// Its place in the chain.
    pub age: Age,
}

/// Whether a file holds gzip, by its name.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Takes a rotated name apart; `None` for any other name.
pub(super) fn parse(path: &Path) -> Option<RotatedName> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let found = plain
        .char_indices()
        .filter(|(at, c)| *at > 0 && matches!(c, '.' | '-'))
        .find_map(|(at, separator)| age(separator, &plain[at + 1..]).map(|age| (at, age)));
    let (base, age) = match found {
        Some((at, age)) => (&plain[..at], age),
        None if plain.len() < name.len() && !plain.is_empty() => (plain, Age::Numbered(Reverse(0))),
        None => return None,
    };
    Some(RotatedName { base: path.with_file_name(base), age })
}

fn age(separator: char, suffix: &str) -> Option<Age> {
    let starts = suffix.starts_with(|c: char| c.is_ascii_digit());
    let digits = suffix.bytes().filter(u8::is_ascii_digit).count();
    let dated = suffix.bytes().all(|byte| byte.is_ascii_digit() || b"-_T:".contains(&byte));
    if !starts || !dated {
        return None;
    }
    if digits >= DATE_DIGITS || (digits >= 6 && separator == '-') {
        return Some(Age::Dated(suffix.to_owned()));
    }
    let count = (separator == '.' && digits == suffix.len()).then(|| suffix.parse().ok())?;
    count.map(|count| Age::Numbered(Reverse(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> Option<(String, Age)> {
        parse(Path::new(name)).map(|found| (found.base.display().to_string(), found.age))
    }

    #[test]
    fn rotated_names_are_taken_apart() {
        let numbered = |n| Age::Numbered(Reverse(n));
        assert_eq!(base("d/app.log.1"), Some(("d/app.log".into(), numbered(1))));
        assert_eq!(base("app.log.12.gz"), Some(("app.log".into(), numbered(12))));
        assert_eq!(base("app-2.log.1"), Some(("app-2.log".into(), numbered(1))));
        assert_eq!(base("app.log.gz"), Some(("app.log".into(), numbered(0))));
        assert_eq!(base("app.log-20240131"), Some(("app.log".into(), Age::Dated("20240131".into()))));
        assert_eq!(base("app.log-2024-01-31.gz"), Some(("app.log".into(), Age::Dated("2024-01-31".into()))));
        for name in ["app.log", "app-2024-01-31.ndjson", "1", ".1", "app.", "app.v2"] {
            assert_eq!(base(name), None, "{name}");
        }
    }

    #[test]
    fn a_chain_sorts_from_oldest_to_newest() {
        let mut chain = ["a.1", "a.10.gz", "a.2.gz", "a-20240101", "a-20231231.gz"].map(|name| base(name).unwrap().1);
        chain.sort();
        let dates = ["20231231", "20240101"].map(|date| Age::Dated(date.into()));
        assert_eq!(chain[..2], dates);
        assert_eq!(chain[2..], [10, 2, 1].map(|n| Age::Numbered(Reverse(n))));
        assert!(chain[4] < Age::Live);
    }
}
