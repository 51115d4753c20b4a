//! The paths of a mapping as a tree of member names, so that one walk over a record serves all columns.

use super::column::{leaves_its_field, pointer_part};
use super::notice::Notices;
use landfall_schemas::mapping::{AddedType, ColumnMapping, Nothing};

/// A node of the tree; the root is the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NodeId(usize);

/// All paths.
#[derive(Debug)]
pub(super) struct PathTree {
    nodes: Vec<Node>,
    /// A member that lies on no path stops the walk.
    pub(super) closed: bool,
    /// Members that lie on no path.
    pub(super) notices: Notices,
}

/// One place in a record.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: Vec<(Box<str>, NodeId)>,
    /// Which child is looked at first: records tend to name their members in one order.
    expected: usize,
    /// Columns that take the value here.
    pub(super) columns: Vec<usize>,
    /// The one of them was added: it takes what fits it exactly.
    pub(super) added: Option<AddedType>,
    /// One of them holds the value as it stands: the rest need not.
    pub(super) taken: bool,
    /// And one of these holds a null.
    pub(super) takes_null: bool,
    /// A table below holds what is empty, by no row.
    pub(super) takes_empty: bool,
    /// Slots that only say that something stands here.
    pub(super) observed: Vec<usize>,
    /// The key is made from the value here.
    pub(super) key: bool,
    /// Tables below are made of the value here.
    pub(super) tables: Vec<ChildNode>,
}

/// A table below, at its place: what its value must be, and the slot that says where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChildNode {
    Array(usize),
    Map(usize),
    Object(usize),
}

impl Default for PathTree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], closed: false, notices: Notices::default() }
    }
}

impl PathTree {
    pub(super) const ROOT: NodeId = NodeId(0);

    /// A column finds its value where a path leads, and takes it from there or leaves it there. Several may find the same.
    pub(super) fn add_column(&mut self, path: &[String], column: &ColumnMapping, slot: usize) {
        let id = self.place(path);
        let node = &mut self.nodes[id.0];
        node.columns.push(slot);
        node.taken |= !leaves_its_field(column);
        node.takes_null |= column.none == Nothing::Null;
    }

    /// A column that was added takes what fits it of a member of the record, which nothing else takes.
    pub(super) fn add_soft(&mut self, path: &[String], ty: AddedType, slot: usize) {
        let id = self.place(path);
        let node = &mut self.nodes[id.0];
        node.columns.push(slot);
        node.added = Some(ty);
    }

    /// A member that is read without being taken is not new.
    pub(super) fn know(&mut self, name: String) {
        self.place(&[name]);
    }

    /// A value that the added column here does not take. What would hold it is noted, where that is the same kind, but wider.
    pub(super) fn misfit(&mut self, id: NodeId, kind: Option<AddedType>) {
        self.notices.misfit();
        if (self.nodes[id.0].added, kind) == (Some(AddedType::Bigint), Some(AddedType::Numeric))
            && self.notices.watch.numbers
            && let Some((name, _)) = self.nodes[Self::ROOT.0].children.iter().find(|(_, child)| *child == id)
        {
            self.notices.note(name, kind);
        }
    }

    /// The key is made from the value at `path`.
    pub(super) fn add_key(&mut self, path: &[String]) {
        let node = self.place(path);
        self.nodes[node.0].key = true;
    }

    /// A table below is made of the value at `path`.
    pub(super) fn add_child(&mut self, path: &[String], child: ChildNode, none: Nothing) {
        let node = self.place(path);
        self.nodes[node.0].tables.push(child);
        self.nodes[node.0].takes_empty |= none == Nothing::Empty;
    }

    /// The slot says whether anything stands where `path` leads.
    pub(super) fn observe(&mut self, path: &[String], slot: usize) {
        let node = self.place(path);
        self.nodes[node.0].observed.push(slot);
    }

    /// The node.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The way to a node as a JSON pointer, for people.
    pub(super) fn pointer(&self, wanted: NodeId) -> String {
        let mut way = String::new();
        let mut at = wanted;
        while let Some((parent, name)) = self.parent(at) {
            way.insert_str(0, &pointer_part(name));
            at = parent;
        }
        way
    }

    fn parent(&self, of: NodeId) -> Option<(NodeId, &str)> {
        self.nodes.iter().enumerate().find_map(|(at, node)| {
            let found = node.children.iter().find(|(_, id)| *id == of);
            found.map(|(name, _)| (NodeId(at), &**name))
        })
    }

    /// Whether paths go on below.
    pub(super) fn has_children(&self, id: NodeId) -> bool {
        !self.nodes[id.0].children.is_empty()
    }

    /// The child whose name `is` the one looked for.
    #[inline]
    pub(super) fn child(&mut self, id: NodeId, is: impl Fn(&str) -> bool) -> Option<NodeId> {
        let node = &mut self.nodes[id.0];
        let (before, after) = node.children.split_at(node.expected);
        let found = after.iter().chain(before).position(|(known, _)| is(known))?;
        let index = (node.expected + found) % node.children.len();
        node.expected = (index + 1) % node.children.len();
        Some(node.children[index].1)
    }

    fn place(&mut self, path: &[String]) -> NodeId {
        let mut at = Self::ROOT;
        for part in path {
            let known = self.nodes[at.0].children.iter().find(|(name, _)| **name == **part).map(|(_, id)| *id);
            at = known.unwrap_or_else(|| {
                let new = NodeId(self.nodes.len());
                self.nodes.push(Node::default());
                self.nodes[at.0].children.push((part.as_str().into(), new));
                new
            });
        }
        at
    }
}
