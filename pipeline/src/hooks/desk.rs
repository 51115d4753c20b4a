//! A hook's desk: what it is still to be told, bounded, and what became of what it was told.

use super::Outcome;
use super::collapse::Collapse;
use super::event::Event;
use super::tally::Tally;
use crate::config::Hook;
use crate::status::HookReport;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Most events that wait: beyond this the oldest say what is no longer so.
const MOST: usize = 64;

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// This is to be told.
    Event(Event),
    /// Nothing for now; something at the latest then.
    Wait(Option<Duration>),
    /// Nothing will come.
    Closed,
}

/// The desk of one hook.
#[derive(Debug)]
pub struct Desk {
    number: usize,
    hook: Hook,
    laid: Mutex<Laid>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Laid {
    events: VecDeque<Event>,
    collapse: Collapse,
    tally: Tally,
    closed: bool,
}

impl Desk {
    pub(super) fn new(number: usize, hook: Hook) -> Self {
        Self { number, hook, laid: Mutex::default(), changed: Notify::new() }
    }

    /// Place of the hook in the configuration, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Lays an event on the desk.
    pub(super) fn lay(&self, event: Event, now: Instant) {
        let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = laid.collapse.admit(event, now) {
            laid.push(event, self.number);
        }
        drop(laid);
        self.changed.notify_one();
    }

    /// Takes what comes next.
    pub(super) fn next(&self, now: Instant) -> Next {
        let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        let due = if laid.closed { laid.collapse.flush() } else { laid.collapse.due(now) };
        due.into_iter().for_each(|event| laid.push(event, self.number));
        match laid.events.pop_front() {
            Some(event) => Next::Event(event),
            None if laid.closed => Next::Closed,
            None => Next::Wait(laid.collapse.next().map(|next| next.saturating_duration_since(now))),
        }
    }

    /// Waits until there may be something.
    pub(super) async fn wait(&self, longest: Option<Duration>) {
        let due = async {
            match longest {
                Some(longest) => tokio::time::sleep(longest).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.changed.notified() => {}
            () = due => {}
        }
    }

    /// Notes what became of an event.
    pub(super) fn settle(&self, told: &Outcome, now_ms: u64) {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner).tally.settle(told, now_ms);
    }

    pub(super) fn report(&self) -> HookReport {
        let laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        HookReport {
            hook: self.number as u64,
            kind: self.hook.action.word().to_owned(),
            on: self.hook.on.iter().map(|occasion| occasion.word().to_owned()).collect(),
            waiting: laid.events.len() as u64,
            ..laid.tally.report()
        }
    }

    pub(super) fn close(&self) {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }
}

impl Laid {
    fn push(&mut self, event: Event, number: usize) {
        if self.events.len() == MOST {
            self.events.pop_front();
            // Said once for all of a burst.
            if self.tally.drop_one() {
                tracing::warn!(
                    hook = number,
                    code = "hook_behind",
                    "hook {number} is behind: the oldest events are dropped"
                );
            }
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{event, hook};
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_it_is_counted() {
        let (desk, now) = (Desk::new(1, hook("/bin/true")), Instant::now());
        for number in 0..MOST + 10 {
            desk.lay(event("halted", &format!("s{number}"), "x"), now);
        }
        let report = desk.report();
        assert_eq!((report.waiting, report.dropped, report.failing), (MOST as u64, 10, true));
        let Next::Event(first) = desk.next(now) else { panic!("an event") };
        assert_eq!(first.stream.as_deref(), Some("s10"));
    }

    #[test]
    fn a_closed_desk_gives_what_lies_on_it_and_ends() {
        let (desk, now) = (Desk::new(1, hook("/bin/true")), Instant::now());
        desk.lay(event("halted", "a", "x"), now);
        desk.lay(event("halted", "a", "x"), now);
        desk.close();
        assert!(matches!(desk.next(now), Next::Event(_)));
        assert!(matches!(desk.next(now), Next::Event(_)), "what was held back too");
        assert!(matches!(desk.next(now), Next::Closed));
    }
}
