//! One table's row out of one object, compiled: where its values are looked for, and which column holds which.
//!
//! Tables beside a table (one row each, of the same object or of one inside it) look for theirs in the same walk, so their slots
//! stand behind those of the table itself.

use super::column::{Column, Found, GivesBack, KeyColumn, columns, has, pointer_part};
use super::notation::Notation;
use super::tree::{ChildNode, PathTree};
use landfall_schemas::expression::{Expression, Input};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::{
    ChildElement, ChildMapping, ChildShape, ColumnMapping, ElementKey, Evolve, FieldPath, KeyFrom, Nothing,
    StreamMapping,
};
use landfall_schemas::offset::Version;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::table::{ColumnRole, TableShape};
use landfall_schemas::value::{put_int8, put_jsonb, put_null};
use std::collections::HashSet;
use std::ops::Range;

/// What is looked for in an object, and what was found.
#[derive(Debug)]
pub(super) struct Level<S> {
    /// Paths of columns, key and tables below.
    pub(super) tree: PathTree,
    pub(super) key: KeyColumn,
    /// What no column takes is kept.
    pub(super) rest: bool,
    /// What columns give back, by slot.
    pub(super) back: Vec<GivesBack>,
    /// Where each column finds its value.
    pub(super) slots: Vec<Option<S>>,
    pub(super) rest_text: Vec<u8>,
    /// What the rest names where it is missing.
    marks: Vec<Mark>,
}

/// A field whose absence is named, because no value stands for something else.
#[derive(Debug)]
struct Mark {
    pointer: Box<str>,
    slot: usize,
    /// The objects it stands in, outermost first: the first that is missing is named instead.
    above: Vec<(usize, Box<str>)>,
}

/// The member of a rest that names what the record lacks.
const MISSING: &str = "\"$landfall.missing\"";

impl<S: Clone> Level<S> {
    /// Names in the rest what was not found. Once, behind the walk.
    pub(super) fn name_missing(&mut self) -> Result<(), Rejection> {
        if self.marks.is_empty() || !self.rest {
            return Ok(());
        }
        if memchr::memmem::find(&self.rest_text, MISSING.as_bytes()).is_some() {
            let path = "/$landfall.missing";
            return Err(Rejection::new(RejectCode::DuplicateMember, path, "no member of that name", "one"));
        }
        let mut named: Vec<&str> = Vec::new();
        for mark in self.marks.iter().filter(|mark| self.slots[mark.slot].is_none()) {
            let above = mark.above.iter().find(|(slot, _)| self.slots[*slot].is_none());
            let pointer = above.map_or(&*mark.pointer, |(_, pointer)| pointer);
            if !named.contains(&pointer) {
                named.push(pointer);
            }
        }
        if named.is_empty() {
            return Ok(());
        }
        match self.rest_text.pop() {
            None => self.rest_text.push(b'{'),
            Some(_) => self.rest_text.push(b','),
        }
        // Strings alone: writing them cannot fail.
        let list = serde_json::to_string(&named).unwrap_or_default();
        self.rest_text.extend_from_slice(format!("{MISSING}:{list}}}").as_bytes());
        Ok(())
    }

    /// Nothing is looked for.
    pub(super) fn is_idle(&self) -> bool {
        !self.rest && self.slots.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.rest_text.clear();
        self.slots.fill(None);
    }
}

/// The columns of a table in row order.
#[derive(Debug)]
pub(super) struct Layout {
    columns: Vec<Column>,
    /// Some are computed.
    pub(super) computes: bool,
    /// How many of the first are its key.
    pub(super) key_columns: usize,
    /// Its first slot.
    base: usize,
}

/// What a row is made of besides the values that were found.
#[derive(Clone, Debug)]
pub(super) struct RowOf<'a> {
    pub(super) record: &'a [u8],
    pub(super) key: &'a [u8],
    /// Where the fields of the parents' keys stand in the buffer.
    pub(super) parents: Range<usize>,
    pub(super) position: i32,
    pub(super) version: Version,
    /// What computed columns see, where there are any.
    pub(super) input: Option<Input>,
}

impl Layout {
    fn new(table: &TableShape, mapped: &[ColumnMapping], found: Found<'_>, base: usize) -> Self {
        let computes = mapped.iter().any(|column| column.from.field().is_none());
        Self { columns: columns(table, mapped, found), computes, key_columns: table.key_columns, base }
    }

    /// Appends a row; on error `out` holds a part of it.
    pub(super) fn put<N: Notation>(
        &self,
        notation: &mut N,
        (key, rest): (&KeyColumn, &[u8]),
        (row, slots): (&RowOf<'_>, &[Option<N::Slot>]),
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        for column in &self.columns {
            match column {
                Column::Constant(field) => out.extend_from_slice(field),
                Column::Parents => out.extend_from_within(row.parents.clone()),
                Column::Key => notation.put_key(key, row.key, out)?,
                Column::Position => {
                    out.extend_from_slice(&4_i32.to_be_bytes());
                    out.extend_from_slice(&row.position.to_be_bytes());
                }
                Column::Mapped(field) => {
                    notation.put_field(field, row.record, slots[self.base + field.slot].as_ref(), out)?;
                }
                Column::Computed(computed) => match &row.input {
                    Some(input) => notation.put_computed(computed, input, out)?,
                    None => put_null(out),
                },
                Column::Doc => notation.put_doc(row.record, out)?,
                Column::Raw => notation.put_raw(row.record, out),
                Column::Rest if rest.is_empty() => put_null(out),
                Column::Rest => put_jsonb(rest, out),
                Column::Version => put_int8(row.version.0, out),
            }
        }
        Ok(())
    }

    /// Appends key and version, all else NULL.
    pub(super) fn put_delete<N: Notation>(
        &self,
        notation: &N,
        column_of_key: &KeyColumn,
        (key, version): (&[u8], Version),
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        for column in &self.columns {
            match column {
                Column::Constant(field) => out.extend_from_slice(field),
                Column::Key => notation.put_key(column_of_key, key, out)?,
                Column::Version => put_int8(version.0, out),
                _ => put_null(out),
            }
        }
        Ok(())
    }
}

/// A table below, compiled.
#[derive(Debug)]
pub(super) struct Kid<S> {
    /// Its number among the stream's tables below.
    pub(super) table: u16,
    /// Where it stands in its parent, for people.
    pub(super) pointer: Box<str>,
    /// The parent's slot that says whether it is there; `None`: it is the parent's value itself.
    pub(super) at: Option<usize>,
    pub(super) layout: Layout,
    pub(super) rows: KidRows<S>,
    pub(super) kids: Vec<Self>,
}

/// What its rows are.
#[derive(Debug)]
pub(super) enum KidRows<S> {
    /// One, whose values the parent's walk finds.
    Beside,
    /// One for each value inside.
    Each(Box<Each<S>>),
}

/// Rows of an array's elements or an object's members.
#[derive(Debug)]
pub(super) struct Each<S> {
    pub(super) level: Level<S>,
    pub(super) told_by: ToldBy,
    pub(super) element: ChildElement,
    pub(super) key: RecordKey,
    /// Keys of this parent's rows so far.
    pub(super) seen: HashSet<KeyHash>,
}

/// What tells siblings apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ToldBy {
    Field,
    Place,
    Name,
}

/// Compiles a stream's table and those below it.
pub(super) fn compile<S: Clone>(mapping: &StreamMapping) -> (Level<S>, Layout, Vec<Kid<S>>) {
    let mut making = Making::of(mapping.evolve);
    match &mapping.key.from {
        KeyFrom::Field(path) => making.tree.add_key(path.parts()),
        KeyFrom::Id => making.tree.add_key(&["_id".to_owned()]),
        KeyFrom::Name | KeyFrom::Stem | KeyFrom::Position | KeyFrom::Composite(_) => {}
    }
    let base = making.columns(&[], &mapping.columns);
    if mapping.evolve == Evolve::AddColumn {
        let computed = mapping.columns.iter().filter_map(|column| column.from.computed());
        computed.flat_map(Expression::names).for_each(|name| making.tree.know(name));
    }
    let layout = Layout::new(&mapping.table, &mapping.columns, Found::Below(&[]), base);
    let kids = making.kids(&[], &mapping.children, &mut 0);
    let key = KeyColumn { name: mapping.key.column.as_str().into(), ty: mapping.key.ty };
    (making.level(key, has(&mapping.table, ColumnRole::Rest)), layout, kids)
}

/// A level while it is made.
#[derive(Debug, Default)]
struct Making {
    evolve: Evolve,
    tree: PathTree,
    back: Vec<GivesBack>,
    /// Where what is missing is named.
    named: Vec<Vec<String>>,
    observed: Vec<(Vec<String>, usize)>,
}

impl Making {
    fn of(evolve: Evolve) -> Self {
        let mut making = Self { evolve, ..Self::default() };
        making.tree.closed = evolve == Evolve::Halt;
        making
    }

    fn level<S: Clone>(mut self, key: KeyColumn, rest: bool) -> Level<S> {
        // Slots of columns lie side by side, so these stand behind them all.
        let named = std::mem::take(&mut self.named);
        let marks = named.iter().map(|path| self.mark(path)).collect();
        let slots = vec![None; self.back.len()];
        Level { tree: self.tree, key, rest, back: self.back, slots, rest_text: Vec::new(), marks }
    }

    /// Looks for columns below `prefix`; gives the first of their slots.
    fn columns(&mut self, prefix: &[String], columns: &[ColumnMapping]) -> usize {
        let base = self.back.len();
        for column in columns {
            if let Some(from) = column.from.field() {
                let path = [prefix, from.parts()].concat();
                match column.added {
                    Some(ty) => self.tree.add_soft(&path, ty, self.back.len()),
                    None => self.tree.add_column(&path, column, self.back.len()),
                }
                if column.none == Nothing::Null {
                    self.named.push(path);
                }
            }
            self.back.push(GivesBack::of(column));
        }
        base
    }

    fn mark(&mut self, path: &[String]) -> Mark {
        let slot = self.observe(path);
        let above = (1..path.len()).map(|depth| (self.observe(&path[..depth]), pointer_of(&path[..depth]))).collect();
        Mark { pointer: pointer_of(path), slot, above }
    }

    /// The slot that says whether something stands there.
    fn observe(&mut self, path: &[String]) -> usize {
        if let Some((_, slot)) = self.observed.iter().find(|(known, _)| known == path) {
            return *slot;
        }
        let slot = self.back.len();
        self.back.push(GivesBack::Nothing);
        self.tree.observe(path, slot);
        self.observed.push((path.to_vec(), slot));
        slot
    }

    fn kids<S: Clone>(&mut self, prefix: &[String], children: &[ChildMapping], table: &mut u16) -> Vec<Kid<S>> {
        children.iter().map(|child| self.kid(prefix, child, table)).collect()
    }

    fn kid<S: Clone>(&mut self, prefix: &[String], child: &ChildMapping, table: &mut u16) -> Kid<S> {
        let number = *table;
        *table += 1;
        let path = [prefix, child.from.as_ref().map_or(&[][..], FieldPath::parts)].concat();
        let at = child.from.as_ref().map(|_| {
            let slot = self.back.len();
            self.back.push(GivesBack::Nothing);
            let node = match child.shape {
                ChildShape::Array(_) => ChildNode::Array(slot),
                ChildShape::Map => ChildNode::Map(slot),
                ChildShape::Object => ChildNode::Object(slot),
            };
            self.tree.add_child(&path, node, child.none);
            if child.none == Nothing::Empty {
                self.named.push(path.clone());
            }
            slot
        });
        let (base, rows, kids) = match &child.shape {
            ChildShape::Object => {
                let base = self.columns(&path, &child.columns);
                (base, KidRows::Beside, self.kids(&path, &child.children, table))
            }
            ChildShape::Array(key) => each(child, (Some(key), self.evolve), table),
            ChildShape::Map => each(child, (None, self.evolve), table),
        };
        let pointer: String = path.iter().map(|part| pointer_part(part)).collect();
        // Whatever stands at a column of a table beside is told by its way from the parent.
        let found = match (&child.shape, child.element) {
            (_, ChildElement::Value) => Found::Here,
            (ChildShape::Object, _) => Found::Below(&path),
            _ => Found::Below(&[]),
        };
        let layout = Layout::new(&child.table, &child.columns, found, base);
        Kid { table: number, pointer: pointer.into(), at, layout, rows, kids }
    }
}

fn pointer_of(path: &[String]) -> Box<str> {
    path.iter().map(|part| pointer_part(part)).collect::<String>().into()
}

/// The level of each value of an array, or (without a key) of a map, and what lies below.
fn each<S: Clone>(
    child: &ChildMapping,
    (key, evolve): (Option<&ElementKey>, Evolve),
    table: &mut u16,
) -> (usize, KidRows<S>, Vec<Kid<S>>) {
    let mut making = Making::of(evolve);
    let (told_by, ty) = match key {
        Some(ElementKey::Field(path, ty)) => {
            making.tree.add_key(path.parts());
            (ToldBy::Field, *ty)
        }
        Some(ElementKey::Position) => (ToldBy::Place, None),
        None => (ToldBy::Name, Some(PgType::Text)),
    };
    let base = making.columns(&[], &child.columns);
    let kids = making.kids(&[], &child.children, table);
    let name = child.table.key().last().map_or("", |column| column.name.as_str());
    let level = making.level(KeyColumn { name: name.into(), ty }, has(&child.table, ColumnRole::Rest));
    let rows = Each { level, told_by, element: child.element, key: RecordKey::default(), seen: HashSet::new() };
    (base, KidRows::Each(Box::new(rows)), kids)
}
