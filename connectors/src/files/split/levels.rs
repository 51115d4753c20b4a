//! Open brackets outside records: a bit each, so that a bomb of a million costs 125 kB and no stack.

/// Open brackets, one bit each (1: object).
#[derive(Debug, Default)]
pub(super) struct Levels {
    bits: Vec<u64>,
    pub(super) len: usize,
}

impl Levels {
    pub(super) fn push(&mut self, object: u64) {
        let (word, bit) = (self.len / 64, self.len % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = (self.bits[word] & !(1 << bit)) | (object << bit);
        self.len += 1;
    }

    pub(super) fn top_is_object(&self) -> bool {
        let top = self.len - 1;
        self.bits[top / 64] >> (top % 64) & 1 == 1
    }
}
