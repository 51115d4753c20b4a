//! A record beside what its rows gave back: where they differ, and how much.

use super::document::Node;
use super::guarantee::Guarantee;
use super::{Fidelity, leaf};
use landfall_schemas::pgtype::PgType;
use std::collections::BTreeMap;

/// A place that came back otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// JSON pointer; `*` stands for any element or member of what a table below holds.
    pub pointer: String,
    /// What it amounts to; never exact.
    pub fidelity: Fidelity,
}

/// Compares; the differences in the order of the record.
pub(super) fn compare(source: &Node, back: &Node, guarantees: &[Guarantee]) -> Vec<Difference> {
    let mut comparison = Comparison { guarantees, found: Vec::new() };
    comparison.values("", source, Some(back));
    comparison.found
}

struct Comparison<'a> {
    guarantees: &'a [Guarantee],
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    fn at(&self, pointer: &str) -> Option<&'a Guarantee> {
        self.guarantees.iter().find(|known| known.pointer == pointer)
    }

    fn note(&mut self, pointer: &str, fidelity: Fidelity) {
        self.found.push(Difference { pointer: pointer.to_owned(), fidelity });
    }

    fn values(&mut self, pointer: &str, source: &Node, back: Option<&Node>) {
        match (source, back) {
            (Node::Object(source), Some(Node::Object(back))) => self.members(pointer, source, back),
            (Node::List(source), Some(Node::List(back))) => self.elements(pointer, source, back),
            (source, Some(back)) => {
                let ty = self.at(pointer).and_then(|known| known.ty);
                if let Some(fidelity) = leaf::differ(ty, source, back) {
                    self.note(pointer, fidelity);
                }
            }
            (_, None) => self.note(pointer, Fidelity::Lossy),
        }
    }

    fn members(&mut self, pointer: &str, source: &BTreeMap<String, Node>, back: &BTreeMap<String, Node>) {
        let any = format!("{pointer}/*");
        let map = self.at(&any).is_some();
        let below = |name: &str| {
            if map { any.clone() } else { format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")) }
        };
        for (name, value) in source {
            self.values(&below(name), value, back.get(name));
        }
        for (name, value) in back.iter().filter(|(name, _)| !source.contains_key(*name)) {
            self.extra(&below(name), value);
        }
    }

    /// What the record did not have: told by its innermost values, since objects on the way to them come along.
    fn extra(&mut self, pointer: &str, value: &Node) {
        match value {
            Node::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    self.extra(&format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), value);
                }
            }
            _ => self.note(pointer, Fidelity::Lossy),
        }
    }

    fn elements(&mut self, pointer: &str, source: &[Node], back: &[Node]) {
        let any = format!("{pointer}/*");
        let of_table = self.at(&any).is_some();
        let array = self.at(pointer).and_then(|known| known.ty);
        let ordered = self.at(pointer).and_then(|known| known.ordered_by.as_ref());
        if source.len() != back.len() {
            return self.note(pointer, Fidelity::Lossy);
        }
        let mut back: Vec<&Node> = back.iter().collect();
        if let Some(path) = ordered {
            let mut left = back;
            let mut paired = Vec::with_capacity(source.len());
            for element in source {
                let key = element.at(path.parts());
                let same = |other: &&Node| match (key, other.at(path.parts())) {
                    (Some(key), Some(other)) => leaf::differ(None, key, other) != Some(Fidelity::Lossy),
                    _ => false,
                };
                let Some(at) = left.iter().position(same) else { return self.note(pointer, Fidelity::Lossy) };
                if at != 0 {
                    self.note(pointer, Fidelity::ByValue);
                }
                paired.push(left.remove(at));
            }
            back = paired;
        }
        for (number, (source, back)) in source.iter().zip(back).enumerate() {
            match array {
                // Elements of an array column are told by the column.
                Some(PgType::Array(element)) => {
                    if let Some(fidelity) = leaf::differ(Some(element.ty()), source, back) {
                        self.note(pointer, fidelity);
                    }
                }
                _ if of_table => self.values(&any, source, Some(back)),
                _ => self.values(&format!("{pointer}/{number}"), source, Some(back)),
            }
        }
    }
}
