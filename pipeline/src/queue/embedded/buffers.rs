//! Buffers for the bodies of frames, used again and again: filling one that is warm costs less than a new one.
//!
//! A buffer may be given back while somebody still reads it: it is lent out again only when nobody does. Bounded; never needed:
//! where none fits, a new one is made.

use std::sync::{Arc, Mutex, MutexGuard};

/// Buffers kept: what two lanes have in hand, and an append.
const SPARE: usize = 8;
/// Longer ones are not kept: a batch that a source fills to the usual mark, and its index of events, fit.
const LONGEST: usize = 2 << 20;
/// A buffer is at least this long.
const SHORTEST: usize = 512;

/// Buffers nobody needs to keep.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    spare: Mutex<Vec<Arc<[u8]>>>,
}

impl Buffers {
    /// A buffer of one owner, of at least `length` bytes, perhaps longer; its content is whatever it was.
    pub(super) fn take(&self, length: usize) -> Arc<[u8]> {
        let fits = length..=length.saturating_mul(2).max(SHORTEST);
        let mut spare = self.spare();
        let found = spare.iter().rposition(|buffer| fits.contains(&buffer.len()) && Arc::strong_count(buffer) == 1);
        if let Some(found) = found {
            return spare.remove(found);
        }
        drop(spare);
        // A little longer, so that it serves the next frame too if that is a little longer.
        std::iter::repeat_n(0, (length + length / 8).max(SHORTEST)).collect()
    }

    /// Gives a buffer back. Others may still read it.
    pub(super) fn give(&self, buffer: Arc<[u8]>) {
        if !(SHORTEST..=LONGEST).contains(&buffer.len()) {
            return;
        }
        let mut spare = self.spare();
        if spare.len() >= SPARE {
            spare.remove(0);
        }
        spare.push(buffer);
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Arc<[u8]>>> {
        self.spare.lock().expect("nobody panics while holding the spare buffers")
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, LONGEST, SPARE};
    use std::sync::Arc;

    #[test]
    fn a_buffer_that_is_still_read_is_not_lent_out() {
        let buffers = Buffers::default();
        let buffer = buffers.take(1_000);
        buffers.give(buffer.clone());
        assert!(!Arc::ptr_eq(&buffers.take(1_000), &buffer));
        let place = buffer.as_ptr();
        drop(buffer);
        assert_eq!(buffers.take(900).as_ptr(), place);
    }

    #[test]
    fn what_is_kept_is_bounded_and_never_too_short() {
        let buffers = Buffers::default();
        buffers.give(Arc::from(vec![0; LONGEST + 1]));
        for _ in 0..2 * SPARE {
            buffers.give(Arc::from(vec![0; 700]));
        }
        assert_eq!(buffers.spare().len(), SPARE);
        for length in [0, 1, 699, 701, 5_000] {
            let mut buffer = buffers.take(length);
            assert!(buffer.len() >= length && Arc::get_mut(&mut buffer).is_some());
        }
    }
}
