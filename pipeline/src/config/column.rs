//! `columns` of a stream.

use super::column_type;
use super::section::{At, Reading, Section, shown};
use super::source::field;
use super::table_layout::column_name;
use super::tree::{Entry, Node, Value, looks_numeric};
use super::value_rule;
use landfall_schemas::expression::Expression;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{ColumnFrom, ColumnMapping, FieldPath, Nothing, SourceField};
use landfall_schemas::pgtype::PgType;

/// Most columns of ours in one table: PostgreSQL's 1,600 with room for key, rest and version.
pub const MAX_COLUMNS: usize = 1_590;

/// What NULL may stand for.
const NONE: [(&str, Nothing); 2] = [("missing", Nothing::Missing), ("null", Nothing::Null)];

/// A column as it was written, with what is checked later against other streams.
#[derive(Clone, Debug)]
pub struct WrittenColumn {
    /// The column.
    pub column: ColumnMapping,
    /// `references`, as `table.column`.
    pub references: Option<At<(Ident, Ident)>>,
}

/// The columns of a table; those that could not be read are left out (and reported). None at all make sense only where rows below
/// hold what there is.
pub fn columns(node: &Node, path: &str, has_children: bool, reading: &mut Reading<'_>) -> Vec<At<WrittenColumn>> {
    let Value::Map(entries) = &node.value else {
        let what = format!("{path}.columns must be a mapping from names to types");
        reading.problems.add(node.at, what, "`title: text`, or `title: { from: name, type: text }`");
        return Vec::new();
    };
    if entries.is_empty() && !has_children {
        let what = format!("{path}.columns is empty");
        reading.problems.add(node.at, what, "columns, or leave `columns` out to land whole documents");
    }
    if entries.len() > MAX_COLUMNS {
        let what = format!("{} columns are more than a PostgreSQL table can have", entries.len());
        reading.problems.add(node.at, what, format!("at most {MAX_COLUMNS}; what no column takes stays in `rest`"));
        return Vec::new();
    }
    entries.iter().filter_map(|entry| column(entry, path, reading).map(|value| At { value, at: entry.at })).collect()
}

/// The one column of a child that holds single values: `TYPE`, or a mapping like a column's with its name in `column`.
pub fn value(node: &Node, reading: &mut Reading<'_>) -> Option<ColumnMapping> {
    let from = same_name("value")?;
    if matches!(node.value, Value::Scalar { .. }) {
        let (name, ty) = (column_name("value", node.at, reading)?, column_type(node, reading)?);
        return Some(ColumnMapping {
            name,
            from: from.into(),
            ty,
            required: false,
            default: None,
            rule: None,
            none: Nothing::Missing,
            added: None,
        });
    }
    let mut section = Section::open(node, "value", reading)?;
    let name = match section.get("column") {
        None => column_name("value", node.at, reading),
        Some(node) => reading.text(node, "column").and_then(|name| column_name(&name.value, name.at, reading)),
    };
    let ty = section.need("type", "type: text", reading).and_then(|node| column_type(node, reading));
    let required = section.get("required").map_or(Some(false), |node| reading.flag(node, "required"));
    let rule = value_rule::rule(&mut section, ty, json, reading);
    section.close(reading);
    let rule = rule?.map(Box::new);
    Some(ColumnMapping {
        name: name?,
        from: from.into(),
        ty: ty?,
        required: required?,
        default: None,
        rule,
        none: Nothing::Missing,
        added: None,
    })
}

fn column(entry: &Entry, path: &str, reading: &mut Reading<'_>) -> Option<WrittenColumn> {
    let name = column_name(&entry.key, entry.at, reading);
    if matches!(entry.node.value, Value::Scalar { .. }) {
        let ty = column_type(&entry.node, reading);
        let column = ColumnMapping {
            name: name?,
            from: same_name(&entry.key)?.into(),
            ty: ty?,
            required: false,
            default: None,
            rule: None,
            none: Nothing::Missing,
            added: None,
        };
        return Some(WrittenColumn { column, references: None });
    }
    let mut section = Section::open(&entry.node, &format!("{path}.columns.{}", shown(&entry.key)), reading)?;
    let from = from(&mut section, &entry.key, reading);
    let ty = section.need("type", "type: text", reading).and_then(|node| column_type(node, reading));
    let required = section.get("required").map_or(Some(false), |node| reading.flag(node, "required"));
    let default = section.get("default").map(|node| default(node, ty, reading));
    let default_at = section.key_place("default");
    let references = section.get("references").map(|node| references(node, reading));
    let keep = section.has("keep").then(|| section.key_place("keep"));
    let rule = value_rule::rule(&mut section, ty, json, reading);
    let none = section.get("none").map(|node| (node.at, reading.choice(node, "none", &NONE)));
    section.not_yet("transform", "`normalize`, `values` or `parse`", reading);
    section.close(reading);
    if required == Some(true) && default.is_some() {
        reading.problems.add(default_at, "a column with a default is never missing", "either `required` or `default`");
        return None;
    }
    if let (Some(ColumnFrom::Computed(_)), Some(at)) = (&from, keep) {
        reading.problems.add(at, "a computed column takes no field, so there is none to keep", "no `keep`");
        return None;
    }
    let default = match default {
        None => None,
        Some(text) => Some(text?.into_boxed_str()),
    };
    let references = match references {
        None => None,
        Some(found) => Some(found?),
    };
    let rule = rule?.map(Box::new);
    let none = match none {
        None => Nothing::Missing,
        Some((at, none)) => {
            let leaves = rule.as_ref().is_some_and(|rule| rule.source == SourceField::Kept);
            if required == Some(true) || leaves || !matches!(from, Some(ColumnFrom::Field(_))) {
                let what = "this column takes no null from the record, so there is nothing to say of it";
                reading.problems.add(at, what, "no `none` beside `required`, `expr`, or a rule without `keep: false`");
                return None;
            }
            none?
        }
    };
    let column =
        ColumnMapping { name: name?, from: from?, ty: ty?, required: required?, default, rule, none, added: None };
    Some(WrittenColumn { column, references })
}

/// `from: FIELD` or `expr: JQ`; without either, the field called like the column.
fn from(section: &mut Section<'_>, name: &str, reading: &mut Reading<'_>) -> Option<ColumnFrom> {
    match (section.get("from"), section.get("expr")) {
        (None, None) => same_name(name).map(ColumnFrom::Field),
        (Some(node), None) => field(node, reading).map(ColumnFrom::Field),
        (None, Some(node)) => expression(node, "expr", reading).map(ColumnFrom::Computed),
        (Some(_), Some(_)) => {
            let what = "a column holds a field or what an expression gives, not both";
            reading.problems.add(section.key_place("expr"), what, "either `from` or `expr`");
            None
        }
    }
}

/// A jq expression. References are not resolved: `$x` is jq's.
pub fn expression(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<Expression> {
    let text = reading.word(node, what)?;
    match Expression::parse(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let what = format!("this {what} cannot be used: {error}");
            reading.problems.add(node.at, what, "a jq expression over the record, like `.items | length`");
            None
        }
    }
}

/// The field called like the column, whatever characters its name holds.
fn same_name(name: &str) -> Option<FieldPath> {
    FieldPath::parse(&format!("/{}", name.replace('~', "~0").replace('/', "~1"))).ok()
}

fn column_type(node: &Node, reading: &mut Reading<'_>) -> Option<PgType> {
    let word = reading.text(node, "a column type")?;
    match column_type::parse(&word.value) {
        Ok(ty) => Some(ty),
        Err(advice) => {
            reading.problems.add(word.at, format!("unknown column type `{}`", shown(&word.value)), advice);
            None
        }
    }
}

fn default(node: &Node, ty: Option<PgType>, reading: &mut Reading<'_>) -> Option<String> {
    if node.is_null() {
        let what = "a missing field is NULL without any default";
        reading.problems.add(node.at, what, "no `default`");
        return None;
    }
    let json = json(node, reading)?;
    let ty = ty?;
    if !column_type::default_fits(&json, ty) {
        reading.problems.add(
            node.at,
            format!("the default does not fit a column of type {ty}"),
            "a value of that type",
        );
        return None;
    }
    Some(json)
}

/// A node as JSON text. References are not resolved: this is data.
pub fn json(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    match &node.value {
        Value::Scalar { text, plain: true } if text == "true" || text == "false" => Some(text.clone()),
        Value::Scalar { .. } if node.is_null() => Some("null".to_owned()),
        Value::Scalar { text, plain: true } if looks_numeric(text) => {
            if serde_json::from_str::<serde_json::Number>(text).is_err() {
                reading.problems.add(node.at, "this number cannot be written in JSON", "a decimal number like `0.5`");
                return None;
            }
            Some(text.clone())
        }
        Value::Scalar { text, .. } => Some(serde_json::Value::String(text.clone()).to_string()),
        Value::List(items) => {
            let parts: Option<Vec<_>> = items.iter().map(|item| json(item, reading)).collect();
            Some(format!("[{}]", parts?.join(",")))
        }
        Value::Map(entries) => {
            let parts: Option<Vec<_>> = entries
                .iter()
                .map(|entry| {
                    let key = serde_json::Value::String(entry.key.clone()).to_string();
                    json(&entry.node, reading).map(|value| format!("{key}:{value}"))
                })
                .collect();
            Some(format!("{{{}}}", parts?.join(",")))
        }
    }
}

fn references(node: &Node, reading: &mut Reading<'_>) -> Option<At<(Ident, Ident)>> {
    let text = reading.text(node, "references")?;
    let parts = text.value.split_once('.').map(|(table, column)| (Ident::new(table), Ident::new(column)));
    match parts {
        Some((Ok(table), Ok(column))) => Some(At { value: (table, column), at: text.at }),
        _ => {
            reading.problems.add(text.at, "references names a table and its key column", "`users.id`");
            None
        }
    }
}
