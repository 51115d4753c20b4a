//! What happened lately: what changed from one report to the next, the newest of it.

use crate::status::{QueueFull, StatusReport, StreamCondition, StreamReport};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Entries kept: hours of a service that is looked after, minutes of one that is not.
const MOST: usize = 200;

/// How grave an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

/// Something that changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Entry {
    /// When it was seen, RFC 3339.
    pub(super) at: String,
    pub(super) level: Level,
    /// Name of the state that was come to.
    pub(super) code: String,
    pub(super) stream: Option<String>,
    pub(super) detail: String,
}

/// The newest entries, and what they were told apart from.
#[derive(Debug, Default)]
pub(super) struct Timeline(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    entries: VecDeque<Entry>,
    running: bool,
    unreachable: bool,
    full: BTreeMap<String, QueueFull>,
    streams: BTreeMap<String, KnownStream>,
}

/// What was told of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct KnownStream {
    state: (String, String),
    paused: bool,
    rate: Option<u64>,
    parked: u64,
    /// It has not been seen with everything applied since it last was in another state.
    behind: bool,
}

impl Timeline {
    /// What happened, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.iter().cloned().collect()
    }

    /// Compares a report with the one before.
    pub(super) fn note(&self, report: &StatusReport, now_ms: u64) {
        if !report.running {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = jiff::Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or_default()).unwrap_or_default();
        let mut told = Told { at: at.to_string(), entries: Vec::new() };
        known.whole(report, &mut told);
        for stream in &report.streams {
            let before = known.streams.entry(stream.name.clone()).or_default();
            before.compare(stream, &mut told);
        }
        told.entries.into_iter().for_each(|entry| known.push(entry));
    }
}

/// Entries of one comparison.
struct Told {
    at: String,
    entries: Vec<Entry>,
}

impl Told {
    fn say(&mut self, level: Level, code: &str, stream: Option<&str>, detail: impl Into<String>) {
        let (code, stream) = (code.to_owned(), stream.map(str::to_owned));
        self.entries.push(Entry { at: self.at.clone(), level, code, stream, detail: detail.into() });
    }
}

impl Known {
    fn push(&mut self, entry: Entry) {
        // What goes on rising is one thing that happened.
        let same = |last: &&mut Entry| last.code == "parked" && last.code == entry.code && last.stream == entry.stream;
        if let Some(last) = self.entries.back_mut().filter(same) {
            *last = entry;
            return;
        }
        if self.entries.len() == MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// What is of no single stream.
    fn whole(&mut self, report: &StatusReport, told: &mut Told) {
        if !self.running {
            self.running = true;
            told.say(Level::Info, "started", None, "the service started");
        }
        let waits = report.target.waiting_for.as_ref();
        if waits.is_some() != self.unreachable {
            self.unreachable = waits.is_some();
            match waits {
                Some(trouble) => {
                    told.say(Level::Error, "target_unreachable", None, format!("{}: {}", trouble.code, trouble.detail))
                }
                None => told.say(Level::Info, "target_reachable", None, "the target answers"),
            }
        }
        for source in &report.sources {
            let before = match source.queue.full {
                Some(full) => self.full.insert(source.name.clone(), full),
                None => self.full.remove(&source.name),
            };
            match (before, source.queue.full) {
                (before, now) if before == now => {}
                (_, Some(full)) => {
                    let code = if full == QueueFull::Cap { "queue_full" } else { "disk_reserve" };
                    told.say(
                        Level::Error,
                        code,
                        None,
                        format!("the queue of source {} takes nothing more", source.name),
                    );
                }
                (_, None) => told.say(
                    Level::Info,
                    "queue_has_room",
                    None,
                    format!("the queue of source {} takes changes again", source.name),
                ),
            }
        }
    }
}

impl KnownStream {
    fn compare(&mut self, stream: &StreamReport, told: &mut Told) {
        let name = Some(stream.name.as_str());
        let (level, code, detail) = state(&stream.condition);
        let state = (stream.condition.word().to_owned(), code.to_owned());
        if self.state != state {
            self.state = state;
            told.say(level, code, name, detail);
        }
        let following = stream.condition == StreamCondition::Following;
        self.behind |= !following;
        if self.behind && following && stream.queued == 0 && stream.captured > 0 {
            self.behind = false;
            told.say(
                Level::Info,
                "caught_up",
                name,
                format!("everything captured is settled: {} events", stream.captured),
            );
        }
        let control = stream.control.as_ref();
        let by = control.map_or(String::new(), |control| format!(" by {}", control.actor));
        if self.paused != stream.is_paused() {
            self.paused = stream.is_paused();
            let code = if self.paused { "paused" } else { "resumed" };
            told.say(if self.paused { Level::Warn } else { Level::Info }, code, name, format!("{code}{by}"));
        }
        let rate = control.and_then(|control| control.rows_per_second).map(std::num::NonZeroU64::get);
        if self.rate != rate {
            self.rate = rate;
            match rate {
                Some(rate) => told.say(Level::Warn, "throttled", name, format!("at most {rate} rows a second{by}")),
                None => told.say(Level::Info, "not_throttled", name, "no longer throttled"),
            }
        }
        let parked = stream.parked.as_ref().map_or(0, |parked| parked.by_code.values().sum());
        if parked > self.parked {
            told.say(Level::Warn, "parked", name, format!("{parked} dead letters wait"));
        }
        self.parked = parked;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{ParkedReport, Trouble};

    fn report(change: impl FnOnce(&mut StreamReport)) -> StatusReport {
        let mut stream = StreamReport::new("users", "store", "public.users").in_condition(StreamCondition::Following);
        change(&mut stream);
        StatusReport { running: true, streams: vec![stream], ..StatusReport::default() }
    }

    fn codes(timeline: &Timeline) -> Vec<String> {
        timeline.entries().into_iter().map(|entry| entry.code).collect()
    }

    #[test]
    fn each_change_is_told_once() {
        let timeline = Timeline::default();
        let trouble = Trouble { code: "mapping_changed".into(), detail: "so it is".into() };
        let starting = report(|stream| *stream = stream.clone().in_condition(StreamCondition::Starting));
        let halted = report(|stream| *stream = stream.clone().in_condition(StreamCondition::Halted(trouble)));
        let busy = report(|stream| (stream.captured, stream.queued) = (5, 5));
        let done = report(|stream| stream.captured = 5);
        for one in [&starting, &starting, &busy, &done, &busy, &done, &halted, &halted, &done] {
            timeline.note(one, 1_700_000_000_000);
        }
        let wanted = ["started", "starting", "following", "caught_up", "mapping_changed", "following", "caught_up"];
        assert_eq!(codes(&timeline), wanted);
        let entry = &timeline.entries()[4];
        assert_eq!((entry.level, entry.stream.as_deref()), (Level::Error, Some("users")));
        assert_eq!(entry.at, "2023-11-14T22:13:20Z");
    }

    #[test]
    fn letters_that_go_on_rising_are_one_entry_and_the_ring_is_bounded() {
        let timeline = Timeline::default();
        let with = |letters: u64| {
            report(|stream| {
                stream.parked =
                    Some(ParkedReport { by_code: [("column_type".to_owned(), letters)].into(), oldest_seconds: 1 });
            })
        };
        for letters in [1, 2, 3, 3, 2] {
            timeline.note(&with(letters), 0);
        }
        let entries = timeline.entries();
        assert_eq!(codes(&timeline), ["started", "following", "parked"]);
        assert!(entries[2].detail.starts_with("3 "));
        for round in 0..1_000 {
            let paused = round % 2 == 0;
            let control = crate::status::ControlReport {
                paused,
                rows_per_second: None,
                actor: "ada".into(),
                reason: String::new(),
            };
            timeline.note(&report(|stream| stream.control = Some(control)), round);
        }
        assert_eq!(timeline.entries().len(), MOST);
    }
}
