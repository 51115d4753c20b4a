//! What the mapping alone promises of each field.
//!
//! Conservative: a field is called exact only where no value that its column takes can come back otherwise. What a column does not give
//! back stays in the rest, where there is one; so what is lossy is what was asked for: `keep: false`, no rest, a default that nobody can
//! tell from the value.

use super::Fidelity;
use landfall_schemas::mapping::{
    ChildElement, ChildMapping, ChildShape, ColumnMapping, ElementKey, FieldPath, KeyFrom, SourceField, StreamMapping,
};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::{ColumnRole, TableShape};

/// A place in the records of a stream, and what comes back of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guarantee {
    /// JSON pointer; `*` stands for any element or member. Empty: all that no column and no table below takes.
    pub pointer: String,
    /// `table.column` that holds it.
    pub held_by: String,
    /// At the least.
    pub fidelity: Fidelity,
    /// What it may lose, for people; empty for exact ones.
    pub because: &'static str,
    /// Its column's type, where one value is compared.
    pub(super) ty: Option<PgType>,
    /// Elements of the array here come back in the order of this field of theirs.
    pub(super) ordered_by: Option<FieldPath>,
}

/// What every field of a stream's records comes back as, in the order of the mapping. JSON records only.
pub fn guarantees(mapping: &StreamMapping) -> Vec<Guarantee> {
    let mut all = Vec::new();
    if let Some(doc) = mapping.table.columns.iter().find(|column| column.role == ColumnRole::Doc) {
        let held_by = held_by(&mapping.table, doc.name.as_str());
        all.push(Guarantee::new("", held_by, (Fidelity::ByValue, "numbers are spelled anew")));
        return all;
    }
    all.push(rest_of("", &mapping.table));
    if let KeyFrom::Field(path) = &mapping.key.from {
        all.push(key(&pointer("", path.parts()), &mapping.table, mapping.key.ty));
    }
    columns("", &mapping.columns, (&mapping.table, rest(&mapping.table)), &mut all);
    children("", &mapping.children, rest(&mapping.table), &mut all);
    all
}

impl Guarantee {
    fn new(pointer: &str, held_by: String, (fidelity, because): (Fidelity, &'static str)) -> Self {
        Self { pointer: pointer.to_owned(), held_by, fidelity, because, ty: None, ordered_by: None }
    }
}

fn held_by(table: &TableShape, column: &str) -> String {
    format!("{}.{column}", table.name)
}

fn pointer(prefix: &str, path: &[String]) -> String {
    path.iter()
        .fold(prefix.to_owned(), |pointer, part| format!("{pointer}/{}", part.replace('~', "~0").replace('/', "~1")))
}

/// Whether a table keeps what its columns do not take.
fn rest(table: &TableShape) -> bool {
    table.columns.iter().any(|column| column.role == ColumnRole::Rest)
}

fn rest_of(prefix: &str, table: &TableShape) -> Guarantee {
    match table.columns.iter().find(|column| column.role == ColumnRole::Rest) {
        Some(column) => {
            let by_value = (Fidelity::ByValue, "numbers are spelled anew");
            Guarantee::new(prefix, held_by(table, column.name.as_str()), by_value)
        }
        None => {
            Guarantee::new(prefix, table.name.to_string(), (Fidelity::Lossy, "the table has no rest: it is dropped"))
        }
    }
}

/// The key's field: its column, or the rest where that does not give it back.
fn key(pointer: &str, table: &TableShape, ty: Option<PgType>) -> Guarantee {
    let name = table.columns.iter().find(|column| column.role == ColumnRole::Key).map_or("", |key| key.name.as_str());
    let promised = match (ty, rest(table)) {
        (None | Some(PgType::Text | PgType::ObjectId | PgType::Bool), _) if ty.is_some() => (Fidelity::Exact, ""),
        (_, true) => (Fidelity::ByValue, "numbers are spelled anew"),
        (ty, false) => ty.map_or((Fidelity::ByValue, "numbers are spelled anew"), of_plain),
    };
    Guarantee { ty, ..Guarantee::new(pointer, held_by(table, name), promised) }
}

fn columns(prefix: &str, columns: &[ColumnMapping], (table, rest): (&TableShape, bool), all: &mut Vec<Guarantee>) {
    for column in columns {
        let Some(path) = column.from.field() else { continue };
        let promised = of_column(column, rest);
        let held_by = held_by(table, column.name.as_str());
        let found =
            Guarantee { ty: Some(column.ty), ..Guarantee::new(&pointer(prefix, path.parts()), held_by, promised) };
        // Of several columns that hold one field, the most faithful one counts.
        match all.iter_mut().find(|known| known.pointer == found.pointer) {
            Some(known) if known.fidelity >= found.fidelity => {}
            Some(known) => *known = found,
            None => all.push(found),
        }
    }
}

/// The column leaves its field in the rest.
pub(super) fn leaves(column: &ColumnMapping) -> bool {
    column.rule.as_ref().is_some_and(|rule| rule.source == SourceField::Kept)
}

fn of_column(column: &ColumnMapping, rest: bool) -> (Fidelity, &'static str) {
    if leaves(column) && rest {
        return (Fidelity::ByValue, "it stays in the rest, where numbers are spelled anew");
    }
    if column.rule.is_some() {
        return (Fidelity::Lossy, "a rule changes it and the field is not kept");
    }
    if column.default.is_some() {
        return (Fidelity::Lossy, "a missing field and one that holds the default become one");
    }
    if !column.required && !rest {
        return (Fidelity::Lossy, "without a rest a missing field and null become one");
    }
    of_plain(column.ty)
}

/// How faithful a column is as such: which of two that hold one field gives it back.
pub(super) fn of_type(column: &ColumnMapping) -> Fidelity {
    of_column(column, true).0
}

fn of_plain(ty: PgType) -> (Fidelity, &'static str) {
    match ty {
        PgType::Text | PgType::ObjectId | PgType::Bool => (Fidelity::Exact, ""),
        PgType::Int2
        | PgType::Int4
        | PgType::Int8
        | PgType::Float4
        | PgType::Float8
        | PgType::Numeric(_)
        | PgType::Jsonb => (Fidelity::ByValue, "numbers are spelled anew"),
        PgType::Date | PgType::Time | PgType::Timestamp | PgType::TimestampTz => {
            (Fidelity::ByValue, "times are spelled anew, in UTC")
        }
        PgType::Uuid => (Fidelity::ByValue, "letters become lower case"),
        PgType::Bytea => (Fidelity::ByValue, "bytes are encoded anew"),
        PgType::Array(element) => of_plain(element.ty()),
    }
}

fn children(prefix: &str, children: &[ChildMapping], rest_above: bool, all: &mut Vec<Guarantee>) {
    for child in children {
        let at = pointer(prefix, child.from.as_ref().map_or(&[][..], FieldPath::parts));
        let (table, own) = (&child.table, rest(&child.table));
        if child.shape == ChildShape::Object {
            // What its columns do not take stays in the rest above.
            columns(&at, &child.columns, (table, rest_above), all);
            self::children(&at, &child.children, rest_above, all);
            continue;
        }
        // Missing, null and empty are told apart by the rest above.
        let told = if rest_above {
            (Fidelity::Exact, "")
        } else {
            (Fidelity::Lossy, "without a rest above, missing, null and empty become one")
        };
        let mut found = Guarantee::new(&at, table.name.to_string(), told);
        let placed = table.columns.iter().any(|column| column.role == ColumnRole::Position);
        if let (ChildShape::Array(ElementKey::Field(path, _)), false) = (&child.shape, placed) {
            found.ordered_by = Some(path.clone());
            found = match told.0 {
                Fidelity::Exact => Guarantee {
                    fidelity: Fidelity::ByValue,
                    because: "elements come back in the order of their keys",
                    ..found
                },
                _ => found,
            };
        }
        all.push(found);
        let each = format!("{at}/*");
        if child.element == ChildElement::Value {
            let promised = of_plain(child.columns[0].ty);
            let promised = if child.columns[0].rule.is_some() {
                (Fidelity::Lossy, "a rule changes it and the value is not kept")
            } else {
                promised
            };
            let held_by = held_by(table, child.columns[0].name.as_str());
            all.push(Guarantee { ty: Some(child.columns[0].ty), ..Guarantee::new(&each, held_by, promised) });
            continue;
        }
        all.push(rest_of(&each, table));
        if let ChildShape::Array(ElementKey::Field(path, ty)) = &child.shape {
            all.push(key(&pointer(&each, path.parts()), table, *ty));
        }
        columns(&each, &child.columns, (table, own), all);
        self::children(&each, &child.children, own, all);
    }
}
