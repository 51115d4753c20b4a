//! Suspect records looked at again on both sides: the source read through once more for their keys alone, the target asked by them.

use super::finding::Rows;
use super::fingerprint::{KeptKey, Places, RecordId, Sum};
use super::record_state::{Added, History, PERHAPS, Rule, SourceFold, TargetState};
use super::source_side::{Lens, marked};
use super::spill::Kind;
use crate::assemble::{Applied, Standing, Target};
use landfall_connectors::failure::Failure;
use landfall_connectors::reread::{Part, Seen, Taker};
use landfall_schemas::mapping::StreamMapping;
use std::collections::HashMap;

/// Bytes of rows kept of one look, for telling what differs. Beyond that records are told by their keys.
const KEPT: usize = 8 << 20;

/// What the source says of a record now.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceLook {
    pub(super) fold: SourceFold,
    /// The rows that each part of a chain says; `None`: not kept.
    rows: Vec<(u16, Option<Rows>)>,
    /// Its encoded key, for those who ask capture about it.
    pub(super) encoded: Box<[u8]>,
}

impl SourceLook {
    /// The rows that stand; `None`: not kept.
    pub(super) fn rows(&self, rule: Rule, history: History) -> Option<Rows> {
        let mut standing = self.fold.standing(rule, history);
        // Several chains say the same; several files with one place add up.
        standing.truncate(if rule.by_place { usize::MAX } else { 1 });
        let mut all = Rows::new();
        for marked in standing {
            let (_, rows) = self.rows.iter().find(|(known, _)| *known == marked)?;
            all.extend(rows.clone()?);
        }
        Some(all)
    }
}

/// What the target holds of a record now.
#[derive(Clone, Debug, Default)]
pub(super) struct TargetLook {
    pub(super) state: TargetState,
    pub(super) rows: Option<Rows>,
}

/// Keeps rows while there is room.
#[derive(Debug, Default)]
struct Room(usize);

impl Room {
    fn keeps(&mut self, rows: &Rows) -> bool {
        self.0 += rows.iter().map(|(_, row)| row.len()).sum::<usize>();
        self.0 <= KEPT
    }
}

/// A look at one stream's source for some records.
#[derive(Debug)]
pub(super) struct Looking {
    lens: Lens,
    rule: Rule,
    room: Room,
    pub(super) wanted: HashMap<RecordId, SourceLook>,
    /// Keys met, wanted or not, that capture has read surely, and perhaps.
    pub(super) seen: (u64, u64),
}

impl Looking {
    pub(super) fn new(
        stream: &StreamMapping,
        (places, rule): (Places, Rule),
        wanted: impl Iterator<Item = RecordId>,
    ) -> Self {
        let wanted = wanted.map(|record| (record, SourceLook::default())).collect();
        Self { lens: Lens::new(stream, places), rule, room: Room::default(), wanted, seen: (0, 0) }
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        match seen.part {
            Part::Sure => self.seen.0 += 1,
            Part::Perhaps => self.seen.1 += 1,
        }
        if self.wanted.is_empty() {
            return Ok(());
        }
        // The key alone first: most records are not asked for, and need no mapping.
        let (record, _) = self.lens.record(seen.key);
        let Some(look) = self.wanted.get_mut(&record) else { return Ok(()) };
        let viewed = self.lens.view(seen.key, seen.said)?;
        let marked = if self.rule.by_place { marked(seen) & PERHAPS } else { marked(seen) };
        let order = self.seen.0 + self.seen.1;
        let added = look.fold.add(self.rule, marked, (order, viewed.kind, viewed.sum));
        if added == Added::Ignored {
            return Ok(());
        }
        look.encoded = seen.key.into();
        let mut rows = self.lens.rows();
        let before = look.rows.iter().position(|(known, _)| *known == marked).map(|at| look.rows.swap_remove(at).1);
        if let (Added::Joins, Some(before)) = (added, before.flatten()) {
            rows.splice(0..0, before);
        }
        look.rows.push((marked, self.room.keeps(&rows).then_some(rows)));
        Ok(())
    }
}

/// Takes a reading for all streams of a source.
#[derive(Debug)]
pub(super) struct SecondLook(pub(super) Vec<Looking>);

impl Taker for SecondLook {
    fn restart(&mut self) -> Result<(), Failure> {
        for looking in &mut self.0 {
            looking.seen = (0, 0);
            looking.room = Room::default();
            looking.wanted.values_mut().for_each(|look| *look = SourceLook::default());
        }
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        self.0[seen.stream].take(seen)
    }
}

/// Asks the target for some records of a stream.
pub(super) async fn look_at_target(
    target: &Target,
    stream: &StreamMapping,
    places: Places,
    wanted: impl Iterator<Item = (RecordId, KeptKey)>,
) -> Result<(HashMap<RecordId, TargetLook>, Applied), Failure> {
    let (mut looks, mut keys): (HashMap<RecordId, TargetLook>, Vec<Box<[u8]>>) = Default::default();
    for (record, key) in wanted {
        looks.insert(record, TargetLook { rows: Some(Rows::new()), ..TargetLook::default() });
        if let KeptKey::Field(field) = key {
            keys.push(field);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    let asked: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
    let (mut lens, mut room) = (Lens::new(stream, places), Room::default());
    let mut take = |standing: Standing<'_>| {
        let (record, entry, row) = match standing {
            Standing::Row { table, fields } => {
                let print = lens.prints().row(table, fields);
                let sum = Sum { hash: print.hash, rows: 1 };
                (print.record, (Kind::Rows, sum, print.version), Some((table, fields)))
            }
            Standing::Letter { key, blocks } => {
                let kind = if blocks { Kind::Letter } else { Kind::LetterBeside };
                (lens.record(key).0, (kind, Sum::default(), 0), None)
            }
        };
        if let Some(look) = looks.get_mut(&record) {
            look.state.add(entry.0, entry.1, entry.2);
            if let (Some((table, fields)), Some(rows)) = (row, &mut look.rows) {
                rows.push((table, fields.to_vec()));
                if !room.keeps(&vec![(table, fields.to_vec())]) {
                    look.rows = None;
                }
            }
        }
        Ok(())
    };
    // What a file is called is part of a place, and only capture knows it: rows of places are found by reading all of them.
    let by_place = asked.iter().any(|key| key.get(4..).is_some_and(|key| key.starts_with(b"p:*:")));
    let applied = if by_place && places == Places::WithoutGeneration {
        target.standing(stream, &mut take).await?
    } else {
        target.standing_of(stream, &asked, &mut take).await?
    };
    Ok((looks, applied))
}
