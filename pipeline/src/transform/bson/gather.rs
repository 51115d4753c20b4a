//! One walk over a document: where each column's value stands, and the canonical text of all that no column gives back.
//!
//! A document of which something was taken is written anew with what is left of it, and left out only when nothing is. The
//! walk goes down along the paths of the mapping only; what lies beside them is written without recursion.

use super::field::Slot;
use super::key::key_gives_back;
use crate::transform::column::leaves_its_field;
use crate::transform::tree::{NodeId, PathTree};
use landfall_schemas::bson::{Element, Elements, Fault, Kind, Writer, relaxed_gives_back};
use landfall_schemas::mapping::ColumnMapping;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::value::gives_back;

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
            None => Self::As(column.ty),
            Some(_) if leaves_its_field(column) => Self::Nothing,
            Some(_) => Self::Enough,
        }
    }
}

pub(super) struct Gather<'a> {
    pub(super) record: &'a [u8],
    /// The document's encoded key and the type of its column.
    pub(super) key: &'a [u8],
    pub(super) key_type: Option<PgType>,
    pub(super) tree: &'a mut PathTree,
    /// What the columns give back, by slot.
    pub(super) back: &'a [GivesBack],
    pub(super) slots: &'a mut [Option<Slot>],
    /// Absent: what no column takes is dropped.
    pub(super) rest: Option<&'a mut Vec<u8>>,
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
    pub(super) fn record(&mut self, elements: Elements<'a>) -> Result<(), Fault> {
        let outcome = self.document(PathTree::ROOT, elements)?;
        if !outcome.left {
            self.cut(0);
        }
        Ok(())
    }

    fn document(&mut self, node: NodeId, mut elements: Elements<'a>) -> Result<Outcome, Fault> {
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
                None => self.keep(&element)?,
            };
            outcome.taken |= of_member.taken;
            outcome.left |= of_member.left;
        }
        if let Some(rest) = &mut self.rest {
            rest.extend_from_slice(close.as_bytes());
        }
        Ok(outcome)
    }

    /// A member that lies on a path.
    fn known(&mut self, id: NodeId, element: &Element<'a>) -> Result<Outcome, Fault> {
        let node = self.tree.node(id);
        let mut given_back = node.key && key_gives_back(self.key_type, self.key, &element.value());
        for slot in &node.columns {
            self.slots[*slot] = Some(Slot::of(element));
            given_back |= match self.back[*slot] {
                _ if element.kind == Kind::Null => false,
                GivesBack::Nothing => false,
                GivesBack::Enough => true,
                GivesBack::As(PgType::Jsonb) => relaxed_gives_back(self.record, element),
                GivesBack::As(ty) => gives_back(ty, &element.value()),
            };
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
                let found = self.document(id, elements);
                self.rest = rest;
                found?;
            }
            (None, _) => {}
        }
        if given_back { Ok(Outcome { taken: true, left: false }) } else { self.keep(element) }
    }

    /// A document of which members may be taken.
    fn nested(&mut self, id: NodeId, element: &Element<'a>, elements: Elements<'a>) -> Result<Outcome, Fault> {
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
    fn keep(&mut self, element: &Element<'a>) -> Result<Outcome, Fault> {
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
