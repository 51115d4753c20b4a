//! Which containers of a document are wanted: several JSON pointers as one trie.
//!
//! Refuses pointers of which one lies inside another: a record would belong to two streams.

/// Two pointers of which one holds the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("streams {first} and {second} of one document overlap: one selects what stands inside the other")]
pub struct Overlap {
    /// Index of one.
    pub first: usize,
    /// Index of the other.
    pub second: usize,
}

/// A point on the way to a selected container.
#[derive(Clone, Debug, Default)]
struct Node {
    children: Vec<(Box<str>, usize)>,
    stream: Option<usize>,
}

/// The compiled pointers.
#[derive(Clone, Debug)]
pub struct Selection {
    nodes: Vec<Node>,
    streams: usize,
}

impl Selection {
    /// The whole document.
    pub(super) const ROOT: usize = 0;

    /// Compiles pointers given as unescaped tokens; an empty one is the whole document.
    pub fn new<P: AsRef<[String]>>(pointers: &[P]) -> Result<Self, Overlap> {
        let mut selection = Self { nodes: vec![Node::default()], streams: pointers.len() };
        for (stream, pointer) in pointers.iter().enumerate() {
            selection.add(stream, pointer.as_ref())?;
        }
        Ok(selection)
    }

    fn add(&mut self, stream: usize, tokens: &[String]) -> Result<(), Overlap> {
        let mut at = Self::ROOT;
        for token in tokens {
            self.free(at, stream)?;
            at = match self.child(at, token) {
                Some(child) => child,
                None => {
                    self.nodes.push(Node::default());
                    let child = self.nodes.len() - 1;
                    self.nodes[at].children.push((token.as_str().into(), child));
                    child
                }
            };
        }
        self.free(at, stream)?;
        if let Some(inner) = self.any_below(at) {
            return Err(Overlap { first: inner, second: stream });
        }
        self.nodes[at].stream = Some(stream);
        Ok(())
    }

    fn free(&self, node: usize, stream: usize) -> Result<(), Overlap> {
        self.nodes[node].stream.map_or(Ok(()), |first| Err(Overlap { first, second: stream }))
    }

    fn any_below(&self, node: usize) -> Option<usize> {
        let mut todo = vec![node];
        while let Some(at) = todo.pop() {
            if let Some(stream) = self.nodes[at].stream {
                return Some(stream);
            }
            todo.extend(self.nodes[at].children.iter().map(|(_, child)| *child));
        }
        None
    }

    /// How many pointers there are.
    pub fn streams(&self) -> usize {
        self.streams
    }

    pub(super) fn child(&self, node: usize, token: &str) -> Option<usize> {
        self.nodes[node].children.iter().find(|(name, _)| &**name == token).map(|(_, child)| *child)
    }

    /// The child for an array's element: reference tokens are decimal without leading zeros (RFC 6901).
    pub(super) fn element(&self, node: usize, index: u64) -> Option<usize> {
        if self.nodes[node].children.is_empty() {
            return None;
        }
        self.child(node, &index.to_string())
    }

    pub(super) fn stream(&self, node: usize) -> Option<usize> {
        self.nodes[node].stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(list: &[&[&str]]) -> Vec<Vec<String>> {
        list.iter().map(|tokens| tokens.iter().map(|token| (*token).to_owned()).collect()).collect()
    }

    #[test]
    fn a_pointer_inside_another_is_refused_in_either_order() {
        for list in [&[&["a"] as &[&str], &["a", "b"]], &[&["a", "b"] as &[&str], &["a"]], &[&[] as &[&str], &["a"]]] {
            assert!(Selection::new(&pointers(list)).is_err(), "{list:?}");
        }
        assert!(Selection::new(&pointers(&[&["a"], &["a"]])).is_err());
        assert!(Selection::new(&pointers(&[&["a", "x"], &["a", "y"], &["b"]])).is_ok());
    }
}
