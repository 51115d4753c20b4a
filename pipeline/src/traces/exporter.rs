//! The task that sends spans to the collector.
//!
//! Owns when: every few seconds, or as soon as a request is full; again, with pauses that grow, while the collector may take them later. One request
//! is in hand at a time, and what comes meanwhile waits in the bounded queue: a collector that is dead or slow costs spans and nothing else. The log
//! says once that it fails and once that it is well again.

use super::otlp;
use super::span::Span;
use super::tally::Tally;
use crate::config::Post;
use crate::outbound::{self, Vain, answered};
use bytes::Bytes;
use hyper::StatusCode;
use landfall_connectors::failure::Failure;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// What the log says of a collector that takes nothing.
const TRACES_FAILED: &str = "traces_failed";
/// Most spans of a request: a span is below 2 KiB, its names being bounded, so a request stays below 1 MiB.
const MOST: usize = 512;
/// Spans wait no longer than this for their request to become full.
const EVERY: Duration = Duration::from_secs(3);
/// How long a request may take: longer than a busy collector needs, shorter than it takes the queue to fill.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before the second, third … try; the last stands for all that follow.
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];
/// What still waits when the service stops is sent within this time.
const GRACE: Duration = Duration::from_secs(5);

/// Sends what comes out of the queue.
pub(super) struct Exporter {
    to: Post,
    pipeline: String,
    spans: Receiver<Span>,
    tally: Arc<Tally>,
    /// Those of the next request.
    hand: Vec<Span>,
    /// The last request was in vain, and it was said.
    failing: bool,
}

impl Exporter {
    pub(super) fn new(to: Post, pipeline: &str, (spans, tally): (Receiver<Span>, Arc<Tally>)) -> Self {
        Self { to, pipeline: pipeline.to_owned(), spans, tally, hand: Vec::with_capacity(MOST), failing: false }
    }

    /// Sends until nobody can hand over spans any more, or the service has been stopping for too long.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Failure> {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = self.send_all(&stop) => {}
            () = late => {}
        }
        self.give_up();
        self.spans.close();
        while self.spans.try_recv().is_ok() {
            self.tally.dropped(1);
        }
        Ok(())
    }

    async fn send_all(&mut self, stop: &CancellationToken) {
        loop {
            let more = self.gather().await;
            if !self.hand.is_empty() {
                self.deliver(stop).await;
            }
            if !more {
                return;
            }
        }
    }

    /// Fills the hand, for a while; `false`: no span will come any more.
    async fn gather(&mut self) -> bool {
        let (hand, spans) = (&mut self.hand, &mut self.spans);
        let filled = async {
            while hand.len() < MOST {
                let room = MOST - hand.len();
                // Cancel-safe: what it took is in the hand.
                if spans.recv_many(hand, room).await == 0 {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(EVERY, filled).await.unwrap_or(true)
    }

    /// Sends what is in the hand, again if need be. While the service stops it is tried once.
    async fn deliver(&mut self, stop: &CancellationToken) {
        let body = Bytes::from(otlp::body(&self.pipeline, &self.hand));
        for tries in 0.. {
            let posted = outbound::post(&self.to, body.clone(), TIMEOUT).await;
            let Err(vain) = posted.and_then(judged) else {
                self.taken();
                return;
            };
            self.said(&vain);
            let gives_up = !vain.passing || stop.is_cancelled();
            if gives_up {
                self.give_up();
            }
            tokio::select! {
                () = tokio::time::sleep(WAITS[tries.min(WAITS.len() - 1)]), if !stop.is_cancelled() => {}
                () = stop.cancelled() => {}
            }
            if gives_up {
                return;
            }
        }
    }

    fn taken(&mut self) {
        self.tally.sent(self.hand.len());
        self.hand.clear();
        if std::mem::take(&mut self.failing) {
            tracing::info!("traces: the collector takes spans again");
        }
    }

    fn give_up(&mut self) {
        self.tally.dropped(self.hand.len());
        self.hand.clear();
    }

    /// Once for each time that it begins to fail.
    fn said(&mut self, vain: &Vain) {
        if !std::mem::replace(&mut self.failing, true) {
            let then =
                if vain.passing { "spans wait, and are dropped beyond a few thousand" } else { "spans are dropped" };
            tracing::warn!(code = TRACES_FAILED, "traces: the collector: {}; {then}", vain.why);
        }
    }
}

/// What an answer means: these four may be others later, as OTLP has it.
fn judged(status: StatusCode) -> Result<(), Vain> {
    match status {
        status if status.is_success() => Ok(()),
        status @ (StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT) => Err(Vain::passing(answered(status))),
        status => Err(Vain::lasting(answered(status))),
    }
}
