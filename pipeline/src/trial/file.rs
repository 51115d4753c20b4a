//! Files of cases: YAML beside the configuration.
//!
//! ```yaml
//! tests:
//!   a paid order has a total:
//!     stream: orders
//!     record: { id: 1, status: paid, lines: [{ price: 2, qty: 3 }] }
//!     rows:
//!       orders: [{ id: 1, total: 6.00 }]          # named columns are compared, others may be anything
//!       orders_lines: [{ position: 0, price: 2 }]
//!   a draft is left out: { stream: orders, record: { id: 2, status: draft }, left_out: true }
//!   a text is no price:
//!     stream: orders
//!     record: { id: 3, lines: [{ price: "two" }] }
//!     parked: { code: column_type, path: /lines/0/price }
//! ```

use crate::config::column::json;
use crate::config::problem::Problems;
use crate::config::reference::Surroundings;
use crate::config::section::{Reading, Section, shown};
use crate::config::tree::{Entry, Node, Value, parse};
use landfall_schemas::rejection::RejectCode;

/// One trial.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Of which stream.
    pub stream: String,
    /// JSON text of the key, where the record does not hold it.
    pub key: Option<String>,
    /// JSON text of the record; Extended JSON for MongoDB.
    pub record: String,
    /// What is to come out.
    pub expected: Expected,
}

/// What is to come out.
#[derive(Clone, Debug)]
pub enum Expected {
    /// Rows of the tables named.
    Rows(Vec<ExpectedTable>),
    /// Nothing: the filter leaves it out.
    LeftOut,
    /// A dead letter.
    Parked {
        /// Its code.
        code: Box<str>,
        /// Where, if it matters.
        path: Option<Box<str>>,
    },
}

/// All rows of one table.
#[derive(Clone, Debug)]
pub struct ExpectedTable {
    /// The table.
    pub table: Box<str>,
    /// Columns and their JSON text.
    pub rows: Vec<Vec<(Box<str>, Box<str>)>>,
}

/// Reads a file of cases. Fails with all problems at once.
pub fn read(file: &str, source: &str) -> Result<Vec<Case>, Problems> {
    let mut problems = Problems::new(file, source);
    let Some(root) = parse(source, &mut problems) else { return Err(problems) };
    let nothing = |_: &str| None;
    let surroundings = Surroundings { base: std::path::PathBuf::new(), variable: &nothing };
    let mut reading = Reading { problems, surroundings: &surroundings };
    let cases = cases(&root, &mut reading).unwrap_or_default();
    if reading.problems.is_empty() { Ok(cases) } else { Err(reading.problems) }
}

fn cases(root: &Node, reading: &mut Reading<'_>) -> Option<Vec<Case>> {
    let mut section = Section::open(root, "the file", reading)?;
    let node = section.need(
        "tests",
        "tests: { a case: { stream: users, record: { id: 1 }, rows: { users: [{ id: 1 }] } } }",
        reading,
    );
    section.close(reading);
    let Value::Map(entries) = &node?.value else {
        reading.problems.add(root.at, "tests must be a mapping from names to cases", "`a case: { stream: … }`");
        return None;
    };
    Some(entries.iter().filter_map(|entry| case(entry, reading)).collect())
}

fn case(entry: &Entry, reading: &mut Reading<'_>) -> Option<Case> {
    let mut section = Section::open(&entry.node, &format!("tests.{}", shown(&entry.key)), reading)?;
    let stream = section.need("stream", "stream: users", reading).and_then(|node| reading.text(node, "stream"));
    let record = section.need("record", "record: { id: 1 }", reading).and_then(|node| json(node, reading));
    let key = section.get("key").map(|node| json(node, reading));
    let rows = section.get("rows").map(|node| tables(node, reading));
    let left_out = section.get("left_out").map(|node| reading.flag(node, "left_out"));
    let parked = section.get("parked").map(|node| parked(node, reading));
    section.close(reading);
    let key = match key {
        None => None,
        Some(key) => Some(key?),
    };
    let expected = match (rows, left_out, parked) {
        (Some(rows), None, None) => Expected::Rows(rows?),
        (None, Some(Some(true)), None) => Expected::LeftOut,
        (None, None, Some(parked)) => parked?,
        _ => {
            let what = "a case says what comes out, in one way";
            reading.problems.add(entry.at, what, "`rows`, `left_out: true` or `parked`");
            return None;
        }
    };
    Some(Case { name: entry.key.clone(), stream: stream?.value, key, record: record?, expected })
}

fn parked(node: &Node, reading: &mut Reading<'_>) -> Option<Expected> {
    let mut section = Section::open(node, "parked", reading)?;
    let words: Vec<_> = RejectCode::ALL.iter().map(|code| (code.name(), *code)).collect();
    let code = section.need("code", "code: column_type", reading).and_then(|node| reading.choice(node, "code", &words));
    let path = section.get("path").map(|node| reading.word(node, "path").map(Into::into));
    section.close(reading);
    let path = match path {
        None => None,
        Some(path) => Some(path?),
    };
    Some(Expected::Parked { code: code?.name().into(), path })
}

fn tables(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<ExpectedTable>> {
    let Value::Map(entries) = &node.value else {
        reading.problems.add(node.at, "rows must be a mapping from tables to lists of rows", "`users: [{ id: 1 }]`");
        return None;
    };
    let one = |entry: &Entry, reading: &mut Reading<'_>| {
        let rows = reading.list(&entry.node, "the rows of a table")?;
        let rows: Option<Vec<_>> = rows.iter().map(|row| columns(row, reading)).collect();
        Some(ExpectedTable { table: entry.key.as_str().into(), rows: rows? })
    };
    entries.iter().map(|entry| one(entry, reading)).collect()
}

fn columns(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let Value::Map(entries) = &node.value else {
        reading.problems.add(node.at, "a row must be a mapping from columns to values", "`{ id: 1 }`");
        return None;
    };
    entries.iter().map(|entry| Some((entry.key.as_str().into(), json(&entry.node, reading)?.into()))).collect()
}
