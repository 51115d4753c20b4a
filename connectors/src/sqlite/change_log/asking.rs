//! What the change log asks a database: what makes rows unique, which rows were noted, and what a noted key holds.

use crate::sqlite::database::{CHUNK_ROWS, Database, SeenRow, Table, Trouble, quoted};
use rusqlite::types::Value;
use rusqlite::{Error, params_from_iter};

/// Columns that no two rows have the same values in, each with the collation it is compared by. Empty: rows are unique in a way that
/// columns do not tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UniqueKey {
    /// Column and collation.
    pub columns: Vec<(String, String)>,
}

/// Rows of a log: each with its number first.
pub(crate) type Noted = Vec<(i64, Vec<Value>)>;

impl Database {
    /// The row whose cells, asked for as `by`, hold `values`; `false`: there is none.
    pub(crate) fn find(
        &self,
        table: &Table,
        by: &[String],
        values: &[&Value],
        take: &mut dyn FnMut(SeenRow<'_>),
    ) -> Result<bool, Trouble> {
        let failed = |error: Error| Trouble::of(&error);
        let order = table.order();
        let wanted: Vec<String> = by.iter().enumerate().map(|(at, cell)| format!("{cell} = ?{}", at + 1)).collect();
        let sql = format!("{} WHERE {}", table.select_rows(&order), wanted.join(" AND "));
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(false) };
        table.show(row, order.len(), &mut Vec::new(), take)?;
        Ok(true)
    }

    /// A number that is another one after every change of the schema, and after `VACUUM`.
    pub(crate) fn schema_version(&self) -> Result<i64, Trouble> {
        self.ask("PRAGMA schema_version")
    }

    /// Kind, name and SQL of what stands in the schema by names that begin with `prefix`.
    pub fn named(&self, prefix: &str) -> Result<Vec<(String, String, String)>, Trouble> {
        let failed = |error: Error| Trouble::of(&error);
        let sql =
            "SELECT type, name, sql FROM sqlite_schema WHERE substr(name, 1, length(?1)) = ?1 AND sql IS NOT NULL";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let found = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        found.and_then(Iterator::collect).map_err(failed)
    }

    /// Whether a log has more than so many rows.
    pub(crate) fn has_more_than(&self, log: &str, rows: u64) -> Result<bool, Trouble> {
        let sql = format!("SELECT count(*) > {rows} FROM (SELECT 1 FROM {} LIMIT {})", quoted(log), rows + 1);
        self.ask(&sql)
    }

    /// The newest number in a log; 0 when it is empty.
    pub(crate) fn last_logged(&self, log: &str) -> Result<i64, Trouble> {
        self.ask(&format!("SELECT coalesce(max(seq), 0) FROM {}", quoted(log)))
    }

    /// Rows of a log behind number `after`, each with its number first; `None`: one of them holds text that is not UTF-8.
    pub(crate) fn logged(
        &self,
        log: &str,
        columns: &[String],
        (after, until): (i64, i64),
    ) -> Result<Option<Noted>, Trouble> {
        let failed = |error: Error| Trouble::of(&error);
        let sql = format!(
            "SELECT seq, {} FROM {} WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT {CHUNK_ROWS}",
            columns.join(", "),
            quoted(log)
        );
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query([after, until]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns.len());
            for at in 1..=columns.len() {
                match Value::try_from(row.get_ref(at).map_err(failed)?) {
                    Ok(value) => values.push(value),
                    Err(_) => return Ok(None),
                }
            }
            found.push((row.get(0).map_err(failed)?, values));
        }
        Ok(Some(found))
    }

    /// Everything that makes a table's rows unique.
    pub fn unique_keys(&self, table: &Table) -> Result<Vec<UniqueKey>, Trouble> {
        let failed = |error: Error| Trouble::of(&error);
        let sql = "SELECT name, partial FROM pragma_index_list(?1) WHERE \"unique\" = 1";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let listed = statement.query_map([&table.name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)));
        let listed: Vec<(String, bool)> = listed.and_then(Iterator::collect).map_err(failed)?;
        let sql = "SELECT info.name, info.coll FROM pragma_index_xinfo(?1) AS info \
                   LEFT JOIN pragma_table_xinfo(?2) AS column ON column.cid = info.cid \
                   WHERE info.key = 1 AND (info.cid < 0 OR column.hidden = 0) ORDER BY info.seqno";
        let all = "SELECT count(*) FROM pragma_index_xinfo(?1) WHERE key = 1";
        let mut unique = Vec::new();
        for (name, partial) in listed {
            let mut statement = self.connection.prepare(sql).map_err(failed)?;
            let read = statement.query_map([&name, &table.name], |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?))
            });
            let read: Vec<(Option<String>, String)> = read.and_then(Iterator::collect).map_err(failed)?;
            let count: i64 = self.connection.query_row(all, [&name], |row| row.get(0)).map_err(failed)?;
            // An expression has no name, a generated column is hidden.
            let columns: Option<Vec<_>> = read.into_iter().map(|(name, coll)| Some((name?, coll))).collect();
            let columns = columns.filter(|columns| !partial && columns.len() as i64 == count).unwrap_or_default();
            unique.push(UniqueKey { columns });
        }
        // An INTEGER PRIMARY KEY is the rowid, and no index.
        if let [one] = &table.key[..]
            && !unique.iter().any(|unique| matches!(&unique.columns[..], [(column, _)] if column == one))
        {
            unique.push(UniqueKey { columns: vec![(one.clone(), "BINARY".to_owned())] });
        }
        Ok(unique)
    }
}
