//! From what the timeline tells to the desks of those who want to know it.

use super::event::Event;
use super::{Desk, Desks};
use crate::config::{Hook, Pipeline};
use crate::service::Service;
use crate::status::StatusReport;
use crate::timeline::{Entry, Told};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Lays events on desks. Never waits.
#[derive(Debug)]
pub struct Announcer {
    desks: Desks,
    pipeline: String,
    scheme: &'static str,
    reports: watch::Receiver<Arc<StatusReport>>,
}

impl Announcer {
    /// For the hooks of a service.
    pub fn new(pipeline: &Pipeline, service: &Service, reports: watch::Receiver<Arc<StatusReport>>) -> Self {
        let tls = pipeline.http.as_ref().is_some_and(|http| http.tls.is_some());
        let scheme = if tls { "https" } else { "http" };
        Self { desks: service.hooks.clone(), pipeline: pipeline.name.clone(), scheme, reports }
    }

    /// Tells the hooks.
    pub fn tell(&self, entries: &[Entry]) {
        for entry in entries {
            let Some(told) = &entry.told else { continue };
            let wants = |desk: &Arc<Desk>| is_wanted(desk.hook(), told);
            for desk in self.desks.all().filter(wants) {
                desk.lay(self.event(entry, told), Instant::now());
            }
        }
    }

    fn event(&self, entry: &Entry, told: &Told) -> Event {
        let address = self.reports.borrow().http.as_ref().and_then(|http| http.address.clone());
        Event {
            pipeline: self.pipeline.clone(),
            event: told.occasion.word(),
            stream: entry.stream.clone(),
            source: told.source.clone(),
            at: entry.at.clone(),
            code: told.code.clone(),
            detail: entry.detail.clone(),
            status_url: address.map(|address| format!("{}://{address}/api/v1/status", self.scheme)),
        }
    }
}

/// Whether a hook is told. Of headroom, and of its end, only at the height that it named itself.
fn is_wanted(hook: &Hook, told: &Told) -> bool {
    let height = told.below_ms.is_none_or(|below_ms| u128::from(below_ms) == hook.headroom_below.as_millis());
    hook.on.contains(&told.occasion) && height
}

#[cfg(test)]
mod tests {
    use super::super::tests::hook;
    use super::*;
    use crate::timeline::Occasion;

    #[test]
    fn a_hook_is_told_what_it_asked_for_and_of_headroom_at_its_own_height() {
        let asks = Hook { on: vec![Occasion::HeadroomLow, Occasion::Recovered], ..hook("/bin/true") };
        let low = |below_ms: u64, occasion| Told { below_ms: Some(below_ms), ..Told::of(occasion, "headroom_low") };
        assert!(is_wanted(&asks, &low(3_600_000, Occasion::HeadroomLow)));
        assert!(is_wanted(&asks, &low(3_600_000, Occasion::Recovered)));
        assert!(!is_wanted(&asks, &low(60_000, Occasion::HeadroomLow)));
        assert!(!is_wanted(&asks, &low(60_000, Occasion::Recovered)));
        assert!(is_wanted(&asks, &Told::of(Occasion::Recovered, "held")));
        assert!(!is_wanted(&asks, &Told::of(Occasion::Halted, "a")));
    }
}
