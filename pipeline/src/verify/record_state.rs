//! What each side says of one record, and what that makes of it.
//!
//! The rules stand here once, for buckets of a whole comparison and for records that are looked at again. Equal needs both sides to say the
//! same rows. A record that the source cannot say, or whose latest state its lines do not order, is not compared; one behind a dead letter
//! is parked. All else is suspect: whether it is missing, extra or different is said only when it has survived a second look.

use super::fingerprint::Sum;
use super::spill::Kind;
use landfall_connectors::reread::Repeats;

/// How entries of one record add up on the source's side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    pub(super) repeats: Repeats,
    /// A record is a place in any of several files: entries are added, not compared with each other.
    pub(super) by_place: bool,
}

/// Entries of one record on the source's side, taken in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SourceFold {
    /// The standing entry of each chain.
    chains: Vec<(u16, Kind, Sum)>,
    /// Later entries of the key that do not count.
    pub(super) duplicates: u64,
    /// Entries that nothing can be made of, where entries are added.
    unmappable: u64,
}

/// What became of adding an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// It stands, and takes the place of what stood.
    Stands,
    /// It stands beside what stood.
    Joins,
    /// It does not count.
    Ignored,
}

impl SourceFold {
    pub(super) fn add(&mut self, rule: Rule, chain: u16, (kind, sum): (Kind, Sum)) -> Added {
        if rule.by_place {
            self.unmappable += u64::from(kind == Kind::Unmappable);
            return match self.chains.first_mut() {
                Some((_, _, whole)) => {
                    whole.add(sum);
                    Added::Joins
                }
                None => {
                    self.chains.push((0, Kind::Rows, sum));
                    Added::Joins
                }
            };
        }
        let known = self.chains.iter_mut().find(|(known, ..)| *known == chain);
        match (known, rule.repeats) {
            (None, _) => {
                self.chains.push((chain, kind, sum));
                Added::Stands
            }
            (Some(standing), Repeats::LastStands) => {
                *standing = (chain, kind, sum);
                Added::Stands
            }
            (Some(_), Repeats::FirstStands) => {
                self.duplicates += 1;
                Added::Ignored
            }
        }
    }

    pub(super) fn state(&self) -> SourceState {
        let Some((_, kind, sum)) = self.chains.first() else { return SourceState::Absent };
        if self.chains.iter().any(|(_, other, at)| (other, at) != (kind, sum)) {
            return SourceState::Unordered;
        }
        match kind {
            Kind::Rows if sum.rows == 0 && self.unmappable > 0 => SourceState::Unmappable,
            Kind::Rows if sum.rows > 0 => SourceState::Rows(*sum),
            Kind::Unmappable => SourceState::Unmappable,
            Kind::Unreadable => SourceState::Unreadable,
            Kind::Rows | Kind::Gone | Kind::Letter | Kind::LetterBeside => SourceState::Gone,
        }
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
    /// The target has rows of a key that no line names: whether that is one too many depends on whether all lines are still there.
    Unnamed,
    /// They differ now.
    Suspect,
}

/// Judges one record.
pub(super) fn judge(rule: Rule, source: &SourceFold, target: &TargetState) -> Judgement {
    let state = source.state();
    let rows = if let SourceState::Rows(sum) = state { sum } else { Sum::default() };
    match state {
        SourceState::Unreadable | SourceState::Unordered => return Judgement::NotCompared,
        _ if source.duplicates > 0 && !target.letter_beside && !target.letter => return Judgement::Suspect,
        SourceState::Unmappable if target.letter => return Judgement::Parked,
        SourceState::Unmappable => return Judgement::Suspect,
        SourceState::Absent | SourceState::Gone | SourceState::Rows(_) => {}
    }
    match (rows == target.sum, target.letter) {
        (true, true) if rows.rows == 0 => Judgement::Parked,
        (true, _) if rows.rows > 0 => Judgement::Equal,
        (true, _) => Judgement::Nothing,
        (false, true) => Judgement::Parked,
        (false, false) if unnamed(rule, (state, rows), target) => Judgement::Unnamed,
        (false, false) => Judgement::Suspect,
    }
}

/// Lines say what is gone; of what they do not name, files that are gone may have spoken.
fn unnamed(rule: Rule, (state, rows): (SourceState, Sum), target: &TargetState) -> bool {
    let more = rule.by_place && target.sum.rows > rows.rows;
    rule.repeats == Repeats::LastStands && (state == SourceState::Absent || more)
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
        for (chain, entry) in entries {
            let _ = fold.add(rule, *chain, *entry);
        }
        fold
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
}
