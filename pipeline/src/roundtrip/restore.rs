//! Rows made a document again: the rest first, then what columns, keys and the rows below give back.

use super::document::Node;
use super::guarantee::leaves;
use crate::transform::Encoded;
use landfall_schemas::key::KeyView;
use landfall_schemas::mapping::{
    ChildElement, ChildMapping, ChildShape, ColumnMapping, ElementKey, FieldPath, KeyFrom, Nothing, StreamMapping,
};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::row::{ChildRow, RowSet, fields};
use landfall_schemas::table::{ColumnRole, TableShape};
use std::collections::BTreeMap;

/// The member of a rest that names what the record lacks.
const MISSING: &str = "$landfall.missing";

/// A row as its table's columns tell it.
struct RowOf<'a> {
    table: &'a TableShape,
    fields: Vec<Option<&'a [u8]>>,
}

/// All rows of the tables below, with the numbers of their tables.
struct Below<'a> {
    set: &'a RowSet,
    rows: &'a [ChildRow],
}

/// The document that the rows of a record amount to.
pub(super) fn restore(mapping: &StreamMapping, set: &RowSet, encoded: &Encoded) -> Node {
    let row = RowOf { table: &mapping.table, fields: fields(&set.buffer[encoded.fields.clone()]) };
    if let Some(doc) = row.of(ColumnRole::Doc) {
        return Node::of_field(PgType::Jsonb, doc).unwrap_or(Node::Null);
    }
    let below = Below { set, rows: &set.children[encoded.children.start as usize..encoded.children.end as usize] };
    let (mut document, missing) = row.rest();
    if let KeyFrom::Field(path) = &mapping.key.from
        && let Some(key) = row.key(mapping.key.ty)
    {
        document.fill(path.parts(), key);
    }
    row.columns(&[], &mapping.columns, (&mut document, &missing));
    below.put(&[], &mapping.children, (&row, 0), (&mut document, &missing));
    document
}

impl<'a> RowOf<'a> {
    fn of(&self, role: ColumnRole) -> Option<&'a [u8]> {
        let at = self.table.columns.iter().position(|column| column.role == role)?;
        self.fields.get(at).copied().flatten()
    }

    /// What no column took, and the pointers of what the record lacks.
    fn rest(&self) -> (Node, Vec<String>) {
        let rest = self.of(ColumnRole::Rest).and_then(|field| Node::of_field(PgType::Jsonb, field));
        let mut members = match rest {
            Some(Node::Object(members)) => members,
            _ => BTreeMap::new(),
        };
        let named = match members.remove(MISSING) {
            Some(Node::List(items)) => items,
            _ => Vec::new(),
        };
        let missing = named.into_iter().filter_map(|item| match item {
            Node::Text(pointer) => Some(pointer),
            _ => None,
        });
        let missing = missing.collect();
        (Node::Object(members), missing)
    }

    /// The key's value.
    fn key(&self, ty: Option<PgType>) -> Option<Node> {
        let field = self.of(ColumnRole::Key)?;
        if let Some(ty) = ty {
            return Node::of_field(ty, field);
        }
        match KeyView::of(field)? {
            KeyView::Text(text) => Some(Node::Text(text.into_owned())),
            KeyView::Number(text) => Some(Node::Number(text.to_owned())),
            KeyView::Bool(value) => Some(Node::Bool(value)),
            KeyView::Nested(text) => Node::parse(text.as_bytes()),
            _ => None,
        }
    }

    fn columns(&self, prefix: &[String], columns: &[ColumnMapping], into: (&mut Node, &[String])) {
        let (document, missing) = into;
        let mut found: Vec<(Vec<String>, usize, &ColumnMapping)> = Vec::new();
        for (slot, column) in columns.iter().enumerate() {
            if let Some(path) = column.from.field()
                && !leaves(column)
            {
                found.push(([prefix, path.parts()].concat(), slot, column));
            }
        }
        // What holds a whole object stands before what holds a part of it; of two that hold the same, the more faithful one.
        found.sort_by_key(|(path, _, column)| (path.len(), std::cmp::Reverse(super::guarantee::of_type(column))));
        for (path, slot, column) in found {
            match self.of(ColumnRole::Mapped(slot)) {
                Some(field) => {
                    if let Some(value) = Node::of_field(column.ty, field) {
                        document.fill(&path, value);
                    }
                }
                None if column.none == Nothing::Null && !lacks(missing, &path) => document.fill(&path, Node::Null),
                None => {}
            }
        }
    }
}

/// Whether a path, or something that it lies in, is named as missing.
fn lacks(missing: &[String], path: &[String]) -> bool {
    let mut pointer = String::new();
    path.iter().any(|part| {
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        missing.contains(&pointer)
    })
}

impl<'a> Below<'a> {
    /// The rows of a table under a row: those that begin with its key.
    fn of(&self, child: &'a ChildMapping, number: usize, parent: &RowOf<'_>) -> Vec<RowOf<'a>> {
        let keys = &parent.fields[..parent.table.key_columns];
        let rows = self.rows.iter().filter(|row| usize::from(row.table) == number);
        let rows = rows.map(|row| RowOf { table: &child.table, fields: fields(&self.set.buffer[row.fields.clone()]) });
        rows.filter(|row| row.fields[..keys.len()] == *keys).collect()
    }

    /// Puts back what the tables below `parent` hold; `first` is the number of the first of them.
    fn put(
        &self,
        prefix: &[String],
        children: &'a [ChildMapping],
        (parent, first): (&RowOf<'_>, usize),
        into: (&mut Node, &[String]),
    ) {
        let (document, missing) = into;
        let mut number = first;
        for child in children {
            let path = [prefix, child.from.as_ref().map_or(&[][..], FieldPath::parts)].concat();
            let rows = self.of(child, number, parent);
            match &child.shape {
                ChildShape::Object => {
                    if let Some(row) = rows.first() {
                        row.columns(&path, &child.columns, (document, missing));
                        self.put(&path, &child.children, (row, number + 1), (document, missing));
                    }
                }
                _ if rows.is_empty() => {
                    if child.none == Nothing::Empty && !lacks(missing, &path) {
                        document.fill(&path, empty(child));
                    }
                }
                ChildShape::Array(_) => {
                    let mut rows = rows;
                    // The order of rows in a table means nothing: that of their places, else of their keys, stands for it.
                    rows.sort_by(|a, b| {
                        let key = |row: &RowOf<'a>| row.fields[..child.table.key_columns].to_vec();
                        a.of(ColumnRole::Position).cmp(&b.of(ColumnRole::Position)).then_with(|| key(a).cmp(&key(b)))
                    });
                    document.fill(&path, Node::List(rows.iter().map(|row| self.value(child, number, row)).collect()));
                }
                ChildShape::Map => {
                    let member = |row: &RowOf<'a>| {
                        let name = row.of(ColumnRole::Key).map(|name| String::from_utf8_lossy(name).into_owned());
                        Some((name?, self.value(child, number, row)))
                    };
                    document.fill(&path, Node::Object(rows.iter().filter_map(member).collect()));
                }
            }
            number += child.flattened().count();
        }
    }

    /// One value of an array or a map.
    fn value(&self, child: &'a ChildMapping, number: usize, row: &RowOf<'a>) -> Node {
        if child.element == ChildElement::Value {
            let field = row.of(ColumnRole::Mapped(0));
            return field.and_then(|field| Node::of_field(child.columns[0].ty, field)).unwrap_or(Node::Null);
        }
        let (mut document, missing) = row.rest();
        if let ChildShape::Array(ElementKey::Field(path, ty)) = &child.shape
            && let Some(key) = row.key(*ty)
        {
            document.fill(path.parts(), key);
        }
        row.columns(&[], &child.columns, (&mut document, &missing));
        self.put(&[], &child.children, (row, number + 1), (&mut document, &missing));
        document
    }
}

fn empty(child: &ChildMapping) -> Node {
    match child.shape {
        ChildShape::Array(_) => Node::List(Vec::new()),
        ChildShape::Map | ChildShape::Object => Node::Object(BTreeMap::new()),
    }
}
