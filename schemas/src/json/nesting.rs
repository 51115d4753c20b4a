//! Which kind of container is open at each depth: one bit a level, so that a million levels are 125 kB.

/// A stack of bits. The first 64 levels cost no allocation.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    top: u64,
    spilled: Vec<u64>,
}

impl Nesting {
    /// How many containers are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Opens an object (`1`) or an array (`0`).
    pub(super) fn push(&mut self, kind: Container) {
        if self.depth != 0 && self.depth.is_multiple_of(64) {
            self.spilled.push(self.top);
            self.top = 0;
        }
        self.top = (self.top << 1) | u64::from(kind == Container::Object);
        self.depth += 1;
    }

    /// Closes the innermost one.
    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.top >>= 1;
        if self.depth != 0
            && self.depth.is_multiple_of(64)
            && let Some(word) = self.spilled.pop()
        {
            self.top = word;
        }
    }

    /// The innermost one.
    pub(super) fn innermost(&self) -> Option<Container> {
        match (self.depth, self.top & 1) {
            (0, _) => None,
            (_, 1) => Some(Container::Object),
            _ => Some(Container::Array),
        }
    }
}

/// What can be open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Container {
    /// `[`
    Array,
    /// `{`
    Object,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_gives_back_what_was_pushed_across_its_word_boundaries() {
        let kind = |n: usize| if n.is_multiple_of(3) { Container::Object } else { Container::Array };
        let mut nesting = Nesting::default();
        for n in 0..1_000 {
            nesting.push(kind(n));
            assert_eq!(nesting.innermost(), Some(kind(n)));
        }
        for n in (0..1_000).rev() {
            assert_eq!(nesting.innermost(), Some(kind(n)), "level {n}");
            nesting.pop();
        }
        assert_eq!((nesting.depth(), nesting.innermost()), (0, None));
    }
}
