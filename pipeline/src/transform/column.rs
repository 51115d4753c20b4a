//! The columns of a table in row order, as a mapping says what they hold.

use landfall_schemas::expression::{Expression, Input};
use landfall_schemas::mapping::{ColumnFrom, ColumnMapping, FieldPath, SourceField, ValueRule};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::table::{ColumnRole, TableShape};
use landfall_schemas::value::rule::Ruler;
use landfall_schemas::value::{Encoder, put_bytes, put_null};

/// A field that is NULL.
pub(super) const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A column of the table.
#[derive(Debug)]
pub(super) enum Column {
    /// The same in every row: what tells the stream in a shared table.
    Constant(Box<[u8]>),
    /// The keys of all rows above.
    Parents,
    Key,
    /// The place in the array.
    Position,
    Mapped(Field),
    Computed(Computed),
    Doc,
    Rest,
    /// The record's exact bytes.
    Raw,
    Version,
}

/// A mapped column.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) slot: usize,
    pub(super) ty: PgType,
    pub(super) required: bool,
    pub(super) default: Option<Box<str>>,
    pub(super) rule: Option<Box<ValueRule>>,
    /// JSON pointer, for people.
    pub(super) pointer: Box<str>,
}

/// A column that an expression gives its value.
#[derive(Debug)]
pub(super) struct Computed {
    expression: Expression,
    ty: PgType,
    required: bool,
    default: Option<Box<str>>,
    rule: Option<Box<ValueRule>>,
    /// For people.
    name: Box<str>,
}

impl Computed {
    /// Appends its field. On error `out` holds a part of it.
    pub(super) fn put(
        &self,
        input: &Input,
        (encoder, ruler): (&mut Encoder, &mut Ruler),
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let start = out.len();
        let text = self.expression.json(input).map_err(|found| self.here(found))?;
        let put = match (&text, &self.default, &self.rule) {
            (Some(text), _, Some(rule)) => ruler.put((rule, self.ty), text.as_bytes(), encoder, out),
            (Some(text), _, None) => encoder.field(self.ty, text.as_bytes(), out),
            (None, Some(default), _) => encoder.field(self.ty, default.as_bytes(), out),
            (None, None, _) => {
                put_null(out);
                Ok(())
            }
        };
        put.map_err(|found| self.here(found))?;
        if self.required && out[start..] == NULL {
            let found = if text.is_some() { "null" } else { "nothing" };
            return Err(self.here(Rejection::new(RejectCode::RequiredMissing, "", &self.ty.to_string(), found)));
        }
        Ok(())
    }

    fn here(&self, found: Rejection) -> Rejection {
        Rejection { path: format!("/{}{}", self.name, found.path).into(), at: None, ..found }
    }
}

/// The key's column.
#[derive(Debug, Default)]
pub(super) struct KeyColumn {
    pub(super) name: Box<str>,
    pub(super) ty: Option<PgType>,
}

/// What a column gives back of the value that it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GivesBack {
    /// What its type does.
    As(PgType),
    /// Nothing: a rule changed it, and the field stays.
    Nothing,
    /// As much as the mapping asks for.
    Enough,
}

impl GivesBack {
    pub(super) fn of(column: &ColumnMapping) -> Self {
        match &column.rule {
            _ if column.from.field().is_none() => Self::Nothing,
            None => Self::As(column.ty),
            Some(_) if leaves_its_field(column) => Self::Nothing,
            Some(_) => Self::Enough,
        }
    }
}

/// Where a table's columns find their values, as errors tell it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// At their paths, below this one.
    Below(&'a [String]),
    /// The value itself is the one column's.
    Here,
}

/// The columns of a table.
pub(super) fn columns(table: &TableShape, mapped: &[ColumnMapping], found: Found<'_>) -> Vec<Column> {
    let roles = table.columns.iter().map(|column| column.role);
    let columns = roles.filter_map(|role| match role {
        ColumnRole::Stream => Some(Column::Constant(constant(table))),
        ColumnRole::Parent(0) => Some(Column::Parents),
        ColumnRole::Parent(_) => None,
        ColumnRole::Key => Some(Column::Key),
        ColumnRole::Position => Some(Column::Position),
        ColumnRole::Mapped(slot) => Some(mapped_column(slot, &mapped[slot], found)),
        ColumnRole::Doc => Some(Column::Doc),
        ColumnRole::Rest => Some(Column::Rest),
        ColumnRole::Raw => Some(Column::Raw),
        ColumnRole::Version => Some(Column::Version),
    });
    columns.collect()
}

/// The field that tells the stream.
fn constant(table: &TableShape) -> Box<[u8]> {
    let mut field = Vec::new();
    put_bytes(table.shared.as_deref().unwrap_or_default().as_bytes(), &mut field);
    field.into()
}

/// Whether a column leaves the field that it takes its value from in the rest too.
pub(super) fn leaves_its_field(column: &ColumnMapping) -> bool {
    column.rule.as_ref().is_some_and(|rule| rule.source == SourceField::Kept)
}

/// Whether a table has a column of this role.
pub(super) fn has(table: &TableShape, role: ColumnRole) -> bool {
    table.columns.iter().any(|column| column.role == role)
}

fn mapped_column(slot: usize, column: &ColumnMapping, found: Found<'_>) -> Column {
    match &column.from {
        ColumnFrom::Field(path) => Column::Mapped(field(slot, (path, column), found)),
        ColumnFrom::Computed(expression) => Column::Computed(Computed {
            expression: expression.clone(),
            ty: column.ty,
            required: column.required,
            default: column.default.clone(),
            rule: column.rule.clone(),
            name: column.name.as_str().into(),
        }),
    }
}

fn field(slot: usize, (from, column): (&FieldPath, &ColumnMapping), found: Found<'_>) -> Field {
    let above = |prefix: &[String]| prefix.iter().map(|part| pointer_part(part)).collect::<String>();
    let pointer = match found {
        Found::Below(prefix) => format!("{}{from}", above(prefix)),
        Found::Here => String::new(),
    };
    Field {
        slot,
        ty: column.ty,
        required: column.required,
        default: column.default.clone(),
        rule: column.rule.clone(),
        pointer: pointer.into(),
    }
}

/// A name as a part of a JSON pointer.
pub(super) fn pointer_part(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}
