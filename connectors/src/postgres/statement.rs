//! The SQL of one stream's table, and what of it is prepared on a connection.
//!
//! Owns the text of every statement that touches rows. Identifiers come as checked [`Ident`]s and are quoted; values never
//! enter the text. Each statement has both guards: a row is written only when its version is newer (promise 8), and only
//! when some column differs *in its binary image*: jsonb `1` and `1.0`, numeric `1.5` and `1.50`, `-0.0` and `0.0` are
//! equal to SQL and different to us.
//!
//! `unnest` of several arrays is syntax of its own and has no qualified spelling; with nothing but the catalogue on the search
//! path the plain name can mean nothing else.
//!
//! Rows come from one of two places: a temporary stage filled by `COPY` (large batches), or parameters that are one array
//! per column (small ones: no copy round trip, no temporary table).

use landfall_schemas::ident::Ident;
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};
use std::collections::HashMap;
use std::fmt::Write;
use tokio_postgres::Statement;

/// The operation of a row in a stage.
pub(crate) const OP_COLUMN: &str = "_lf_op";

/// Where a statement's rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Rows {
    /// The temporary stage.
    Stage,
    /// One array parameter per column, the operations last.
    Arrays,
}

/// What happens to a stored row that equals the new one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Equal {
    /// It is left alone: no write, no bloat.
    Kept,
    /// It takes the new version: a copy over live rows tells by version what it has not seen.
    Stamped,
    /// It is left alone, and one of the *same* version that differs is written: a replay under another mapping.
    Rewritten,
}

/// Which statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Verb {
    /// `COPY` into the stage.
    CopyStage,
    /// `COPY` into the heap.
    CopyHeap,
    /// Everything in one `MERGE`.
    Merge(Rows, Equal),
    /// The upserts, safe against a foreign writer's insert.
    Upsert(Rows, Equal),
    /// The deletes.
    Delete(Rows, Equal),
    /// Every row older than a version.
    Sweep,
}

/// What exists on one connection.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// By statement text: two shapes of one table never share a plan.
    statements: HashMap<String, Statement>,
    /// Stages created, by their defining text.
    stages: HashMap<String, String>,
}

impl Prepared {
    /// Statements kept per connection; beyond that all are dropped and prepared again (bounds the server's memory).
    const MOST: usize = 512;

    pub(crate) fn get(&self, sql: &str) -> Option<&Statement> {
        self.statements.get(sql)
    }

    pub(crate) fn put(&mut self, sql: String, statement: Statement) {
        if self.statements.len() >= Self::MOST {
            self.statements.clear();
        }
        self.statements.insert(sql, statement);
    }

    /// The name of the stage of this definition, if it exists.
    pub(crate) fn stage(&self, definition: &str) -> Option<&str> {
        self.stages.get(definition).map(String::as_str)
    }

    /// A name for the next stage.
    pub(crate) fn next_stage(&self) -> String {
        format!("lf_stage_{}", self.stages.len() + 1)
    }

    pub(crate) fn stage_created(&mut self, definition: String, name: String) {
        self.stages.insert(definition, name);
    }
}

/// The column list of a new stage: the table's columns with their types, all nullable, and the operation in front.
pub(crate) fn stage_columns(shape: &TableShape) -> String {
    let mut out = format!("\"{OP_COLUMN}\" \"char\" NOT NULL");
    for column in &shape.columns {
        let _ = write!(out, ", {} {}{}", column.name.quoted(), column.ty, collation(shape, column));
    }
    out
}

/// Text keys compare by bytes on both sides.
pub(crate) fn collation(shape: &TableShape, column: &TableColumn) -> &'static str {
    let is_key = shape.key().iter().any(|key| key.name == column.name);
    if is_key && column.ty.is_text() { " COLLATE pg_catalog.\"C\"" } else { "" }
}

/// The text of a statement. `stage` is the stage's name (unused by statements that do not read one).
pub(crate) fn sql(shape: &TableShape, verb: Verb, stage: &str) -> String {
    let columns = list(shape.columns.iter().map(|c| c.name.quoted()));
    match verb {
        Verb::CopyStage => {
            format!("COPY pg_temp.\"{stage}\" (\"{OP_COLUMN}\", {columns}) FROM STDIN (FORMAT binary)")
        }
        Verb::CopyHeap => format!("COPY {} ({columns}) FROM STDIN (FORMAT binary)", shape.qualified()),
        Verb::Merge(rows, equal) => merge(shape, &source(shape, rows, stage), equal),
        Verb::Upsert(rows, equal) => upsert(shape, &source(shape, rows, stage), equal),
        Verb::Sweep => {
            format!(
                "DELETE FROM {} AS t WHERE t.{} < $1{}",
                shape.qualified(),
                version(shape).quoted(),
                own_rows(shape)
            )
        }
        Verb::Delete(rows, equal) => format!(
            "DELETE FROM {} AS t USING {} WHERE s.\"{OP_COLUMN}\" = 'D' AND {} AND {}",
            shape.qualified(),
            source(shape, rows, stage),
            same_key(shape),
            is_newer(shape, "s", equal),
        ),
    }
}

/// ` AND …` that leaves the rows of other streams of a shared table out.
pub(crate) fn own_rows(shape: &TableShape) -> String {
    match &shape.shared {
        None => String::new(),
        Some(value) => format!(" AND t.{} = {}", shape.columns[0].name.quoted(), literal(value)),
    }
}

/// A text of the configuration as a literal, whatever the server's settings.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `relation AS s`.
pub(crate) fn source(shape: &TableShape, rows: Rows, stage: &str) -> String {
    match rows {
        Rows::Stage => format!("pg_temp.\"{stage}\" AS s"),
        Rows::Arrays => {
            let names = list(shape.columns.iter().map(|c| c.name.quoted()));
            let arrays = list(shape.columns.iter().enumerate().map(|(n, c)| format!("${}::{}[]", n + 1, c.ty)));
            // An array parameter has no precision or scale: the cast gives it the column's, as COPY does.
            let cast = list(shape.columns.iter().map(|c| {
                let name = c.name.quoted();
                format!("a.{name}::{}{} AS {name}", c.ty, collation(shape, c))
            }));
            format!(
                "(SELECT a.\"{OP_COLUMN}\", {cast} FROM unnest({arrays}, ${}::\"char\"[]) \
                 AS a ({names}, \"{OP_COLUMN}\")) AS s",
                shape.columns.len() + 1
            )
        }
    }
}

pub(crate) fn merge(shape: &TableShape, source: &str, equal: Equal) -> String {
    let newer = is_newer(shape, "s", equal);
    let mut out = format!(
        "MERGE INTO {} AS t USING {source} ON {} WHEN MATCHED AND s.\"{OP_COLUMN}\" = 'D' AND {newer} THEN DELETE",
        shape.qualified(),
        same_key(shape)
    );
    let _ = write!(
        out,
        " WHEN MATCHED AND s.\"{OP_COLUMN}\" = 'U' AND {newer} AND {} THEN UPDATE SET {}",
        is_to_be_written(shape, "s", equal),
        assignments(shape, "s")
    );
    let _ = write!(
        out,
        " WHEN NOT MATCHED AND s.\"{OP_COLUMN}\" = 'U' THEN INSERT ({}) VALUES ({})",
        list(shape.columns.iter().map(|c| c.name.quoted())),
        list(shape.columns.iter().map(|c| format!("s.{}", c.name.quoted())))
    );
    out
}

pub(crate) fn upsert(shape: &TableShape, source: &str, equal: Equal) -> String {
    format!(
        "INSERT INTO {} AS t ({}) SELECT {} FROM {source} WHERE s.\"{OP_COLUMN}\" = 'U' \
         ON CONFLICT ({}) DO UPDATE SET {} WHERE {} AND {}",
        shape.qualified(),
        list(shape.columns.iter().map(|c| c.name.quoted())),
        list(shape.columns.iter().map(|c| format!("s.{}", c.name.quoted()))),
        list(shape.key().iter().map(|c| c.name.quoted())),
        assignments(shape, "excluded"),
        is_newer(shape, "excluded", equal),
        is_to_be_written(shape, "excluded", equal),
    )
}

fn same_key(shape: &TableShape) -> String {
    let equal: Vec<String> = shape.key().iter().map(|c| format!("t.{0} = s.{0}", c.name.quoted())).collect();
    equal.join(" AND ")
}

fn is_newer(shape: &TableShape, from: &str, equal: Equal) -> String {
    let version = version(shape).quoted();
    format!("t.{version} {} {from}.{version}", older(equal))
}

/// How the version of what stands compares with that of what may be written over it.
pub(crate) fn older(equal: Equal) -> &'static str {
    match equal {
        Equal::Kept | Equal::Stamped => "<",
        Equal::Rewritten => "<=",
    }
}

fn is_to_be_written(shape: &TableShape, from: &str, equal: Equal) -> String {
    match equal {
        Equal::Kept | Equal::Rewritten => differs(shape, from),
        Equal::Stamped => "true".to_owned(),
    }
}

/// Some column but key and version has another binary image.
fn differs(shape: &TableShape, from: &str) -> String {
    let compared: Vec<String> = payload(shape).map(|c| c.name.quoted()).collect();
    if compared.is_empty() {
        return "false".to_owned();
    }
    format!(
        "pg_catalog.record_image_ne(ROW({}), ROW({}))",
        list(compared.iter().map(|name| format!("t.{name}"))),
        list(compared.iter().map(|name| format!("{from}.{name}")))
    )
}

fn assignments(shape: &TableShape, from: &str) -> String {
    let written = payload(shape).map(|c| &c.name).chain(std::iter::once(version(shape)));
    list(written.map(|name| format!("{0} = {from}.{0}", name.quoted())))
}

/// The columns that are neither key nor version.
fn payload(shape: &TableShape) -> impl Iterator<Item = &TableColumn> {
    shape.columns.iter().skip(shape.key_columns).filter(|c| c.role != ColumnRole::Version)
}

pub(crate) fn version(shape: &TableShape) -> &Ident {
    &shape.columns.last().expect("a table's last column is its version").name
}

pub(crate) fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Advances the checkpoints: partition, expected offset and nonce must all agree (promise 3). Parameters: pipeline,
/// stream, nonce, then one array each of partition, from, until, applied, superseded, filtered, dead-lettered.
pub(crate) const ADVANCE: &str = "UPDATE landfall.checkpoints AS c \
    SET next_offset = a.until, applied = c.applied + a.applied, superseded = c.superseded + a.superseded, \
        filtered = c.filtered + a.filtered, dead_lettered = c.dead_lettered + a.dead_lettered, \
        updated_at = pg_catalog.now() \
    FROM unnest($4::int4[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[]) \
      AS a (part, from_offset, until, applied, superseded, filtered, dead_lettered) \
    WHERE c.pipeline = $1 AND c.stream = $2 AND c.partition = a.part AND c.owner_nonce = $3 \
      AND c.next_offset = a.from_offset";

/// Writes dead letters. Parameters: pipeline, stream, then one array per column.
pub(crate) const BURY: &str = "INSERT INTO landfall.dead_letters \
      (pipeline, stream, partition, event_offset, version, key, op, code, path, expected, found, byte_at, sqlstate, \
       place, place_at, payload, state, blocks) \
    SELECT $1, $2, d.* FROM unnest($3::int4[], $4::int8[], $5::int8[], $6::bytea[], $7::text[], $8::text[], \
       $9::text[], $10::text[], $11::text[], $12::int8[], $13::text[], $14::text[], $15::int8[], $16::bytea[], \
       $17::text[], $18::bool[]) AS d";

/// Settles the dead letters that waited since before a barrier. Parameters: pipeline, stream, the barrier's version.
pub(crate) const SWEEP_DEAD: &str = "UPDATE landfall.dead_letters SET state = 'superseded', settled_at = pg_catalog.now() \
    WHERE pipeline = $1 AND stream = $2 AND state IN ('parked', 'behind') AND version < $3";

/// Marks dead letters that no longer stand in the source. Parameters: pipeline, stream, keys.
pub(crate) const RETRACT: &str = "UPDATE landfall.dead_letters AS d SET state = 'superseded', settled_at = pg_catalog.now() \
    FROM pg_catalog.unnest($3::bytea[]) AS r (key) \
    WHERE d.pipeline = $1 AND d.stream = $2 AND d.key = r.key AND d.state = 'parked' AND NOT d.blocks";

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_schemas::pgtype::PgType;

    fn shape() -> TableShape {
        let column = |name: &str, ty, role| TableColumn { name: Ident::new(name).unwrap(), ty, not_null: false, role };
        TableShape {
            schema: Ident::new("pub\"lic").unwrap(),
            name: Ident::new("t; drop table x").unwrap(),
            columns: vec![
                column("id", PgType::Text, ColumnRole::Key),
                column("am\"ount", PgType::Numeric(Some((18, 4))), ColumnRole::Mapped(0)),
                column("_lf_version", PgType::Int8, ColumnRole::Version),
            ],
            key_columns: 1,
            shared: None,
            indexes: vec![],
            unique: Vec::new(),
        }
    }

    #[test]
    fn every_identifier_is_quoted() {
        for verb in [
            Verb::CopyHeap,
            Verb::Merge(Rows::Stage, Equal::Kept),
            Verb::Upsert(Rows::Arrays, Equal::Kept),
            Verb::Delete(Rows::Stage, Equal::Kept),
        ] {
            let text = sql(&shape(), verb, "lf_stage_1");
            assert!(text.contains("\"pub\"\"lic\".\"t; drop table x\""), "{text}");
        }
        assert!(
            sql(&shape(), Verb::Merge(Rows::Stage, Equal::Kept), "s").contains("\"am\"\"ount\" = s.\"am\"\"ount\"")
        );
    }

    #[test]
    fn every_write_has_both_guards_and_every_delete_the_version_guard() {
        for rows in [Rows::Stage, Rows::Arrays] {
            let merge = sql(&shape(), Verb::Merge(rows, Equal::Kept), "x");
            assert_eq!(merge.matches("t.\"_lf_version\" < s.\"_lf_version\"").count(), 2, "{merge}");
            assert_eq!(merge.matches("record_image_ne").count(), 1);
            let upsert = sql(&shape(), Verb::Upsert(rows, Equal::Kept), "x");
            assert!(upsert.contains("t.\"_lf_version\" < excluded.\"_lf_version\" AND pg_catalog.record_image_ne"));
            assert!(
                sql(&shape(), Verb::Delete(rows, Equal::Kept), "x").contains("t.\"_lf_version\" < s.\"_lf_version\"")
            );
        }
    }

    #[test]
    fn a_copy_over_live_rows_stamps_what_is_equal_and_still_never_overwrites_newer() {
        let merge = sql(&shape(), Verb::Merge(Rows::Stage, Equal::Stamped), "x");
        assert_eq!(merge.matches("t.\"_lf_version\" < s.\"_lf_version\"").count(), 2, "{merge}");
        assert!(!merge.contains("record_image_ne"), "{merge}");
        assert!(sql(&shape(), Verb::Sweep, "").ends_with("WHERE t.\"_lf_version\" < $1"));
    }

    #[test]
    fn a_table_without_payload_columns_never_updates() {
        let mut shape = shape();
        shape.columns.remove(1);
        assert!(sql(&shape, Verb::Merge(Rows::Stage, Equal::Kept), "x").contains("AND false THEN UPDATE"));
    }

    #[test]
    fn array_parameters_get_the_column_s_scale_and_collation() {
        let text = sql(&shape(), Verb::Merge(Rows::Arrays, Equal::Kept), "");
        assert!(text.contains("$2::numeric(18,4)[]") && text.contains("a.\"am\"\"ount\"::numeric(18,4)"));
        assert!(text.contains("a.\"id\"::text COLLATE pg_catalog.\"C\""));
    }
}
