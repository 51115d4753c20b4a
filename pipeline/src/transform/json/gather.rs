//! One walk over a record's members: where each column's value stands, and the text of all that no column took. The check
//! noted where they stand; only inside those that lie on a path is looked again.
//!
//! The rest keeps the raw text of members. An object of which something was taken is written anew with what is left of it,
//! and left out only when nothing is. The record's structure has been checked before, so its depth bounds the recursion.

use super::key::key_gives_back;
use super::soft;
use crate::transform::notation::{KeySource, new_field, wrong_shape};
use crate::transform::tree::{ChildNode, NodeId, PathTree};
use landfall_schemas::json::{Checked, Kind, Member, Members, SyntaxError, skip_space};
use landfall_schemas::mapping::AddedType;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::Rejection;
use std::ops::Range;

pub(super) struct Gather<'a> {
    pub(super) record: &'a [u8],
    /// The object's encoded key, or where it goes, and the type of its column.
    pub(super) key: KeySource<'a>,
    pub(super) key_type: Option<PgType>,
    pub(super) tree: &'a mut PathTree,
    pub(super) slots: &'a mut [Option<Range<usize>>],
    /// Absent: what no column takes is dropped.
    pub(super) rest: Option<&'a mut Vec<u8>>,
    /// A column holds all of the object that is walked through.
    pub(super) covered: bool,
    /// What is known of the record.
    pub(super) checked: Checked,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Syntax(SyntaxError),
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
        at: usize,
    },
}

impl From<SyntaxError> for Stop {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl Stop {
    pub(super) fn rejection(self, tree: &PathTree) -> Rejection {
        match self {
            Self::Syntax(error) => Rejection::new(error.code, "", "JSON", "something else"),
            Self::Shape { node, wanted, found, at } => wrong_shape(&tree.pointer(node), wanted, found, at),
            Self::New { node, name, at } => new_field(&tree.pointer(node), &name, Some(at)),
        }
    }
}

/// What became of a member or of all members of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outcome {
    /// A column or the key took something.
    taken: bool,
    /// Something was left.
    left: bool,
}

impl Outcome {
    fn add(&mut self, of_member: Self) {
        self.taken |= of_member.taken;
        self.left |= of_member.left;
    }
}

impl Gather<'_> {
    /// Walks the record's members. The rest stays empty when nothing is left.
    pub(super) fn record<'m>(
        &mut self,
        members: impl Iterator<Item = Result<Member<'m>, SyntaxError>>,
    ) -> Result<(), Stop> {
        let mut outcome = Outcome { taken: false, left: false };
        self.write(b"{");
        for member in members {
            outcome.add(self.member(PathTree::ROOT, &member?)?);
        }
        self.write(b"}");
        if !outcome.left {
            self.cut(0);
        }
        Ok(())
    }

    fn object(&mut self, node: NodeId, at: usize) -> Result<Outcome, Stop> {
        let mut outcome = Outcome { taken: false, left: false };
        let Some(mut members) = Members::of(self.record, at) else { return Ok(outcome) };
        self.write(b"{");
        while let Some(member) = members.next_member()? {
            outcome.add(self.member(node, &member)?);
        }
        self.write(b"}");
        Ok(outcome)
    }

    fn member(&mut self, node: NodeId, member: &Member<'_>) -> Result<Outcome, Stop> {
        match self.tree.child(node, |known| member.name.is(known)) {
            Some(child) => self.known(child, member),
            None if self.tree.closed && !self.covered => {
                let mut name = Vec::new();
                // What was checked to be a name is one.
                let name = member.name.decode(&mut name).unwrap_or_default().to_owned();
                Err(Stop::New { node, name, at: member.value.start })
            }
            None => {
                if self.tree.notices.watch.fields && node == PathTree::ROOT && !self.covered {
                    self.notice(member);
                }
                Ok(self.keep(member))
            }
        }
    }

    /// A member of the record that nothing takes.
    fn notice(&mut self, member: &Member<'_>) {
        let kind = soft::kind_of(member.kind, &self.record[member.value.clone()]);
        let mut name = Vec::new();
        if let Ok(name) = member.name.decode(&mut name) {
            self.tree.notices.note(name, kind);
        }
    }

    /// A member that a column takes which the service added, if it fits.
    fn soft(&mut self, id: NodeId, ty: AddedType, member: &Member<'_>) -> Outcome {
        let raw = &self.record[member.value.clone()];
        let kind = soft::kind_of(member.kind, raw);
        if kind.is_some_and(|kind| soft::takes(ty, kind, (raw, self.checked))) {
            for slot in &self.tree.node(id).columns {
                self.slots[*slot] = Some(member.value.clone());
            }
            return Outcome { taken: true, left: false };
        }
        if member.kind != Kind::Null {
            self.tree.misfit(id, kind);
        }
        self.keep(member)
    }

    /// A member that lies on a path.
    fn known(&mut self, id: NodeId, member: &Member<'_>) -> Result<Outcome, Stop> {
        let node = self.tree.node(id);
        if let Some(ty) = node.added {
            return Ok(self.soft(id, ty, member));
        }
        for slot in node.columns.iter().chain(&node.observed) {
            self.slots[*slot] = Some(member.value.clone());
        }
        let by_column = node.taken && (member.kind != Kind::Null || node.takes_null);
        let (is_key, tables) = (node.key, node.tables.len());
        let by_key = is_key && self.key(member);
        let mut by_child = false;
        for number in 0..tables {
            by_child |= self.child((id, number), member)?;
        }
        let below = member.kind == Kind::Object && self.tree.has_children(id);
        match (by_column || by_key || by_child, below) {
            (true, below) => {
                let mark = self.mark();
                if below {
                    let above = std::mem::replace(&mut self.covered, true);
                    self.object(id, member.value.start)?;
                    self.covered = above;
                }
                self.cut(mark);
                Ok(Outcome { taken: true, left: false })
            }
            (false, true) => self.nested(id, member),
            (false, false) => Ok(self.keep(member)),
        }
    }

    /// The key's field; says whether the key's column gives it back.
    fn key(&mut self, member: &Member<'_>) -> bool {
        let raw = &self.record[member.value.clone()];
        match &mut self.key {
            KeySource::Given(key) => key_gives_back(self.key_type, key, raw),
            KeySource::Found(key) => key.set_json(raw).is_ok() && key_gives_back(self.key_type, key.as_bytes(), raw),
        }
    }

    /// The value of a table below; says whether its rows hold all of it. What makes no row stays where it is: null, and what is
    /// empty, unless no row stands for that.
    fn child(&mut self, (id, number): (NodeId, usize), member: &Member<'_>) -> Result<bool, Stop> {
        let (slot, wanted, holds_all) = match self.tree.node(id).tables[number] {
            ChildNode::Array(slot) => (slot, Kind::Array, true),
            ChildNode::Map(slot) => (slot, Kind::Object, true),
            ChildNode::Object(slot) => (slot, Kind::Object, false),
        };
        if member.kind == Kind::Null {
            return Ok(false);
        }
        let at = member.value.start;
        if member.kind != wanted {
            return Err(Stop::Shape { node: id, wanted: wanted.name(), found: member.kind.name(), at });
        }
        let inside = skip_space(self.record, at + 1);
        if holds_all && inside + 1 == member.value.end {
            return Ok(self.tree.node(id).takes_empty);
        }
        self.slots[slot] = Some(member.value.clone());
        Ok(holds_all)
    }

    /// An object of which members may be taken.
    fn nested(&mut self, id: NodeId, member: &Member<'_>) -> Result<Outcome, Stop> {
        let mark = self.mark();
        self.begin(member.name.raw());
        let inside = self.object(id, member.value.start)?;
        if !inside.taken {
            self.cut(mark);
            return Ok(self.keep(member));
        }
        if !inside.left {
            self.cut(mark);
        }
        Ok(inside)
    }

    /// A member that stays whole.
    fn keep(&mut self, member: &Member<'_>) -> Outcome {
        self.begin(member.name.raw());
        let record = self.record;
        self.write(&record[member.value.clone()]);
        Outcome { taken: false, left: true }
    }

    fn begin(&mut self, name: &[u8]) {
        let Some(rest) = &mut self.rest else { return };
        // Only an object that has just been opened ends in its bracket: every value ends in something else.
        if rest.last() != Some(&b'{') {
            rest.push(b',');
        }
        rest.push(b'"');
        rest.extend_from_slice(name);
        rest.extend_from_slice(b"\":");
    }

    fn write(&mut self, text: &[u8]) {
        if let Some(rest) = &mut self.rest {
            rest.extend_from_slice(text);
        }
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
