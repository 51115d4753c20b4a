//! What is known from the reports before, and how a new one differs.

use super::entry::{Entry, Level, Occasion, Told};
use crate::status::{
    ComparedReport, MeasureReport, QueueFull, SourceReport, StatusReport, StreamCondition, StreamPhase, StreamReport,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Headroom that was low is enough again at this many times what was asked for: one that wavers is told once.
const ENOUGH: f64 = 1.1;

/// What the reports so far have shown.
#[derive(Debug, Default)]
pub(super) struct Known {
    running: bool,
    unreachable: bool,
    /// All streams have been seen with everything applied since one of them last had not.
    caught_up: bool,
    full: BTreeMap<String, QueueFull>,
    /// Headroom that somebody asked for, in milliseconds.
    watched: BTreeSet<u64>,
    /// Of which source, and below which headroom.
    low: BTreeSet<(String, u64)>,
    /// Limits of the target's health that hold, and those that cannot be read.
    holding: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    streams: BTreeMap<String, KnownStream>,
}

/// What was told of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct KnownStream {
    state: (String, String),
    /// Code of the halt or hold that was told and is not over.
    trouble: Option<String>,
    paused: bool,
    rate: Option<u64>,
    ignores_health: bool,
    parked: u64,
    /// It has not been seen with everything applied since it last was in another state.
    behind: bool,
    /// The last phase it was in while it ran; at first that of a stream that goes on where it was.
    phase: Option<StreamPhase>,
    /// When the comparison ended that was seen last; the outer `None`: nothing was looked for yet.
    compared: Option<Option<u64>>,
}

/// Entries of one comparison.
struct Fresh {
    at: String,
    entries: Vec<Entry>,
}

impl Fresh {
    fn say(&mut self, level: Level, code: &str, stream: Option<&str>, detail: impl Into<String>) {
        let (code, stream, at) = (code.to_owned(), stream.map(str::to_owned), self.at.clone());
        self.entries.push(Entry { at, level, code, stream, detail: detail.into(), told: None });
    }

    /// The entry said last is told to hooks as well.
    fn tell(&mut self, told: Told) {
        if let Some(last) = self.entries.last_mut() {
            last.told = Some(told);
        }
    }
}

impl Known {
    pub(super) fn watching(headroom: impl IntoIterator<Item = Duration>) -> Self {
        let watched = headroom.into_iter().map(|one| u64::try_from(one.as_millis()).unwrap_or(u64::MAX)).collect();
        Self { watched, ..Self::default() }
    }

    /// What a report shows that the ones before did not.
    pub(super) fn compare(&mut self, report: &StatusReport, at: String) -> Vec<Entry> {
        let mut fresh = Fresh { at, entries: Vec::new() };
        if !self.running {
            self.running = true;
            fresh.say(Level::Info, "started", None, "the service started");
        }
        self.target(report, &mut fresh);
        report.target.health.iter().flat_map(|health| &health.measures).for_each(|one| self.health(one, &mut fresh));
        for source in &report.sources {
            self.queue(source, &mut fresh);
            self.headroom(source, &mut fresh);
        }
        for stream in &report.streams {
            let unseen = || KnownStream { behind: true, ..KnownStream::default() };
            let before = self.streams.entry(stream.name.clone()).or_insert_with(unseen);
            before.compare(stream, &mut fresh);
        }
        self.all(report, &mut fresh);
        fresh.entries
    }

    fn target(&mut self, report: &StatusReport, fresh: &mut Fresh) {
        let waits = report.target.waiting_for.as_ref();
        if waits.is_some() == self.unreachable {
            return;
        }
        self.unreachable = waits.is_some();
        match waits {
            Some(trouble) => {
                fresh.say(Level::Error, "target_unreachable", None, format!("{}: {}", trouble.code, trouble.detail));
            }
            None => fresh.say(Level::Info, "target_reachable", None, "the target answers"),
        }
    }

    fn health(&mut self, seen: &MeasureReport, fresh: &mut Fresh) {
        let (measure, words) = (&seen.measure, seen.sentence());
        if seen.trouble.is_some() && self.unreadable.insert(measure.clone()) {
            fresh.say(Level::Warn, "health_unreadable", None, words.clone());
        } else if seen.trouble.is_none() && self.unreadable.remove(measure) {
            fresh.say(Level::Info, "health_readable", None, format!("{measure} can be read again"));
        }
        if seen.holds && self.holding.insert(measure.clone()) {
            fresh.say(Level::Warn, "throttled_by_health", None, format!("{measure}: {words}"));
            fresh.tell(Told::of(Occasion::Throttled, measure));
        } else if !seen.holds && self.holding.remove(measure) {
            fresh.say(Level::Info, "health_released", None, format!("{measure}: {words}"));
            fresh.tell(Told::of(Occasion::Recovered, measure));
        }
    }

    fn queue(&mut self, source: &SourceReport, fresh: &mut Fresh) {
        let (name, now) = (&source.name, source.queue.full);
        let before = match now {
            Some(full) => self.full.insert(name.clone(), full),
            None => self.full.remove(name),
        };
        match now {
            now if before == now => {}
            Some(full) => {
                let code = if full == QueueFull::Cap { "queue_full" } else { "disk_reserve" };
                fresh.say(Level::Error, code, None, format!("the queue of source {name} takes nothing more"));
            }
            None => {
                let detail = format!("the queue of source {name} takes changes again");
                fresh.say(Level::Info, "queue_has_room", None, detail);
            }
        }
    }

    fn headroom(&mut self, source: &SourceReport, fresh: &mut Fresh) {
        let Some(log) = &source.log else { return };
        let (reach, loss) = (log.headroom_seconds, log.seconds_to_loss);
        // One that cannot be looked at tells nothing, and ends nothing.
        let Some(left) = reach.into_iter().chain(loss).reduce(f64::min) else { return };
        for below_ms in self.watched.clone() {
            let below = below_ms as f64 / 1_000.0;
            let key = (source.name.clone(), below_ms);
            let (code, name) = ("headroom_low", Some(source.name.clone()));
            let told = |occasion| Told { source: name.clone(), below_ms: Some(below_ms), ..Told::of(occasion, code) };
            if left < below && self.low.insert(key.clone()) {
                let seconds = |found: Option<f64>| {
                    found.map_or_else(|| "not in sight".to_owned(), |found| format!("{found:.0} s"))
                };
                let detail = format!(
                    "source {}: its log reaches back {} behind what is captured, loss in {}",
                    source.name,
                    seconds(reach),
                    seconds(loss)
                );
                fresh.say(Level::Error, code, None, detail);
                fresh.tell(told(Occasion::HeadroomLow));
            } else if left >= below * ENOUGH && self.low.remove(&key) {
                let detail = format!("source {}: its log has headroom again, {left:.0} s", source.name);
                fresh.say(Level::Info, "headroom_enough", None, detail);
                fresh.tell(told(Occasion::Recovered));
            }
        }
    }

    /// All streams together. What was behind is said of each stream; this is for whoever waits for the last of them.
    fn all(&mut self, report: &StatusReport, fresh: &mut Fresh) {
        let is_there = |stream: &StreamReport| {
            let behind = self.streams.get(&stream.name).is_none_or(|known| known.behind);
            follows(stream) && (!behind || stream.captured == 0)
        };
        let ready = !report.streams.is_empty() && report.streams.iter().all(is_there);
        if ready && !self.caught_up {
            self.caught_up = true;
            let detail = format!("everything captured is settled in all {} streams", report.streams.len());
            fresh.say(Level::Info, "all_caught_up", None, detail);
            fresh.tell(Told::of(Occasion::CaughtUp, "caught_up"));
        }
        // New changes on their way are no reason to say it again.
        self.caught_up &= report.streams.iter().all(follows);
    }
}

/// It follows its source and nothing holds it.
fn follows(stream: &StreamReport) -> bool {
    stream.condition == StreamCondition::Following && !stream.is_paused()
}

impl KnownStream {
    fn compare(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        self.condition(stream, fresh);
        self.progress(stream, fresh);
        self.control(stream, fresh);
        self.heeding(stream, fresh);
        self.letters(stream, fresh);
        self.comparison(stream, fresh);
    }

    fn condition(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        let (level, code, detail) = state(&stream.condition);
        let state = (stream.condition.word().to_owned(), code.to_owned());
        if self.state == state {
            return;
        }
        self.state = state;
        fresh.say(level, code, Some(&stream.name), detail);
        let occasion = match &stream.condition {
            StreamCondition::Halted(_) => Occasion::Halted,
            StreamCondition::Held { .. } => Occasion::Held,
            StreamCondition::Following | StreamCondition::Copying { .. } => {
                if let Some(over) = self.trouble.take() {
                    fresh.tell(Told::of(Occasion::Recovered, &over));
                }
                return;
            }
            // On the way out of trouble, or into it.
            StreamCondition::Stopped | StreamCondition::Starting | StreamCondition::Waiting(_) => return,
        };
        // A worker that tries again and halts as before has not been well in between.
        if self.trouble.as_deref() != Some(code) {
            self.trouble = Some(code.to_owned());
            fresh.tell(Told::of(occasion, code));
        }
    }

    fn progress(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        let name = Some(stream.name.as_str());
        let follows = follows(stream);
        self.behind |= !follows;
        if self.behind && follows && stream.queued == 0 && stream.captured > 0 {
            self.behind = false;
            let detail = format!("everything captured is settled: {} events", stream.captured);
            fresh.say(Level::Info, "caught_up", name, detail);
        }
        // `prepared` is where a stream stands while it starts and while it is halted: no step of its life.
        if stream.phase == StreamPhase::Prepared {
            return;
        }
        let before = self.phase.replace(stream.phase).unwrap_or(StreamPhase::Live);
        if before != stream.phase {
            let word = stream.phase.word();
            fresh.say(Level::Info, &format!("phase_{word}"), name, format!("{} → {word}", before.word()));
            fresh.tell(Told::of(Occasion::Phase, word));
        }
    }

    fn control(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        let (name, control) = (Some(stream.name.as_str()), stream.control.as_ref());
        let by = control.map_or(String::new(), |control| format!(" by {}", control.actor));
        if self.paused != stream.is_paused() {
            self.paused = stream.is_paused();
            let (level, code) = if self.paused { (Level::Warn, "paused") } else { (Level::Info, "resumed") };
            fresh.say(level, code, name, format!("{code}{by}"));
        }
        let rate = control.and_then(|control| control.rows_per_second).map(std::num::NonZeroU64::get);
        if self.rate != rate {
            self.rate = rate;
            match rate {
                Some(rate) => fresh.say(Level::Warn, "throttled", name, format!("at most {rate} rows a second{by}")),
                None => fresh.say(Level::Info, "not_throttled", name, "no longer throttled"),
            }
        }
    }

    fn heeding(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        let control = stream.control.as_ref();
        let ignores = control.is_some_and(|control| control.ignores_health);
        if self.ignores_health == ignores {
            return;
        }
        self.ignores_health = ignores;
        let by = control.map_or(String::new(), |control| format!(" by {}", control.actor));
        let (level, code, detail) = match ignores {
            true => (Level::Warn, "health_ignored", "the target's health is ignored"),
            false => (Level::Info, "health_heeded", "the target's health is heeded again"),
        };
        fresh.say(level, code, Some(&stream.name), format!("{detail}{by}"));
    }

    fn letters(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        let name = Some(stream.name.as_str());
        let parked = stream.parked.as_ref().map_or(0, |parked| parked.by_code.values().sum());
        if parked > self.parked {
            fresh.say(Level::Warn, "parked", name, format!("{parked} dead letters wait"));
            fresh.tell(Told::of(Occasion::Parked, "parked"));
        } else if parked == 0 && self.parked > 0 {
            fresh.say(Level::Info, "none_parked", name, "no dead letter waits");
            fresh.tell(Told::of(Occasion::Recovered, "parked"));
        }
        self.parked = parked;
    }

    fn comparison(&mut self, stream: &StreamReport, fresh: &mut Fresh) {
        let now = stream.compared.as_ref().map(|compared| compared.at_ms);
        // One that was there before the service was is no news.
        let before = self.compared.replace(now);
        let (Some(before), Some(compared)) = (before, &stream.compared) else { return };
        if before == now {
            return;
        }
        let ComparedReport { verdict, differences, .. } = compared;
        let level = if verdict == "equal" { Level::Info } else { Level::Warn };
        let detail = format!("a comparison ended: {verdict}, {differences} differences");
        fresh.say(level, &format!("verified_{verdict}"), Some(&stream.name), detail);
        fresh.tell(Told::of(Occasion::Verified, verdict));
    }
}

/// How a state is told.
fn state(condition: &StreamCondition) -> (Level, &str, String) {
    match condition {
        StreamCondition::Stopped => (Level::Info, "stopped", "nothing runs".to_owned()),
        StreamCondition::Starting => (Level::Info, "starting", "waits to be admitted by the target".to_owned()),
        StreamCondition::Copying { .. } => (Level::Info, "copying", "what stands in the source is copied".to_owned()),
        StreamCondition::Following => (Level::Info, "following", "changes are followed".to_owned()),
        StreamCondition::Waiting(trouble) => (Level::Warn, &trouble.code, trouble.detail.clone()),
        StreamCondition::Held { revision, deletes, of, .. } => {
            (Level::Error, "held", format!("revision {revision} would delete {deletes} of {of} records"))
        }
        StreamCondition::Halted(trouble) => (Level::Error, &trouble.code, trouble.detail.clone()),
    }
}
