//! Hooks: programs and addresses that are told what happens.
//!
//! Keeps the promise that nothing here slows the data path: what happens is read off the reports that are published anyway
//! ([`timeline`](crate::timeline)), laid on a desk that is bounded ([`desk`]), and told from there by one task for each hook, one event at a time. A hook
//! that hangs is ended, one that fails is said in the log and in `status`. Never tells values of records, nor secrets: an event is made of the same words
//! as `status`.

mod announce;
mod collapse;
mod desk;
mod event;
mod post;
mod program;
mod tally;

pub use announce::Announcer;
pub use desk::Desk;

use crate::config::{Hook, HookAction};
use crate::queue::clock::{Clock, SystemClock};
use crate::status::{HookReport, Trouble};
use desk::Next;
use event::Event;
use landfall_connectors::failure::Failure;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What still waits when the service stops is told within this time: hooks that hang do not hold up a stop for longer.
const GRACE: Duration = Duration::from_secs(5);

/// The desks of all hooks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Desks(Arc<Vec<Arc<Desk>>>);

impl Desks {
    /// Of these hooks.
    pub fn of(hooks: &[Hook]) -> Self {
        let desk = |(at, hook): (usize, &Hook)| Arc::new(Desk::new(at + 1, hook.clone()));
        Self(Arc::new(hooks.iter().enumerate().map(desk).collect()))
    }

    /// Each.
    pub fn all(&self) -> impl Iterator<Item = Arc<Desk>> + '_ {
        self.0.iter().cloned()
    }

    /// As `status` shows them.
    pub fn reports(&self) -> Vec<HookReport> {
        self.0.iter().map(|desk| desk.report()).collect()
    }

    /// The headroom that hooks want to be told of.
    pub fn headroom(&self) -> impl Iterator<Item = Duration> + '_ {
        self.0.iter().filter_map(|desk| desk.hook().headroom())
    }

    /// Nothing more happens.
    pub fn close(&self) {
        self.0.iter().for_each(|desk| desk.close());
    }
}

/// Tells a hook what lies on its desk, until the desk is closed and empty.
pub(crate) async fn attend(desk: Arc<Desk>, stop: CancellationToken) -> Result<(), Failure> {
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = tell_all(&desk, &stop) => {}
        () = late => {
            if desk.report().waiting > 0 {
                tracing::warn!(hook = desk.number(), "the service stops: hook {} was not told of all", desk.number());
            }
        }
    }
    Ok(())
}

async fn tell_all(desk: &Desk, stop: &CancellationToken) {
    loop {
        match desk.next(Instant::now()) {
            Next::Event(event) => {
                let told = Box::pin(tell(desk.hook(), &event, stop)).await;
                desk.settle(&told, SystemClock.now_ms());
                said(desk.number(), &event, told);
            }
            Next::Wait(longest) => desk.wait(longest).await,
            Next::Closed => return,
        }
    }
}

/// What telling came to: what the program said for the log, or what was wrong.
type Outcome = Result<String, Trouble>;

async fn tell(hook: &Hook, event: &Event, stop: &CancellationToken) -> Outcome {
    match &hook.action {
        HookAction::Run(words) => program::run(words, event, hook.timeout).await,
        HookAction::Post(post) => post::post(post, event, hook.timeout, stop).await.map(|()| String::new()),
    }
}

fn said(hook: usize, event: &Event, told: Outcome) {
    match told {
        Ok(words) if words.is_empty() => tracing::debug!(hook, event = event.event, "hook {hook} was told"),
        Ok(words) => tracing::info!(hook, event = event.event, "hook {hook} says: {words}"),
        Err(trouble) => {
            tracing::error!(hook, event = event.event, code = %trouble.code, "hook {hook}: {}", trouble.detail);
        }
    }
}

#[cfg(test)]
mod tests;
