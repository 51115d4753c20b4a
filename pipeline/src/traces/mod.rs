//! Traces: a span of each batch that is captured, copied or applied, sent to a collector over OTLP/HTTP.
//!
//! Off unless the configuration names a collector. Keeps the promise that nothing here slows the data path: whether a batch is sampled is decided at
//! its beginning by one draw, a span that has ended is handed over without waiting ([`Tracer`]), and what the queue to the exporter does not hold is
//! dropped and counted ([`Tally`]). One task sends ([`exporter`]). A span holds names of the configuration, numbers and codes; never a value,
//! a key or a secret.

mod draw;
mod exporter;
mod otlp;
mod span;
mod tally;

pub(crate) use span::{Name, OpenSpan};
pub use tally::Tally;

use crate::config;
use crate::queue::clock::{Clock, SystemClock};
use crate::supervise::Supervisor;
use draw::Draw;
use exporter::Exporter;
use span::{Span, TraceId};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Most spans that wait for the collector: a minute of 64 batches a second, in about 3 MB.
const WAITING: usize = 4_096;

/// The traces of one life of the service.
#[derive(Debug, Default)]
pub struct Traces {
    tracer: Mutex<Tracer>,
    tally: Option<Arc<Tally>>,
}

impl Traces {
    /// Starts the exporter, if anything is to be exported.
    pub fn start(wanted: Option<&config::Traces>, pipeline: &str, supervisor: &Supervisor) -> Self {
        let Some(wanted) = wanted.filter(|wanted| wanted.ratio > 0.0) else { return Self::default() };
        let (out, spans) = mpsc::channel(WAITING);
        let tally = Arc::new(Tally::default());
        let draw = Draw::new(wanted.ratio);
        let sampler = Sampler { draw, out, tally: Arc::clone(&tally), clock: Arc::new(SystemClock) };
        let exporter = Exporter::new(wanted.to.clone(), pipeline, (spans, Arc::clone(&tally)));
        supervisor.task("traces", exporter.run(supervisor.stop().clone()));
        Self { tracer: Mutex::new(Tracer(Some(Arc::new(sampler)))), tally: Some(tally) }
    }

    /// What batches are traced with.
    pub fn tracer(&self) -> Tracer {
        self.tracer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What became of spans; `None`: nothing is traced.
    pub fn tally(&self) -> Option<&Tally> {
        self.tally.as_deref()
    }

    /// Hands out no tracer any more: the exporter ends when those that were handed out are gone.
    pub fn close(&self) {
        *self.tracer.lock().unwrap_or_else(PoisonError::into_inner) = Tracer::default();
    }
}

/// Begins spans. Clones share one queue; the default one traces nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Sampler>>);

#[derive(Debug)]
struct Sampler {
    draw: Draw,
    out: mpsc::Sender<Span>,
    tally: Arc<Tally>,
    clock: Arc<dyn Clock>,
}

impl Tracer {
    /// Begins a span now, in a trace of its own; of what is not sampled it is one that holds nothing.
    pub(crate) fn begin(&self, name: Name) -> OpenSpan {
        let Some(sampler) = self.0.as_ref().filter(|sampler| sampler.draw.next()) else { return OpenSpan::nothing() };
        // Without randomness there is no trace: nothing else of the batch depends on it.
        let Some(trace) = TraceId::random() else { return OpenSpan::nothing() };
        OpenSpan::begun(name, trace, Arc::clone(sampler))
    }
}

impl Sampler {
    fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Hands a span over. Never waits.
    fn hand_over(&self, span: Span) {
        if self.out.try_send(span).is_err() {
            self.tally.dropped(1);
        }
    }
}

#[cfg(test)]
mod tests;
