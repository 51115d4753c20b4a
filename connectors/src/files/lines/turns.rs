//! In which order capture took up the lines of several files.
//!
//! Lines are handed out of one generation, then of another. Each time that another one is turned to, the turn has the next number, and the
//! generation remembers from which byte on. So of two lines in two files it is told which was captured last, for as long as both files are
//! there. No more than [`MOST`] stretches are remembered for each: two neighbours become one that spans the turns of both, those first that lie
//! closest together. Lines whose stretches overlap are in no order, and that is said.
//!
//! Stored behind a position's paths, all numbers as LEB128: how many stretches; of each the first byte, the first turn and the last one, each as
//! what it is more than the one before.

/// Stretches that a generation remembers.
const MOST: usize = 32;

/// What was handed out before turns were counted: of all that it is known only that it was before.
const UNCOUNTED: Stretch = Stretch { from: 0, first: 0, last: 0 };

/// Bytes that were handed out in some turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    from: u64,
    first: u64,
    last: u64,
}

/// The turns of one generation, in the order of its bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Turns(Vec<Stretch>);

impl Turns {
    /// Of a generation whose position says nothing of them.
    pub(super) fn uncounted() -> Self {
        Self(vec![UNCOUNTED])
    }

    /// Lines from this byte on are handed out in this turn.
    pub(super) fn taken_up(&mut self, from: u64, turn: u64) {
        // A copy that holds less than was read takes the offset back.
        self.0.retain(|stretch| stretch.from < from);
        if self.0.last().is_some_and(|last| last.last == turn) {
            return;
        }
        self.0.push(Stretch { from, first: turn, last: turn });
        if self.0.len() > MOST {
            self.condense();
        }
    }

    /// Makes one of the two neighbours that lie closest together; of several, the oldest. The newest stretch stays exact.
    fn condense(&mut self) {
        let span = |at: &usize| self.0[at + 1].last.saturating_sub(self.0[*at].first);
        let Some(closest) = (0..self.0.len().saturating_sub(2)).min_by_key(span) else { return };
        self.0[closest].last = self.0[closest + 1].last;
        self.0.remove(closest + 1);
    }

    /// The last turn, 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.0.last().map_or(0, |stretch| stretch.last)
    }

    /// First byte of each stretch, with its first and last turn.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (u64, (u64, u64))> + '_ {
        self.0.iter().map(|stretch| (stretch.from, (stretch.first, stretch.last)))
    }

    /// First and last of the turns in which the line at this byte may have been handed out.
    pub(super) fn at(&self, at: u64) -> (u64, u64) {
        let stretch = self.0.iter().rev().find(|stretch| stretch.from <= at).unwrap_or(&UNCOUNTED);
        (stretch.first, stretch.last)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.0.len() as u64);
        let (mut from, mut turn) = (0, 0);
        for stretch in &self.0 {
            put(out, stretch.from - from);
            put(out, stretch.first - turn);
            put(out, stretch.last - stretch.first);
            (from, turn) = (stretch.from, stretch.last);
        }
    }

    /// Takes them off the front; `None` if they are not ours.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (mut from, mut turn) = (0_u64, 0_u64);
        let count = get(bytes)?;
        let mut stretches = Vec::new();
        for number in 0..count {
            let ahead = get(bytes)?;
            if number > 0 && ahead == 0 {
                return None;
            }
            from = from.checked_add(ahead)?;
            let first = turn.checked_add(get(bytes)?)?;
            let last = first.checked_add(get(bytes)?)?;
            turn = last;
            stretches.push(Stretch { from, first, last });
        }
        (stretches.len() <= MOST).then_some(Self(stretches))
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(turns: &Turns) -> Turns {
        let mut bytes = Vec::new();
        turns.encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(Turns::decode(&mut &bytes[..cut]), None, "{cut} bytes");
        }
        let mut rest = bytes.as_slice();
        let read = Turns::decode(&mut rest).expect("ours");
        assert!(rest.is_empty());
        read
    }

    #[test]
    fn a_generation_that_is_never_left_has_one_stretch() {
        let mut turns = Turns::default();
        for at in 0..1_000 {
            turns.taken_up(at * 10, 7);
        }
        assert_eq!(turns.0.len(), 1);
        assert_eq!(turns.at(9_999), (7, 7));
        assert_eq!(stored(&turns), turns);
    }

    #[test]
    fn turns_are_bounded_and_each_line_stays_inside_its_stretch() {
        let mut turns = Turns::default();
        for number in 1..=10_000 {
            turns.taken_up(number * 100, number * 2);
            assert!(turns.0.len() <= MOST);
        }
        for number in 1..=10_000 {
            let (first, last) = turns.at(number * 100 + 99);
            assert!(first <= number * 2 && number * 2 <= last, "{number}: {first}..={last}");
        }
        assert!(turns.0.windows(2).all(|pair| pair[0].last < pair[1].first));
        assert_eq!(turns.at(1_000_050), (20_000, 20_000), "the newest is told exactly");
        assert_eq!((turns.last(), stored(&turns)), (20_000, turns.clone()));
    }

    #[test]
    fn a_rest_that_is_read_again_forgets_its_first_reading() {
        let mut turns = Turns::default();
        turns.taken_up(0, 1);
        turns.taken_up(500, 3);
        turns.taken_up(300, 5);
        assert_eq!((turns.at(299), turns.at(300), turns.at(700)), ((1, 1), (5, 5), (5, 5)));
        turns.taken_up(0, 5);
        assert_eq!(turns.at(0), (5, 5));
    }

    #[test]
    fn what_was_read_before_turns_were_counted_is_older_than_all_of_them() {
        let mut turns = Turns::uncounted();
        assert_eq!((turns.at(10), turns.last()), ((0, 0), 0));
        turns.taken_up(100, 4);
        turns.taken_up(200, 9);
        assert_eq!((turns.at(99), turns.at(100), turns.at(200)), ((0, 0), (4, 4), (9, 9)));
        assert_eq!((turns.last(), stored(&turns)), (9, turns.clone()));
    }
}
