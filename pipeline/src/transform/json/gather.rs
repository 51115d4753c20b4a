//! One walk over a record's members: where each column's value stands, and the text of all that no column took. The check
//! noted where they stand; only inside those that lie on a path is looked again.
//!
//! The rest keeps the raw text of members. An object of which something was taken is written anew with what is left of it,
//! and left out only when nothing is. The record's structure has been checked before, so its depth bounds the recursion.

use super::key::key_gives_back;
use crate::transform::tree::{NodeId, PathTree};
use landfall_schemas::json::{Kind, Member, Members, SyntaxError};
use landfall_schemas::pgtype::PgType;
use std::ops::Range;

pub(super) struct Gather<'a> {
    pub(super) record: &'a [u8],
    /// The record's encoded key and the type of its column.
    pub(super) key: &'a [u8],
    pub(super) key_type: Option<PgType>,
    pub(super) tree: &'a mut PathTree,
    pub(super) slots: &'a mut [Option<Range<usize>>],
    /// Absent: what no column takes is dropped.
    pub(super) rest: Option<&'a mut Vec<u8>>,
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
    pub(super) fn record<'m>(&mut self, members: impl Iterator<Item = Member<'m>>) -> Result<(), SyntaxError> {
        let mut outcome = Outcome { taken: false, left: false };
        self.write(b"{");
        for member in members {
            outcome.add(self.member(PathTree::ROOT, &member)?);
        }
        self.write(b"}");
        if !outcome.left {
            self.cut(0);
        }
        Ok(())
    }

    fn object(&mut self, node: NodeId, at: usize) -> Result<Outcome, SyntaxError> {
        let mut outcome = Outcome { taken: false, left: false };
        let Some(mut members) = Members::of(self.record, at) else { return Ok(outcome) };
        self.write(b"{");
        while let Some(member) = members.next_member()? {
            outcome.add(self.member(node, &member)?);
        }
        self.write(b"}");
        Ok(outcome)
    }

    fn member(&mut self, node: NodeId, member: &Member<'_>) -> Result<Outcome, SyntaxError> {
        match self.tree.child(node, |known| member.name.is(known)) {
            Some(child) => self.known(child, member),
            None => Ok(self.keep(member)),
        }
    }

    /// A member that lies on a path.
    fn known(&mut self, id: NodeId, member: &Member<'_>) -> Result<Outcome, SyntaxError> {
        let node = self.tree.node(id);
        for slot in &node.columns {
            self.slots[*slot] = Some(member.value.clone());
        }
        let by_column = node.taken && member.kind != Kind::Null;
        let by_key = node.key && key_gives_back(self.key_type, self.key, &self.record[member.value.clone()]);
        let below = member.kind == Kind::Object && self.tree.has_children(id);
        match (by_column || by_key, below) {
            (true, below) => {
                let mark = self.mark();
                if below {
                    self.object(id, member.value.start)?;
                }
                self.cut(mark);
                Ok(Outcome { taken: true, left: false })
            }
            (false, true) => self.nested(id, member),
            (false, false) => Ok(self.keep(member)),
        }
    }

    /// An object of which members may be taken.
    fn nested(&mut self, id: NodeId, member: &Member<'_>) -> Result<Outcome, SyntaxError> {
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
