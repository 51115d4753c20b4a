//! The paths of a mapping as a tree of member names, so that one walk over a record serves all columns.

use super::column::leaves_its_field;
use landfall_schemas::mapping::{ColumnMapping, FieldPath};

/// A node of the tree; the root is the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NodeId(usize);

/// All paths.
#[derive(Debug)]
pub(super) struct PathTree {
    nodes: Vec<Node>,
}

/// One place in a record.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: Vec<(Box<str>, NodeId)>,
    /// Which child is looked at first: records tend to name their members in one order.
    expected: usize,
    /// Columns that take the value here.
    pub(super) columns: Vec<usize>,
    /// One of them holds the value as it stands: the rest need not.
    pub(super) taken: bool,
    /// The key is made from the value here.
    pub(super) key: bool,
}

impl Default for PathTree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl PathTree {
    pub(super) const ROOT: NodeId = NodeId(0);

    /// A column finds its value where its path leads, and takes it from there or leaves it there. Several may find the same.
    pub(super) fn add_column(&mut self, column: &ColumnMapping, slot: usize) {
        let id = self.place(&column.from);
        let node = &mut self.nodes[id.0];
        node.columns.push(slot);
        node.taken |= !leaves_its_field(column);
    }

    /// The key is made from the value at `path`.
    pub(super) fn add_key(&mut self, path: &FieldPath) {
        let node = self.place(path);
        self.nodes[node.0].key = true;
    }

    /// Whether any column takes anything.
    pub(super) fn has_columns(&self) -> bool {
        self.nodes.iter().any(|node| !node.columns.is_empty())
    }

    /// The node.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
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

    fn place(&mut self, path: &FieldPath) -> NodeId {
        let mut at = Self::ROOT;
        for part in path.parts() {
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
