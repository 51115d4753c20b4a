//! The streams of one source compared: both sides read side by side, buckets, then suspects until they have settled.
//!
//! A side that is lost half way costs its streams their verdict and nothing else: the other side is kept, other sources go on, and the next
//! run goes on from what is on disk.

use super::bucket::{Side, compare};
use super::cases::{Cases, Round};
use super::finding::Values;
use super::fingerprint::{Fingerprints, Places};
use super::follower::{Follower, Settled};
use super::grown::Grown;
use super::progress::Progress;
use super::record_state::{History, Rule};
use super::repair::Repair;
use super::report::{RepairReport, SideReport, StreamResult, Verdict};
use super::run_state::{RunState, SidePart};
use super::sample::Sample;
use super::second_look::{Looking, SecondLook, look_at_target};
use super::sides::Lost;
use super::source_side::places;
use crate::assemble::{self, Target};
use crate::config::SourceSpec;
use crate::queue::clock::Clock;
use crate::status::Trouble;
use crate::supervise::beside::beside;
use landfall_connectors::failure::Failure;
use landfall_connectors::reread::{Repeats, Reread};
use landfall_schemas::mapping::{KeyFrom, StreamMapping};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Looks at suspects however long they take.
const LEAST_ROUNDS: u32 = 5;

/// What a comparison needs.
pub(super) struct Comparison<'a> {
    pub(super) target: &'a Target,
    pub(super) spec: &'a SourceSpec,
    /// The source's streams, and what they have grown by.
    pub(super) grown: Vec<&'a Grown>,
    pub(super) follower: &'a Follower,
    pub(super) clock: &'a dyn Clock,
    pub(super) values: Values,
    pub(super) sample: Sample,
    pub(super) progress: &'a Progress,
    pub(super) repair: Repair,
    /// How long suspects are looked at again.
    pub(super) settling: Duration,
}

/// A source that is being read again, handed to threads and back.
pub(super) type Reading = Box<dyn Reread>;

/// A stream while its suspects settle.
pub(super) struct Open {
    pub(super) stream: Arc<StreamMapping>,
    rule: Rule,
    pub(super) cases: Cases,
    pub(super) reasons: Vec<Trouble>,
    /// A side was lost: what was read is kept for the next run.
    lost: bool,
    rounds: u32,
    pub(super) repair: Option<RepairReport>,
}

/// What became of all streams: results, and whether each is final.
pub(super) type Compared = Vec<(StreamResult, bool)>;

impl Comparison<'_> {
    /// Compares; results come in the order of the streams. An error is one of the disk or of the configuration.
    pub(super) async fn run(&self, state: &mut RunState, service: &mut Settled) -> Result<Compared, Failure> {
        let by_reference: Vec<&StreamMapping> = self.streams().map(AsRef::as_ref).collect();
        let reread = self.in_order(assemble::reread(self.spec, &by_reference)?).await;
        let repeats = reread.repeats();
        let places = places(repeats);
        let (reread, lost) = self.read_sides(reread, (repeats, places), state).await?;
        let mut open = Vec::new();
        for stream in self.streams() {
            open.push(self.open(stream, (repeats, &lost), state)?);
        }
        let mut reread = self.settle((reread, places), &mut open, service).await?;
        if self.repair(&mut open).await? {
            let before: Vec<u64> = open.iter().map(|open| open.repair.map_or(0, |repair| repair.asked)).collect();
            reread = self.settle((reread, places), &mut open, service).await?;
            for (open, asked) in open.iter_mut().zip(before) {
                open.repaired(asked);
            }
        }
        // A reading may hold connections, which are closed off the runtime's threads.
        let (closed, ()) = beside("second reading", move || close(reread), async {}).await;
        closed?;
        for (open, grown) in open.iter_mut().zip(&self.grown) {
            if let Some(trouble) = grown.moved(self.target).await {
                open.proves_nothing(trouble);
            }
        }
        Ok(open.into_iter().map(|open| self.result(open, state)).collect())
    }

    /// A reading that knows in which order capture has taken lines up.
    async fn in_order(&self, mut reread: Reading) -> Reading {
        if reread.repeats() == Repeats::LastStands
            && let Some(positions) = self.follower.positions(self.spec.name.as_str()).await
        {
            reread.know_order(&positions);
        }
        reread
    }

    /// The streams with the columns that were added to them.
    pub(super) fn streams(&self) -> impl Iterator<Item = &Arc<StreamMapping>> {
        self.grown.iter().map(|grown| &grown.mapping)
    }

    /// Who a stream's sides belong to.
    pub(super) fn identity(&self, stream: &StreamMapping) -> String {
        let kind = xxhash_rust::xxh3::xxh3_64(format!("{:?}", self.spec.kind).as_bytes());
        format!("{} {kind:016x} {:?}", assemble::mapping_hash(stream), self.sample)
    }

    /// Compares the buckets of one stream.
    fn open(
        &self,
        stream: &Arc<StreamMapping>,
        (repeats, lost): (Repeats, &Lost),
        state: &mut RunState,
    ) -> Result<Open, Failure> {
        let name = stream.name.as_str();
        let rule = Rule { repeats, by_place: stream.key.from == KeyFrom::Position };
        let concerns = |whose: &Option<String>| whose.as_ref().is_none_or(|whose| whose == name);
        let reasons: Vec<Trouble> =
            lost.iter().filter(|(whose, _)| concerns(whose)).map(|(_, failure)| Trouble::from(failure)).collect();
        let mut cases = Cases::new(rule);
        let part = state.stream(name, &self.identity(stream)).clone();
        if let (Some(source), Some(target)) = (&part.source, &part.target) {
            let history = History::of((source.events, source.perhaps), (target.events, target.generations));
            if reasons.is_empty() {
                let source = Side::open(&state.spill(name, "source"), &source.spilled)?;
                let target = Side::open(&state.spill(name, "target"), &target.spilled)?;
                let counts = compare(&source, &target, (rule, history), &mut |suspicion| cases.suspect(suspicion))?;
                cases.counted(&counts);
            }
        }
        Ok(Open {
            stream: Arc::clone(stream),
            rule,
            cases,
            lost: !reasons.is_empty(),
            reasons,
            rounds: 0,
            repair: None,
        })
    }

    /// Looks at suspects until they are settled, or time is over.
    async fn settle(
        &self,
        (mut reread, places): (Reading, Places),
        open: &mut [Open],
        service: &mut Settled,
    ) -> Result<Reading, Failure> {
        let (began, mut round) = (Instant::now(), 0);
        while open.iter().any(Open::is_looked_at) && (round < LEAST_ROUNDS || began.elapsed() < self.settling) {
            round += 1;
            for open in open.iter() {
                self.progress.of(open.stream.name.as_str()).looks_again_at(open.cases.open().count() as u64);
            }
            let looking = open.iter().map(|open| {
                let wanted = open.cases.open().filter(|_| open.is_looked_at()).map(|(record, _)| record);
                Looking::new(&open.stream, (places, open.rule), wanted)
            });
            let mut look = SecondLook(looking.collect());
            reread = self.in_order(reread).await;
            let read = move || {
                let read = reread.read(&mut look);
                Ok((reread, look, read))
            };
            let (read, ()) = beside("second reading", read, async {}).await;
            let (back, look, outcome) = read?;
            reread = back;
            fail::fail_point!("verify::mid_round");
            let unread = match outcome {
                Ok(unread) => unread,
                Err(failure) => vec![Some(failure); open.len()],
            };
            let names: Vec<&str> =
                open.iter().filter(|open| open.is_looked_at()).map(|open| open.stream.name.as_str()).collect();
            let settled = self.follower.settle(&names).await;
            service.clone_from(&settled);
            for ((open, looking), unread) in open.iter_mut().zip(&look.0).zip(unread) {
                if open.is_looked_at() {
                    self.round(open, (looking, unread), places, &settled).await;
                }
            }
            if let Settled::Not(trouble) = settled {
                open.iter_mut().filter(|open| !open.cases.is_settled()).for_each(|open| {
                    open.reasons.push(trouble.clone());
                });
            }
        }
        Ok(reread)
    }

    async fn round(
        &self,
        open: &mut Open,
        (looking, unread): (&Looking, Option<Failure>),
        places: Places,
        settled: &Settled,
    ) {
        open.rounds += 1;
        if let Some(failure) = unread {
            return open.lose(&failure);
        }
        let wanted: Vec<_> = open.cases.open().collect();
        let looked = look_at_target(self.target, &open.stream, places, wanted.iter().cloned()).await;
        let (looks, applied) = match looked {
            Ok(looked) => looked,
            Err(failure) => return open.lose(&failure),
        };
        let history = History::of(looking.seen, (applied.events, applied.generations));
        let round = Round { settled, history };
        let mut prints = Fingerprints::of(&open.stream, places);
        for (record, _) in wanted {
            if let (Some(source), Some(target)) = (looking.wanted.get(&record), looks.get(&record)) {
                open.cases.look(record, (source, target), round, (&mut prints, self.values));
            }
        }
    }

    fn result(&self, mut open: Open, state: &RunState) -> (StreamResult, bool) {
        open.cases.end();
        self.progress.of(open.stream.name.as_str()).ends();
        let Open { stream, cases, mut reasons, lost, rounds, repair: open_repair, .. } = open;
        let part = state.part(stream.name.as_str()).cloned().unwrap_or_default();
        // What was lost may be there again for the next run.
        let is_final = !lost;
        if cases.overflow > 0 {
            let detail = format!(
                "{} records more than are looked at again differ as well: mend the cause, or load the stream anew",
                cases.overflow
            );
            reasons.push(Trouble { code: "too_many_differences".to_owned(), detail });
        }
        if cases.unnamed > 0 {
            let detail = format!(
                "of {} records the present files tell nothing for certain: lines of files that are gone, or of rotated files that were perhaps never captured",
                cases.unnamed
            );
            reasons.push(Trouble { code: "lines_gone".to_owned(), detail });
        }
        let stands = match cases.tallies.verdict() {
            Verdict::Equal if !reasons.is_empty() => Verdict::Unknown,
            verdict => verdict,
        };
        let sample = self.sample.report(&cases.tallies);
        // What was not drawn was not compared.
        let stands = if sample.is_some() { stands.max(Verdict::Unknown) } else { stands };
        let both = part.source.as_ref().zip(part.target.as_ref());
        let result = StreamResult {
            stream: stream.name.to_string(),
            source: stream.source.to_string(),
            table: format!("{}.{}", stream.table.schema, stream.table.name),
            verdict: if both.is_none() { Verdict::Unknown } else { stands },
            accuracy: if both.is_none() { 0.0 } else { cases.tallies.accuracy() },
            tallies: cases.tallies,
            verified_through_ms: both.map(|(source, target)| source.started_ms.min(target.started_ms)),
            applied_events: part.target.as_ref().map(|target| target.events),
            mapping: assemble::mapping_hash(&stream),
            read_source: part.source.as_ref().map(side_report),
            read_target: part.target.as_ref().map(side_report),
            rounds,
            reasons,
            repair: open_repair,
            sample,
            findings: cases.findings,
            findings_left_out: cases.findings_left_out,
        };
        (result, is_final)
    }
}

impl Open {
    /// Nothing that was found counts.
    fn proves_nothing(&mut self, why: Trouble) {
        self.lost = true;
        self.cases = Cases::new(self.rule);
        self.reasons.push(why);
    }

    fn lose(&mut self, failure: &Failure) {
        self.lost = true;
        self.reasons.push(Trouble::from(failure));
    }

    /// Its suspects are worth another look.
    fn is_looked_at(&self) -> bool {
        self.reasons.is_empty() && !self.cases.is_settled()
    }
}

fn close(mut reread: Reading) -> Result<(), Failure> {
    reread.farewell();
    Ok(())
}

fn side_report(part: &SidePart) -> SideReport {
    SideReport {
        started_ms: part.started_ms,
        ended_ms: part.ended_ms,
        rows: part.spilled.rows(),
        digest: part.spilled.digest(),
    }
}
