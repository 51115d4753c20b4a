//! A SQLite file and the target asked the same: the file answers by SQLite itself, as text.

use crate::site::Site;
use crate::wait::wait_for;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};
use std::time::Duration;

/// Longest wait for both sides to be equal.
const SOON: Duration = Duration::from_secs(60);

/// What both sides are asked, the file first; rows in one order.
pub type Question = (&'static str, &'static str);
/// Cells as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// What the file says. Blobs are asked for as hex.
pub fn rows(database: &Connection, sql: &str) -> Rows {
    let mut statement = database.prepare(sql).expect("a question that SQLite understands");
    let width = statement.column_count();
    let cell = |row: &Row<'_>, at: usize| {
        Ok(match row.get(at)? {
            Value::Null => None,
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => Some(number.to_string()),
            Value::Text(text) => Some(text),
            Value::Blob(_) => panic!("a blob that was not asked for as hex"),
        })
    };
    let rows = statement.query_map([], |row| (0..width).map(|at| cell(row, at)).collect());
    rows.and_then(Iterator::collect).expect("a file that SQLite reads")
}

/// Waits until both sides answer all questions alike.
#[track_caller]
pub fn expect_soon(site: &Site, writer: &Connection, questions: &[Question], moment: &str) {
    for (theirs, ours) in questions {
        let mut last = (Rows::new(), Rows::new());
        let equal = wait_for(SOON, || {
            last = (rows(writer, theirs), site.database().rows(ours));
            (last.0 == last.1).then_some(())
        });
        if equal.is_none() {
            let odd = |these: &Rows, those: &Rows| these.iter().find(|row| !those.contains(row)).cloned();
            let (missing, extra) = (odd(&last.0, &last.1), odd(&last.1, &last.0));
            panic!("{moment}: {theirs}: missing {missing:?}, too much {extra:?}; {:?}", site.status());
        }
    }
}
