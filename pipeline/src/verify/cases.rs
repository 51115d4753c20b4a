//! The suspect records of one stream, and when a suspicion becomes a difference.
//!
//! Under way between two looks at the target the source was read and everything that stood in it then was applied. A record whose rows stood
//! still in the target over that time, versions included, was not written to: what the source says of it now it said before, and if that is
//! something else, it differs. Rows that are not there have no version that would show a delete and an insert in between, so a lack has to be
//! met [`LACKS`] times in a row. Without a service nothing is in flight and one look is enough.

use super::bucket::{Counts, Suspicion};
use super::finding::{Values, findings};
use super::fingerprint::{Fingerprints, KeptKey, RecordId};
use super::follower::Settled;
use super::record_state::{History, Judgement, Rule, SourceState, TargetState, judge};
use super::report::{Finding, FindingKind, Tallies};
use super::second_look::{SourceLook, TargetLook};
use landfall_schemas::value::show;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Suspects that are looked at again; beyond that they are only counted.
pub(super) const MOST: usize = 100_000;
/// Rows that are told; of the others only how many records they belong to.
const MOST_FINDINGS: usize = 1_000;
/// Looks in a row after which what is not there is missing.
const LACKS: u32 = 3;

/// A suspect.
#[derive(Clone, Debug)]
struct Case {
    key: KeptKey,
    last: TargetState,
    survived: u32,
    /// Whether lines name it at all cannot be told.
    unnamed: bool,
}

/// What the second looks of one round showed, beside the records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round<'a> {
    pub(super) settled: &'a Settled,
    /// What capture has read of files that are perhaps not the source's.
    pub(super) history: History,
}

/// The suspects of a stream.
#[derive(Debug)]
pub(super) struct Cases {
    rule: Rule,
    open: BTreeMap<RecordId, Case>,
    pub(super) tallies: Tallies,
    pub(super) findings: Vec<Finding>,
    pub(super) findings_left_out: u64,
    /// Records beyond [`MOST`].
    pub(super) overflow: u64,
    /// Records of which lines tell nothing for certain.
    pub(super) unnamed: u64,
    /// Encoded keys of records that differ, for repairing them.
    pub(super) confirmed: Vec<(RecordId, KeptKey, Box<[u8]>)>,
}

impl Cases {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            open: BTreeMap::new(),
            tallies: Tallies::default(),
            findings: Vec::new(),
            findings_left_out: 0,
            overflow: 0,
            unnamed: 0,
            confirmed: Vec::new(),
        }
    }

    pub(super) fn suspect(&mut self, suspicion: Suspicion) {
        if self.open.len() >= MOST {
            self.overflow += 1;
            return;
        }
        let Suspicion { record, key, target } = suspicion;
        self.open.insert(record, Case { key, last: target, survived: 0, unnamed: false });
    }

    pub(super) fn counted(&mut self, counts: &Counts) {
        self.tallies.equal += counts.equal;
        self.tallies.parked += counts.parked;
        self.tallies.not_compared += counts.not_compared;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// The suspects that are left.
    pub(super) fn open(&self) -> impl Iterator<Item = (RecordId, KeptKey)> + '_ {
        self.open.iter().map(|(record, case)| (*record, case.key.clone()))
    }

    /// Judges one record by its second look.
    pub(super) fn look(
        &mut self,
        record: RecordId,
        (source, target): (&SourceLook, &TargetLook),
        round: Round<'_>,
        (prints, values): (&mut Fingerprints, Values),
    ) {
        let Some(case) = self.open.get_mut(&record) else { return };
        let judgement = judge(self.rule, round.history, &source.fold, &target.state);
        case.unnamed = matches!(judgement, Judgement::Unnamed | Judgement::Doubtful);
        match judgement {
            Judgement::Nothing => {}
            Judgement::Equal => {
                self.tallies.equal += 1;
                self.tallies.parked += source.fold.duplicates;
            }
            Judgement::Parked => self.tallies.parked += 1,
            Judgement::NotCompared => self.tallies.not_compared += 1,
            Judgement::Suspect | Judgement::Unnamed | Judgement::Doubtful => {
                let still = case.last == target.state;
                case.last = target.state;
                // What was not waited for proves nothing.
                case.survived = match round.settled {
                    Settled::Not(_) => return,
                    _ if !still => 0,
                    _ => case.survived + 1,
                };
                let needed = match round.settled {
                    Settled::Through if target.state.sum.rows == 0 => LACKS,
                    _ => 1,
                };
                if case.survived < needed {
                    return;
                }
                if case.unnamed {
                    self.unnamed += 1;
                    self.tallies.not_compared += 1;
                } else {
                    let key = case.key.clone();
                    self.confirm((record, key), (source, target, round.history), (prints, values));
                }
            }
        }
        self.open.remove(&record);
    }

    fn confirm(
        &mut self,
        (record, key): (RecordId, KeptKey),
        (source, target, history): (&SourceLook, &TargetLook, History),
        (prints, values): (&mut Fingerprints, Values),
    ) {
        let (state, _) = source.fold.state(self.rule, history);
        let said = matches!(state, SourceState::Rows(_));
        let odd = state == SourceState::Unmappable || source.fold.duplicates > 0;
        let kind = match (said, target.state.sum.rows > 0) {
            _ if odd => FindingKind::Unparked,
            (true, false) => FindingKind::Missing,
            (true, true) => FindingKind::Different,
            (false, _) => FindingKind::Extra,
        };
        match kind {
            FindingKind::Missing | FindingKind::Unparked => self.tallies.missing += 1,
            FindingKind::Extra => self.tallies.extra += 1,
            FindingKind::Different => self.tallies.different += 1,
        }
        self.confirmed.push((record, key.clone(), source.encoded.clone()));
        if self.findings.len() >= MOST_FINDINGS {
            self.findings_left_out += 1;
            return;
        }
        let rows_said = if said { source.rows(self.rule, history) } else { Some(Vec::new()) };
        let told = match (&rows_said, &target.rows) {
            (Some(said), Some(held)) if !odd => findings(prints, said, held, values),
            _ => vec![by_key(prints, kind, &key)],
        };
        self.findings.extend(told);
    }

    /// Takes up again what was found to differ, so that it is looked at as if it had just been suspected.
    pub(super) fn reopen(&mut self) -> Vec<(KeptKey, Box<[u8]>)> {
        let confirmed = std::mem::take(&mut self.confirmed);
        (self.tallies.missing, self.tallies.extra, self.tallies.different) = (0, 0, 0);
        self.findings.clear();
        self.findings_left_out = 0;
        for (record, key, _) in &confirmed {
            let case = Case { key: key.clone(), last: TargetState::default(), survived: 0, unnamed: false };
            self.open.insert(*record, case);
        }
        confirmed.into_iter().map(|(_, key, encoded)| (key, encoded)).collect()
    }

    /// Records that differ for certain.
    pub(super) fn confirmed(&self) -> impl Iterator<Item = (&KeptKey, &[u8])> {
        self.confirmed.iter().map(|(_, key, encoded)| (key, &**encoded))
    }

    /// The end of looking: what is left stays suspect.
    pub(super) fn end(&mut self) {
        self.tallies.suspect += self.open.values().filter(|case| !case.unnamed).count() as u64 + self.overflow;
        let unnamed = self.open.values().filter(|case| case.unnamed).count() as u64;
        self.unnamed += unnamed;
        self.tallies.not_compared += unnamed;
        self.open.clear();
    }
}

/// A record of which only the key is at hand.
fn by_key(prints: &Fingerprints, kind: FindingKind, key: &KeptKey) -> Finding {
    let view = &prints.tables()[0];
    let column = &view.columns[view.record_key];
    let shown = match key {
        KeptKey::Field(field) => show(column.ty, super::fingerprint::field_at(field, 0).0),
        KeptKey::Encoded(key) => Value::String(String::from_utf8_lossy(key).into_owned()),
    };
    let key = Map::from_iter([(column.name.clone(), shown)]);
    Finding { kind, table: view.name.clone(), key: Value::Object(key), columns: Vec::new() }
}
