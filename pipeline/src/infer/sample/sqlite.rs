//! A SQLite database: every table of its own.

use super::{SampleError, Sampled, Seen, open, relative, root, split, stem};
use crate::infer::StreamKey;
use crate::infer::candidate::Candidates;
use crate::infer::profile::{Profile, Scratch};
use crate::infer::propose;
use crate::infer::yaml::text;
use landfall_connectors::sqlite::database::{Database, Table, Trouble};
use landfall_schemas::pgtype::PgType;
use std::io::Read;
use std::path::Path;

/// Rows of a table that are looked at whole; of larger ones its beginning, its end, and pieces from everywhere.
const MOST_ROWS: u64 = 500_000;
/// Pieces of a large table.
const PIECES: i64 = 64;

/// Whether a file says that it is one.
pub(super) fn is_one(path: &Path) -> bool {
    let mut head = [0; 16];
    std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == *b"SQLite format 3\0"
}

pub(super) fn look(path: &Path, base: &Path) -> Result<Sampled, SampleError> {
    let unusable = |trouble: Trouble| SampleError::unusable(path, trouble.detail);
    let (dir, file) = split(path);
    open(&root(&dir)?, &file)?;
    let database = Database::open(path).map_err(unusable)?;
    database.begin().map_err(unusable)?;
    let (mut streams, mut notes) = (Vec::new(), Vec::new());
    for name in database.tables().map_err(unusable)? {
        let Some(table) = database.table(&name).map_err(unusable)? else { continue };
        let seen = table_of(&database, table).map_err(unusable)?;
        if seen.profile.objects == 0 {
            notes.push(format!("table {name} has no rows to make columns of; name it yourself if it is to be carried"));
            continue;
        }
        streams.push(seen);
    }
    database.end();
    if database.journal_mode().is_ok_and(|mode| mode != "wal") {
        notes.push("the database is not in WAL mode: a commit of its writer waits while a table is read".to_owned());
    }
    let fields = format!("kind: sqlite, path: {}", text(&relative(path, base)));
    Ok(Sampled { name: stem(path), fields, streams, notes })
}

fn table_of(database: &Database, table: Table) -> Result<Seen, Trouble> {
    let (mut profile, mut scratch) = (Profile::new(Candidates::sqlite()), Scratch::default());
    let rows = database.count(&table)?;
    let all = rows <= MOST_ROWS || table.rowid.is_none();
    let mut take = |row: &[u8]| profile.add_bson(row, &mut scratch);
    if all {
        let mut after = None;
        loop {
            after = database.chunk(&table, &after, &mut |row| take(row.document))?;
            if after.is_none() {
                break;
            }
        }
    } else {
        let newest = database.newest(&table)?;
        for piece in 0..=PIECES {
            // The last piece ends with the newest row.
            let from = (newest / PIECES).saturating_mul(piece).min(newest.saturating_sub(5_000));
            let after = Some(vec![from.into()]);
            let _ = database.chunk(&table, &after, &mut |row| take(row.document))?;
        }
    }
    let (key, key_field) = key(&table, &profile);
    let (name, select) = (table.name.clone(), Some(table.name));
    Ok(Seen { name, select, key, key_field, profile, nulls_are_null: true, all, odd: 0 })
}

/// The primary key; without one the rowid.
fn key(table: &Table, profile: &Profile) -> (StreamKey, Option<String>) {
    match table.key.as_slice() {
        [name] => match profile.field(name) {
            Some(field) => {
                let key = propose::key_of(name, field);
                let from = Some(key.field.clone());
                (StreamKey::Of { from: Some(key.field), ty: key.ty, column: key.column }, from)
            }
            None => (StreamKey::Composite(table.key.clone()), None),
        },
        [] => {
            let column = if table.columns.iter().any(|name| name == "rowid") { "row_number" } else { "rowid" };
            let from = Some("rowid".to_owned());
            (StreamKey::Of { from, ty: Some(PgType::Int8), column: column.to_owned() }, None)
        }
        _ => (StreamKey::Composite(table.key.clone()), None),
    }
}
