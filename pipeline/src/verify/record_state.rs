//! What each side says of one record, and what that makes of it.
//!
//! The rules stand here once, for buckets of a whole comparison and for records that are looked at again. Equal needs both sides to say the
//! same rows. A record that the source cannot say, or whose latest state its lines do not order, is not compared; one behind a dead letter
//! is parked. All else is suspect: whether it is missing, extra or different is said only when it has survived a second look.

use super::fingerprint::Sum;
use super::spill::Kind;
use landfall_connectors::reread::Repeats;

/// What capture has read of the files that it reads only perhaps, as the number of its events tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum History {
    /// All of them, and nothing that is gone.
    All,
    /// None of them, and nothing that is gone.
    SureAlone,
    /// It cannot be told.
    Unknown,
}

impl History {
    /// From lines of files that belong to the source surely and perhaps, and what was captured in how many lives of the queue.
    pub(super) fn of((sure, perhaps): (u64, u64), (events, generations): (u64, u64)) -> Self {
        match events {
            _ if generations > 1 => Self::Unknown,
            events if events == sure + perhaps => Self::All,
            events if events == sure => Self::SureAlone,
            _ => Self::Unknown,
        }
    }
}

/// How entries of one record add up on the source's side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    pub(super) repeats: Repeats,
    /// A record is a place in any of several files: entries are added, not compared with each other.
    pub(super) by_place: bool,
}

/// Marks a chain whose entry capture has read only perhaps.
pub(super) const PERHAPS: u16 = 0x8000;

/// What is said of a record at one point of a reading.
type Saying = (u64, Kind, Sum);

/// Entries of one record on the source's side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SourceFold {
    chains: Vec<ChainFold>,
    /// Later entries of the key that do not count.
    pub(super) duplicates: u64,
}

/// What one chain says, in what belongs to the source surely, and perhaps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct ChainFold {
    chain: u16,
    parts: [Option<Saying>; 2],
}

/// Which part of a chain an entry with this mark belongs to.
pub(super) fn part_of(marked: u16) -> usize {
    usize::from(marked & PERHAPS != 0)
}

/// What became of adding an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// It stands in its part of the chain, in the place of what stood there.
    Stands,
    /// It stands beside what stood.
    Joins,
    /// It does not count.
    Ignored,
}

impl SourceFold {
    /// Adds the entry that was met as number `order`.
    pub(super) fn add(&mut self, rule: Rule, marked: u16, (order, kind, sum): Saying) -> Added {
        // Places of all files are one.
        let chain = if rule.by_place { 0 } else { marked & !PERHAPS };
        let at = match self.chains.iter().position(|known| known.chain == chain) {
            Some(at) => at,
            None => {
                self.chains.push(ChainFold { chain, ..ChainFold::default() });
                self.chains.len() - 1
            }
        };
        let saying = &mut self.chains[at].parts[part_of(marked)];
        match saying {
            Some((_, standing, whole)) if rule.by_place => {
                whole.add(sum);
                if kind == Kind::Rows {
                    *standing = kind;
                }
                Added::Joins
            }
            Some(_) if rule.repeats == Repeats::FirstStands => {
                self.duplicates += 1;
                Added::Ignored
            }
            _ => {
                *saying = Some((order, kind, sum));
                Added::Stands
            }
        }
    }

    /// Parts of chains that say what stands, the chain's number with its mark.
    pub(super) fn standing(&self, rule: Rule, history: History) -> Vec<u16> {
        let mut standing = Vec::new();
        for ChainFold { chain, parts } in &self.chains {
            let perhaps = parts[1].filter(|_| history != History::SureAlone);
            let (sure, perhaps) = (parts[0].map(|saying| saying.0), perhaps.map(|saying| saying.0));
            if sure.is_some() && (rule.by_place || sure > perhaps) {
                standing.push(*chain);
            }
            if perhaps.is_some() && (rule.by_place || perhaps > sure) {
                standing.push(chain | PERHAPS);
            }
        }
        standing
    }

    /// What is said, and whether capture may never have read it.
    pub(super) fn state(&self, rule: Rule, history: History) -> (SourceState, bool) {
        let standing = self.standing(rule, history);
        let doubtful = history == History::Unknown && standing.iter().any(|marked| part_of(*marked) == 1);
        let saying = |marked: &u16| {
            let chain = self.chains.iter().find(|known| known.chain == marked & !PERHAPS)?;
            chain.parts[part_of(*marked)].map(|(_, kind, sum)| (kind, sum))
        };
        let mut sayings = standing.iter().filter_map(saying);
        let Some((mut kind, mut sum)) = sayings.next() else { return (SourceState::Absent, false) };
        for (other, of_other) in sayings {
            if rule.by_place {
                sum.add(of_other);
                kind = if other == Kind::Rows { other } else { kind };
            } else if (other, of_other) != (kind, sum) {
                return (SourceState::Unordered, doubtful);
            }
        }
        let state = match kind {
            Kind::Rows if sum.rows > 0 => SourceState::Rows(sum),
            Kind::Unmappable => SourceState::Unmappable,
            Kind::Unreadable => SourceState::Unreadable,
            Kind::Rows | Kind::Gone | Kind::Letter | Kind::LetterBeside => SourceState::Gone,
        };
        (state, doubtful)
    }
}

/// What the source says of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SourceState {
    /// Nothing at all.
    Absent,
    /// That it is deleted, or left out.
    Gone,
    /// Its rows.
    Rows(Sum),
    /// Something that no row can be made of.
    Unmappable,
    /// Something that cannot be read now.
    Unreadable,
    /// Different things in files whose lines have no common order.
    Unordered,
}

/// What the target holds of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TargetState {
    pub(super) sum: Sum,
    /// The newest version among its rows.
    pub(super) version: i64,
    /// A dead letter that later changes wait behind.
    pub(super) letter: bool,
    /// A dead letter of a duplicate.
    pub(super) letter_beside: bool,
}

impl TargetState {
    pub(super) fn add(&mut self, kind: Kind, sum: Sum, version: i64) {
        match kind {
            Kind::Letter => self.letter = true,
            Kind::LetterBeside => self.letter_beside = true,
            _ => {
                self.sum.add(sum);
                self.version = self.version.max(version);
            }
        }
    }
}

/// What two sides make of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judgement {
    /// Neither side has anything.
    Nothing,
    /// Both say the same rows.
    Equal,
    /// A dead letter holds it.
    Parked,
    /// It cannot be compared.
    NotCompared,
    /// It stands in lines that capture has read only perhaps, and differs: how many events there are may tell.
    Doubtful,
    /// The target has rows of a key that no line names, and lines may be gone.
    Unnamed,
    /// They differ now.
    Suspect,
}

/// Judges one record.
pub(super) fn judge(rule: Rule, history: History, source: &SourceFold, target: &TargetState) -> Judgement {
    let (state, doubtful) = source.state(rule, history);
    let rows = if let SourceState::Rows(sum) = state { sum } else { Sum::default() };
    let is_equal = rows.rows > 0 && rows == target.sum;
    match state {
        SourceState::Unreadable | SourceState::Unordered => return Judgement::NotCompared,
        _ if doubtful && !is_equal => return Judgement::Doubtful,
        _ if source.duplicates > 0 && !target.letter_beside && !target.letter => return Judgement::Suspect,
        SourceState::Unmappable if target.letter => return Judgement::Parked,
        SourceState::Unmappable => return Judgement::Suspect,
        SourceState::Absent | SourceState::Gone | SourceState::Rows(_) => {}
    }
    // Lines say what is gone; of what they do not name, files that are gone may have spoken.
    let more = rule.by_place && target.sum.rows > rows.rows;
    let lines_may_be_gone = rule.repeats == Repeats::LastStands && history == History::Unknown;
    match (rows == target.sum, target.letter) {
        (true, true) if rows.rows == 0 => Judgement::Parked,
        (true, _) if rows.rows > 0 => Judgement::Equal,
        (true, _) => Judgement::Nothing,
        (false, true) => Judgement::Parked,
        (false, false) if lines_may_be_gone && (state == SourceState::Absent || more) => Judgement::Unnamed,
        (false, false) => Judgement::Suspect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYED: Rule = Rule { repeats: Repeats::FirstStands, by_place: false };
    const LINES: Rule = Rule { repeats: Repeats::LastStands, by_place: false };

    fn rows(hash: u128) -> (Kind, Sum) {
        (Kind::Rows, Sum { hash, rows: 1 })
    }

    fn source(rule: Rule, entries: &[(u16, (Kind, Sum))]) -> SourceFold {
        let mut fold = SourceFold::default();
        for (order, (chain, (kind, sum))) in (0..).zip(entries) {
            let _ = fold.add(rule, *chain, (order, *kind, *sum));
        }
        fold
    }

    fn judge(rule: Rule, source: &SourceFold, target: &TargetState) -> Judgement {
        super::judge(rule, History::Unknown, source, target)
    }

    fn target(hash: u128) -> TargetState {
        TargetState { sum: Sum { hash, rows: 1 }, version: 7, ..TargetState::default() }
    }

    const NONE: (Kind, Sum) = (Kind::Gone, Sum { hash: 0, rows: 0 });
    const ODD: (Kind, Sum) = (Kind::Unmappable, Sum { hash: 0, rows: 0 });

    #[test]
    fn the_first_of_a_revision_and_the_last_of_a_chain_count() {
        let twice = [(0, rows(1)), (0, rows(2))];
        let parked = TargetState { letter_beside: true, ..target(1) };
        assert_eq!(judge(KEYED, &source(KEYED, &twice), &parked), Judgement::Equal);
        assert_eq!(judge(KEYED, &source(KEYED, &twice), &target(1)), Judgement::Suspect, "the duplicate is nowhere");
        assert_eq!(judge(LINES, &source(LINES, &twice), &target(2)), Judgement::Equal);
        assert_eq!(judge(LINES, &source(LINES, &twice), &target(1)), Judgement::Suspect);
        let deleted = source(LINES, &[(0, rows(1)), (0, NONE)]);
        assert_eq!(judge(LINES, &deleted, &TargetState::default()), Judgement::Nothing);
        assert_eq!(judge(LINES, &deleted, &target(1)), Judgement::Suspect, "a line said that it is gone");
    }

    #[test]
    fn nothing_is_called_equal_that_was_not_compared() {
        let two_files = source(LINES, &[(0, rows(1)), (1, rows(2))]);
        assert_eq!(judge(LINES, &two_files, &target(1)), Judgement::NotCompared);
        let alike = source(LINES, &[(0, rows(1)), (1, rows(1))]);
        assert_eq!(judge(LINES, &alike, &target(1)), Judgement::Equal);
        assert_eq!(judge(LINES, &SourceFold::default(), &target(1)), Judgement::Unnamed);
        assert_eq!(judge(KEYED, &SourceFold::default(), &target(1)), Judgement::Suspect);
    }

    #[test]
    fn a_dead_letter_explains_and_its_lack_does_not() {
        let letter = TargetState { letter: true, ..TargetState::default() };
        let odd = source(KEYED, &[(0, ODD)]);
        assert_eq!(judge(KEYED, &odd, &letter), Judgement::Parked);
        assert_eq!(judge(KEYED, &odd, &TargetState::default()), Judgement::Suspect);
        let stale = TargetState { letter: true, ..target(1) };
        assert_eq!(judge(KEYED, &source(KEYED, &[(0, rows(2))]), &stale), Judgement::Parked);
        assert_eq!(judge(KEYED, &source(KEYED, &[(0, rows(1))]), &stale), Judgement::Equal);
        let duplicate = TargetState { letter_beside: true, ..target(1) };
        assert_eq!(judge(KEYED, &source(KEYED, &[(0, rows(2))]), &duplicate), Judgement::Suspect);
    }

    #[test]
    fn what_capture_may_not_have_read_makes_no_difference() {
        let old = [(PERHAPS, rows(1))];
        for (history, none, other) in [
            (History::Unknown, Judgement::Doubtful, Judgement::Doubtful),
            (History::All, Judgement::Suspect, Judgement::Suspect),
            (History::SureAlone, Judgement::Nothing, Judgement::Suspect),
        ] {
            let of = |entries: &[(u16, (Kind, Sum))], target: TargetState| {
                super::judge(LINES, history, &source(LINES, entries), &target)
            };
            assert_eq!(of(&old, TargetState::default()), none, "{history:?}");
            assert_eq!(of(&old, target(2)), other, "{history:?}");
            let overtaken = [(PERHAPS, rows(1)), (0, rows(2))];
            assert_eq!(of(&overtaken, target(2)), Judgement::Equal);
            assert_eq!(of(&overtaken, target(1)), Judgement::Suspect);
        }
        assert_eq!(judge(LINES, &source(LINES, &old), &target(1)), Judgement::Equal);
        assert_eq!(History::of((5, 3), (8, 1)), History::All);
        assert_eq!(History::of((5, 3), (5, 1)), History::SureAlone);
        assert_eq!(History::of((5, 3), (9, 1)), History::Unknown);
        assert_eq!(History::of((5, 3), (8, 2)), History::Unknown);
    }
}
