//! One walk over a document: where each column's value stands, and the canonical text of all that no column gives back.
//!
//! A document of which something was taken is written anew with what is left of it, and left out only when nothing is. The
//! walk goes down along the paths of the mapping only; what lies beside them is written without recursion.

use super::field::Slot;
use super::key::key_gives_back;
use super::soft;
use crate::transform::column::GivesBack;
use crate::transform::notation::KeySource;
use crate::transform::tree::{ChildNode, NodeId, PathTree};
use landfall_schemas::bson::{Element, Elements, Fault, Form, Kind, Value, Writer, relaxed_gives_back};
use landfall_schemas::mapping::AddedType;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::value::{gives_back, gives_back_by_value};

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Fault),
    /// A value at a table below is not what the table is made of.
    Shape {
        node: NodeId,
        wanted: &'static str,
        found: &'static str,
        at: usize,
    },
    /// A member that lies on no path, where the tree is closed.
    New {
        node: NodeId,
        name: String,
    },
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Bytes of an array or a document without elements.
const EMPTY: usize = 5;

pub(super) struct Gather<'a> {
    pub(super) record: &'a [u8],
    /// The document's encoded key, or where it goes, and the type of its column.
    pub(super) key: KeySource<'a>,
    pub(super) key_type: Option<PgType>,
    pub(super) tree: &'a mut PathTree,
    /// What the columns give back, by slot.
    pub(super) back: &'a [GivesBack],
    /// Numbers are of one kind, whatever their width.
    pub(super) one_kind: bool,
    pub(super) slots: &'a mut [Option<Slot>],
    /// Absent: what no column takes is dropped.
    pub(super) rest: Option<&'a mut Vec<u8>>,
    /// A column holds all of the document that is walked through.
    pub(super) covered: bool,
    pub(super) writer: Writer<'a>,
}

/// What became of a member or of all members of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outcome {
    /// A column or the key gives something back.
    taken: bool,
    /// Something was left.
    left: bool,
}

impl<'a> Gather<'a> {
    /// Walks the document. The rest stays empty when nothing is left.
    pub(super) fn record(&mut self, elements: Elements<'a>) -> Result<(), Stop> {
        let outcome = self.document(PathTree::ROOT, elements)?;
        if !outcome.left {
            self.cut(0);
        }
        Ok(())
    }

    fn document(&mut self, node: NodeId, mut elements: Elements<'a>) -> Result<Outcome, Stop> {
        let mut outcome = Outcome { taken: false, left: false };
        let close = match &mut self.rest {
            Some(rest) => self.writer.open_document(elements, rest),
            None => "",
        };
        while let Some(element) = elements.next_element()? {
            if !self.writer.counts(&element) {
                continue;
            }
            let of_member = match self.tree.child(node, |known| known.as_bytes() == element.name) {
                Some(child) => self.known(child, &element)?,
                None if self.tree.closed && !self.covered => {
                    let name = String::from_utf8_lossy(element.name).into_owned();
                    return Err(Stop::New { node, name });
                }
                None => {
                    if self.tree.notices.watch.fields && node == PathTree::ROOT && !self.covered {
                        self.notice(&element);
                    }
                    self.keep(&element)?
                }
            };
            outcome.taken |= of_member.taken;
            outcome.left |= of_member.left;
        }
        if let Some(rest) = &mut self.rest {
            rest.extend_from_slice(close.as_bytes());
        }
        Ok(outcome)
    }

    /// A member of the document that nothing takes.
    fn notice(&mut self, element: &Element<'a>) {
        if let Ok(name) = std::str::from_utf8(element.name) {
            self.tree.notices.note(name, soft::kind_of(&element.value()));
        }
    }

    /// A member that a column takes which the service added, if it fits.
    fn soft(&mut self, id: NodeId, ty: AddedType, element: &Element<'a>) -> Result<Outcome, Stop> {
        let kind = soft::kind_of(&element.value());
        let relaxed = Writer { form: Form::Relaxed, ..self.writer };
        if kind.is_some_and(|kind| soft::takes(ty, kind, (self.record, element, &relaxed))) {
            let mut given_back = false;
            for slot in &self.tree.node(id).columns {
                self.slots[*slot] = Some(Slot::of(element));
                given_back |= self.gives_back(*slot, element);
            }
            return if given_back { Ok(Outcome { taken: true, left: false }) } else { self.keep(element) };
        }
        if !matches!(element.kind, Kind::Null | Kind::Undefined) {
            self.tree.misfit(id, kind);
        }
        self.keep(element)
    }

    /// Whether the column of this slot gives back the value that it took.
    fn gives_back(&self, slot: usize, element: &Element<'a>) -> bool {
        match self.back[slot] {
            GivesBack::Nothing => false,
            GivesBack::Enough => true,
            GivesBack::As(PgType::Jsonb) if self.one_kind && element.kind == Kind::Int64 => true,
            GivesBack::As(PgType::Jsonb) => relaxed_gives_back(self.record, element),
            GivesBack::As(ty) if self.one_kind => gives_back_by_value(ty, &element.value()),
            GivesBack::As(ty) => gives_back(ty, &element.value()),
        }
    }

    /// A member that lies on a path.
    fn known(&mut self, id: NodeId, element: &Element<'a>) -> Result<Outcome, Stop> {
        if let Some(ty) = self.tree.node(id).added {
            return self.soft(id, ty, element);
        }
        let (is_key, tables) = (self.tree.node(id).key, self.tree.node(id).tables.len());
        let mut given_back = is_key && self.key(element);
        for number in 0..tables {
            given_back |= self.child((id, number), element)?;
        }
        let node = self.tree.node(id);
        for slot in &node.observed {
            self.slots[*slot] = Some(Slot::of(element));
        }
        for slot in &node.columns {
            self.slots[*slot] = Some(Slot::of(element));
            given_back |= if element.kind == Kind::Null { node.takes_null } else { self.gives_back(*slot, element) };
        }
        let stands_alone = node.columns.is_empty() && !given_back;
        let below = match element.kind {
            Kind::Document if self.tree.has_children(id) => element.elements(self.record),
            _ => None,
        };
        match (below, stands_alone) {
            (Some(elements), true) => return self.nested(id, element, elements),
            (Some(elements), false) => {
                // Columns below find their values; what is left is decided up here.
                let rest = self.rest.take();
                let above = std::mem::replace(&mut self.covered, true);
                let found = self.document(id, elements);
                (self.rest, self.covered) = (rest, above);
                found?;
            }
            (None, _) => {}
        }
        if given_back { Ok(Outcome { taken: true, left: false }) } else { self.keep(element) }
    }

    /// The key's field; says whether the key's column gives it back.
    fn key(&mut self, element: &Element<'a>) -> bool {
        let value = element.value();
        match &mut self.key {
            KeySource::Given(key) => {
                let whole = matches!(self.key_type, None | Some(PgType::Int2 | PgType::Int4 | PgType::Int8));
                let by_value = self.one_kind && whole && matches!(value, Value::Int64(_));
                by_value || key_gives_back(self.key_type, key, &value)
            }
            KeySource::Found(key) => {
                let made = !matches!(value, Value::Null | Value::Undefined) && key.set_bson_value(&value).is_ok();
                if !made {
                    key.clear();
                }
                made && key_gives_back(self.key_type, key.as_bytes(), &value)
            }
        }
    }

    /// The value of a table below; says whether its rows hold all of it. What makes no row stays where it is: null, and what is
    /// empty, unless no row stands for that.
    fn child(&mut self, (id, number): (NodeId, usize), element: &Element<'a>) -> Result<bool, Stop> {
        let (slot, wanted, holds_all) = match self.tree.node(id).tables[number] {
            ChildNode::Array(slot) => (slot, Kind::Array, true),
            ChildNode::Map(slot) => (slot, Kind::Document, true),
            ChildNode::Object(slot) => (slot, Kind::Document, false),
        };
        if matches!(element.kind, Kind::Null | Kind::Undefined) {
            return Ok(false);
        }
        if element.kind != wanted {
            let (wanted, found, at) = (wanted.name(), element.kind.name(), element.start);
            return Err(Stop::Shape { node: id, wanted, found, at });
        }
        if holds_all && element.body.len() == EMPTY {
            return Ok(self.tree.node(id).takes_empty);
        }
        self.slots[slot] = Some(Slot::of(element));
        Ok(holds_all)
    }

    /// A document of which members may be taken.
    fn nested(&mut self, id: NodeId, element: &Element<'a>, elements: Elements<'a>) -> Result<Outcome, Stop> {
        let mark = self.mark();
        self.begin(element)?;
        let inside = self.document(id, elements)?;
        if !inside.taken {
            self.cut(mark);
            return self.keep(element);
        }
        if !inside.left {
            self.cut(mark);
        }
        Ok(inside)
    }

    /// A member that stays whole.
    fn keep(&mut self, element: &Element<'a>) -> Result<Outcome, Stop> {
        self.begin(element)?;
        if let Some(rest) = &mut self.rest {
            self.writer.value(self.record, element, rest)?;
        }
        Ok(Outcome { taken: false, left: true })
    }

    fn begin(&mut self, element: &Element<'a>) -> Result<(), Fault> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        // Only a document that has just been opened ends in its bracket: every value ends in something else.
        if rest.last() != Some(&b'{') {
            rest.push(b',');
        }
        self.writer.name(element, rest)
    }

    fn mark(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    fn cut(&mut self, mark: usize) {
        if let Some(rest) = &mut self.rest {
            rest.truncate(mark);
        }
    }
}
