//! Bursts become one: the same event of a stream is told at most once a minute.
//!
//! An event with another code is another one and goes through. Of what comes within the minute the newest is told when the minute is over, so that a
//! stream that halts, recovers and halts again is not believed to be well. Time is that of the caller.

use super::event::Event;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two events of the same kind, stream and code.
const REST: Duration = Duration::from_secs(60);

/// What was told lately, by event and by stream or source.
#[derive(Debug, Default)]
pub(super) struct Collapse(BTreeMap<(&'static str, String), Lately>);

#[derive(Debug)]
struct Lately {
    code: String,
    until: Instant,
    held_back: Option<Event>,
}

impl Collapse {
    /// The event, if it is to be told now.
    pub(super) fn admit(&mut self, event: Event, now: Instant) -> Option<Event> {
        let key = (event.event, subject(&event));
        if let Some(lately) = self.0.get_mut(&key).filter(|lately| lately.code == event.code && now < lately.until) {
            lately.held_back = Some(event);
            return None;
        }
        self.0.insert(key, Lately { code: event.code.clone(), until: now + REST, held_back: None });
        Some(event)
    }

    /// What was held back long enough, oldest first.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Event> {
        let mut due = Vec::new();
        // What is over and held nothing back is forgotten.
        self.0.retain(|_, lately| lately.held_back.is_some() || now < lately.until);
        for lately in self.0.values_mut().filter(|lately| lately.until <= now) {
            due.extend(lately.held_back.take().map(|event| (lately.until, event)));
            lately.until = now + REST;
        }
        due.sort_by_key(|(until, _)| *until);
        due.into_iter().map(|(_, event)| event).collect()
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter(|lately| lately.held_back.is_some()).map(|lately| lately.until).min()
    }

    /// All that was held back: nothing more comes.
    pub(super) fn flush(&mut self) -> Vec<Event> {
        let held: Vec<_> = std::mem::take(&mut self.0).into_values().collect();
        let mut held: Vec<_> = held.into_iter().filter_map(|one| Some((one.until, one.held_back?))).collect();
        held.sort_by_key(|(until, _)| *until);
        held.into_iter().map(|(_, event)| event).collect()
    }
}

fn subject(event: &Event) -> String {
    // Neither name can hold the sign between them.
    format!("{}/{}", event.stream.as_deref().unwrap_or_default(), event.source.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    #[test]
    fn the_same_event_is_told_once_a_minute_and_its_last_state_in_the_end() {
        let (mut collapse, start) = (Collapse::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(collapse.admit(event("halted", "a", "x"), at(0)).is_some());
        assert!(collapse.admit(event("recovered", "a", "x"), at(5)).is_some());
        assert!(collapse.admit(event("halted", "a", "x"), at(10)).is_none());
        assert!(collapse.admit(event("halted", "b", "x"), at(10)).is_some(), "another stream");
        assert!(collapse.admit(event("recovered", "a", "x"), at(12)).is_none());
        assert_eq!(collapse.next(), Some(at(60)));
        assert_eq!(collapse.due(at(59)), []);
        assert_eq!(collapse.due(at(60)), [event("halted", "a", "x")]);
        assert_eq!(collapse.due(at(65)), [event("recovered", "a", "x")], "what came last is told last");
        assert_eq!(collapse.next(), None);
    }

    #[test]
    fn another_code_is_another_event() {
        let (mut collapse, now) = (Collapse::default(), Instant::now());
        assert!(collapse.admit(event("halted", "a", "x"), now).is_some());
        assert!(collapse.admit(event("halted", "a", "x"), now).is_none());
        assert!(collapse.admit(event("halted", "a", "y"), now).is_some());
        assert_eq!(collapse.due(now + REST * 2), [], "what is no longer so is not told");
        assert_eq!(collapse.due(now + REST * 4), []);
        assert!(collapse.0.is_empty(), "what is over is forgotten");
    }

    #[test]
    fn what_is_held_back_is_told_at_the_end() {
        let (mut collapse, now) = (Collapse::default(), Instant::now());
        for detail in ["1", "2", "3"] {
            let _ = collapse.admit(Event { detail: detail.into(), ..event("parked", "a", "parked") }, now);
        }
        let last = Event { detail: "3".into(), ..event("parked", "a", "parked") };
        assert_eq!(collapse.flush(), [last]);
    }
}
