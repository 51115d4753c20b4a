//! Problems of a configuration: collected, not thrown, so that one run shows them all.
//!
//! Owns their wording frame (`file:line:column: problem; write … instead`), the source line and the caret under it. Keeps S5
//! of the security list: a source line is shown only up to where a secret could begin.

use super::place::Place;
use serde::Serialize;
use std::fmt;

/// One problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// What is wrong.
    pub what: String,
    /// What to write instead; `None` when the problem says it all.
    pub instead: Option<String>,
}

/// A problem as `-o json` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ProblemReport {
    /// File as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub instead: Option<String>,
}

/// All problems found so far, with the file they are in.
#[derive(Clone, Debug)]
pub struct Problems {
    file: String,
    lines: Vec<String>,
    found: Vec<Problem>,
    left_out: usize,
}

/// Most problems kept: a page of them is enough to see that the file is another kind of file.
const MAX_PROBLEMS: usize = 100;
/// Longest source line shown, in characters.
const MAX_SHOWN: usize = 160;

impl Problems {
    /// None yet.
    pub fn new(file: &str, source: &str) -> Self {
        let lines = source.lines().map(cut_secrets).collect();
        Self { file: file.to_owned(), lines, found: Vec::new(), left_out: 0 }
    }

    /// Adds a problem with what to write instead.
    pub fn add(&mut self, at: Place, what: impl Into<String>, instead: impl Into<String>) {
        self.push(Problem { at, what: what.into(), instead: Some(instead.into()) });
    }

    /// Adds a missing key: shown at the mapping it belongs in.
    pub fn push_missing(&mut self, at: Place, what: impl Into<String>, example: &str) {
        self.add(at, what, format!("`{example}`"));
    }

    /// Adds a problem that has no single remedy.
    pub fn add_note(&mut self, at: Place, what: impl Into<String>) {
        self.push(Problem { at, what: what.into(), instead: None });
    }

    fn push(&mut self, problem: Problem) {
        if self.found.contains(&problem) {
            return;
        }
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// Takes over the problems of `other`, to be shown with this file's lines.
    pub fn extend(&mut self, other: &Self) {
        other.found.iter().for_each(|problem| self.push(problem.clone()));
    }

    /// Nothing found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.found.len() + self.left_out
    }

    /// The problems in the order of the file.
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut all: Vec<_> = self.found.iter().collect();
        all.sort_by_key(|problem| problem.at);
        all
    }

    /// For `-o json`.
    pub fn reports(&self) -> Vec<ProblemReport> {
        let report = |problem: &&Problem| ProblemReport {
            file: self.file.clone(),
            line: problem.at.line,
            column: problem.at.column,
            problem: problem.what.clone(),
            instead: problem.instead.clone(),
        };
        self.sorted().iter().map(report).collect()
    }

    /// The file's name as the user gave it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Hides the rest of a line from a column on: a secret stands there.
    pub fn hide(&mut self, at: Place) {
        if let Some(line) = self.lines.get_mut(at.line as usize - 1) {
            let keep = (at.column - 1) as usize;
            if line.chars().count() > keep {
                *line = line.chars().take(keep).chain(['…']).collect();
            }
        }
    }

    fn snippet(&self, at: Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(line) = self.lines.get(at.line as usize - 1).filter(|line| !line.trim().is_empty()) else {
            return Ok(());
        };
        // A tab would move the caret; a control character would speak to the terminal.
        let shown: String = line.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let length = shown.chars().count();
        writeln!(f, "{:>5} | {}", at.line, shown.trim_end())?;
        let before = (at.column - 1) as usize;
        if before > length {
            return Ok(());
        }
        let width = (at.width as usize).min(length.saturating_sub(before)).max(1);
        writeln!(f, "      | {}{}", " ".repeat(before), "^".repeat(width))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.sorted() {
            write!(f, "{}:{}:{}: {}", self.file, problem.at.line, problem.at.column, problem.what)?;
            match &problem.instead {
                Some(instead) => writeln!(f, "; write {instead} instead")?,
                None => writeln!(f)?,
            }
            self.snippet(problem.at, f)?;
        }
        if self.left_out > 0 {
            writeln!(f, "… and {} more", self.left_out)?;
        }
        Ok(())
    }
}

/// Cuts a line before what may be a secret: the user part of a URL, and whatever follows a word for one.
fn cut_secrets(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let url = lower.find("://").filter(|at| lower[*at..].contains('@')).map(|at| at + 3);
    let words = ["password", "passwd", "pwd", "secret", "token", "api_key", "apikey"];
    let word = words.iter().filter_map(|word| {
        let end = lower.find(word)? + word.len();
        lower[end..].starts_with(['=', ':', '"', '\'', ' ']).then_some(end + 1)
    });
    match url.into_iter().chain(word).min() {
        Some(at) if line.len() > at => format!("{}…", &line[..at]),
        _ => line.to_owned(),
    }
}
