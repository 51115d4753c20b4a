//! Reading one mapping of the configuration: typed values, known keys, unknown keys with the nearest known one.
//!
//! Everything here collects: a getter that cannot give a value has added the problem and answers `None`, and the caller
//! reads on.

use super::place::Place;
use super::problem::Problems;
use super::quantity;
use super::reference::{self, Surroundings, Unresolved};
use super::secret::Secret;
use super::tree::{Entry, Node, Value, looks_numeric};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The problems so far and where references resolve.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Problems so far.
    pub problems: Problems,
    /// Variables and paths.
    pub surroundings: &'a Surroundings<'a>,
}

/// A value and its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Place,
}

/// One mapping while it is read.
#[derive(Debug)]
pub struct Section<'n> {
    /// Where it stands.
    pub at: Place,
    /// `streams.projects`, for messages.
    pub path: String,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

impl<'n> Section<'n> {
    /// The mapping at `node`.
    pub fn open(node: &'n Node, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self { at: node.at, path: path.to_owned(), entries, known: Vec::new() }),
            _ => {
                let what = format!("{path} holds {} where a mapping is needed", node.kind());
                reading.problems.add(node.at, what, "`key: value` lines");
                None
            }
        }
    }

    /// The value of a key; the key counts as known from now on.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, key: &'static str, example: &str, reading: &mut Reading<'_>) -> Option<&'n Node> {
        let found = self.get(key);
        // A slip of the pen is reported once, as the unknown key that it is.
        let slip = self.entries.iter().any(|entry| nearest(&entry.key, &[key]).is_some());
        if found.is_none() && !slip {
            let at = Place { width: 1, ..self.at };
            let what = format!("`{key}` is missing in {}", self.path);
            reading.problems.push_missing(at, what, example);
        }
        found
    }

    /// The key stands here.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Nothing stands here.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a key stands.
    pub fn key_place(&self, key: &str) -> Place {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.at, |entry| entry.at)
    }

    /// A key of the design that this version does not have: an error of its own, so that nobody relies on it.
    pub fn not_yet(&mut self, key: &'static str, advice: &str, reading: &mut Reading<'_>) {
        if self.get(key).is_some() {
            let what = format!("`{key}` is not in this version of landfall");
            reading.problems.add(self.key_place(key), what, advice);
        }
    }

    /// Reports what was never asked for.
    pub fn close(self, reading: &mut Reading<'_>) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            if entry.key == "<<" {
                reading.problems.add(entry.at, "merge keys (<<) are not read here", "the keys themselves");
                continue;
            }
            let what = format!("unknown key `{}` in {}", shown(&entry.key), self.path);
            reading.problems.add(entry.at, what, advice(&entry.key, &self.known));
        }
    }
}

/// What `name` was probably meant to be, else all that it may be.
pub fn advice(name: &str, known: &[&'static str]) -> String {
    nearest(name, known).map_or_else(|| format!("one of {}", known.join(", ")), |best| format!("`{best}`"))
}

/// The known word within two slips of the pen.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // Far longer than any known key: not a slip, and not worth comparing.
    if name.len() > 64 {
        return None;
    }
    known
        .iter()
        .map(|word| (distance(&name, word), *word))
        .filter(|(distance, word)| *distance <= 2.min(word.len() / 2))
        .min()
        .map(|(_, word)| word)
}

/// Damerau–Levenshtein distance, neighbours swapped counted as one (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let change = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

/// A user's word as part of a message: bounded, without control characters.
pub fn shown(word: &str) -> String {
    let mut out: String = word.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if word.chars().count() > 64 {
        out.push('…');
    }
    out
}

impl Reading<'_> {
    /// A text as it stands, references untouched.
    pub fn word<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, plain } if !node.is_null() => {
                let other = *plain && (matches!(text.as_str(), "true" | "false") || looks_numeric(text));
                if other {
                    let message = format!("{what} must be a text, and this is {}", node.kind());
                    self.problems.add(node.at, message, format!("`\"{}\"`", shown(text)));
                    return None;
                }
                Some(text)
            }
            _ => {
                self.problems.add(
                    node.at,
                    format!("{what} must be a text, and this is {}", node.kind()),
                    "one word or a quoted text",
                );
                None
            }
        }
    }

    /// A text with `${NAME}` resolved.
    pub fn text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        let written = self.word(node, what)?;
        let expanded = reference::expand(written, self.surroundings);
        let value = self.resolved(node.at, expanded)?;
        if value.is_empty() {
            self.problems.add(node.at, format!("{what} is empty"), "a value");
            return None;
        }
        Some(At { value, at: node.at })
    }

    /// A secret: a text with `${NAME}` resolved, or the content of `file:PATH`.
    pub fn secret(&mut self, node: &Node, what: &str) -> Option<At<Secret>> {
        self.problems.hide(node.at);
        let written = self.word_of_secret(node, what)?;
        let found = match written.strip_prefix("file:") {
            Some(path) => reference::expand(path, self.surroundings)
                .and_then(|path| reference::secret_file(&path, self.surroundings)),
            None => reference::expand(written, self.surroundings),
        };
        let value = self.resolved(node.at, found)?;
        if value.is_empty() {
            self.problems.add(node.at, format!("{what} is empty"), "a value");
            return None;
        }
        Some(At { value: Secret::new(value), at: node.at })
    }

    fn word_of_secret<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if !node.is_null() => Some(text),
            _ => {
                self.problems.add(node.at, format!("{what} must be a text"), "`\"${NAME}\"` or `file:PATH`");
                None
            }
        }
    }

    fn resolved(&mut self, at: Place, found: Result<String, Unresolved>) -> Option<String> {
        found.map_err(|unresolved| self.problems.add(at, unresolved.what, unresolved.instead)).ok()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => {
                self.problems.add(node.at, format!("{what} must be true or false"), "`true` or `false`");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn number(&mut self, node: &Node, what: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let value = match &node.value {
            Value::Scalar { text, plain: true } => text.parse().ok(),
            _ => None,
        };
        let value = value.filter(|value| bounds.contains(value));
        if value.is_none() {
            let message = format!("{what} must be a whole number from {} to {}", bounds.start(), bounds.end());
            self.problems.add(node.at, message, format!("a number like `{}`", bounds.start()));
        }
        value
    }

    /// A share of a whole: a number from 0 to 1.
    pub fn share(&mut self, node: &Node, what: &str) -> Option<f64> {
        let value = match &node.value {
            Value::Scalar { text, plain: true } => text.parse::<f64>().ok(),
            _ => None,
        };
        let value = value.filter(|value| (0.0..=1.0).contains(value));
        if value.is_none() {
            self.problems.add(node.at, format!("{what} must be a number from 0 to 1"), "a share like `0.1`");
        }
        value
    }

    /// A duration within bounds.
    pub fn duration(&mut self, node: &Node, what: &str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.scalar(node).and_then(|text| quantity::duration(&text));
        let value = value.filter(|value| bounds.contains(value));
        if value.is_none() {
            let (least, most) = (quantity::show(*bounds.start()), quantity::show(*bounds.end()));
            let message = format!("{what} must be a duration from {least} to {most}");
            self.problems.add(node.at, message, "a number with ms, s, m, h, d or w, like `30s`");
        }
        value
    }

    /// A size in bytes.
    pub fn size(&mut self, node: &Node, what: &str, least: u64) -> Option<u64> {
        let value = self.scalar(node).and_then(|text| quantity::size(&text)).filter(|bytes| *bytes >= least);
        if value.is_none() {
            let message = match least >> 20 {
                0 => format!("{what} must be a size"),
                least => format!("{what} must be a size of at least {least}MiB"),
            };
            self.problems.add(node.at, message, "a number with MB, GB, MiB or GiB, like `50GiB`");
        }
        value
    }

    /// One word of a fixed list.
    pub fn choice<T: Clone>(&mut self, node: &Node, what: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let found = self.scalar(node)?;
        let value = choices.iter().find(|(word, _)| *word == found).map(|(_, value)| value.clone());
        if value.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.problems.add(node.at, format!("{what} cannot be that"), advice(&found, &words));
        }
        value
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => {
                self.problems.add(node.at, format!("{what} must be a list, and this is {}", node.kind()), "`[a, b]`");
                None
            }
        }
    }

    fn scalar(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } => {
                let expanded = reference::expand(text, self.surroundings);
                self.resolved(node.at, expanded)
            }
            _ => {
                self.problems.add(node.at, format!("one word is needed, and this is {}", node.kind()), "one word");
                None
            }
        }
    }
}
