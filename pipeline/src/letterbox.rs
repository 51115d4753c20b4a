//! What waits in the target because it could not become a row, looked at now and then: counts by reason for `status`, and the age that halts.
//!
//! Owns the figures and the schedule of looking, which slows down with what a look costs. `max_parked_age` halts a stream whose oldest dead letter
//! is older: a migration in which nobody looks at what was parked should stop before it is forgotten. The age is a schedule and not an order
//! (promise 19): nothing about rows depends on it. The halt ends by itself when nothing that old waits any more.

use crate::assemble::Target;
use crate::config::Pipeline;
use crate::service::Service;
use crate::status::ParkedReport;
use landfall_connectors::failure::{Failure, FailureClass};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Between two looks …
const LOOK: Duration = Duration::from_secs(5);
/// … and at least so many times what one took.
const SHARE: u32 = 50;

/// Code of a stream that halted for the age of its letters.
pub(crate) const TOO_OLD: &str = "dead_letters_too_old";

/// What was seen last.
#[derive(Debug, Default)]
pub struct Letterbox {
    seen: Mutex<BTreeMap<String, ParkedReport>>,
    again: Notify,
}

impl Letterbox {
    /// What waits of a stream; `None`: nothing.
    pub(crate) fn of(&self, stream: &str) -> Option<ParkedReport> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(stream).cloned()
    }

    /// Letters were settled: looks again now.
    pub(crate) fn look_again(&self) {
        self.again.notify_one();
    }
}

/// Looks until the service stops.
pub(crate) async fn look_after(service: Arc<Service>, target: Arc<Target>, pipeline: Pipeline) -> Result<(), Failure> {
    let looking = async {
        loop {
            let began = Instant::now();
            match target.parked().await {
                Ok(parked) => note(&service, &pipeline, parked),
                // Workers say what is wrong with the target.
                Err(failure) => tracing::debug!(code = failure.code, "dead letters cannot be counted now"),
            }
            let rest = LOOK.max(began.elapsed() * SHARE);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = service.letterbox.again.notified() => {}
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = service.supervisor.stop().cancelled() => {}
    }
    Ok(())
}

fn note(service: &Service, pipeline: &Pipeline, parked: Vec<(String, String, u64, u64)>) {
    let mut seen: BTreeMap<String, ParkedReport> = BTreeMap::new();
    for (stream, code, letters, age) in parked {
        let report = seen.entry(stream).or_default();
        report.by_code.insert(code, letters);
        report.oldest_seconds = report.oldest_seconds.max(age);
    }
    for stream in service.streams.all() {
        let name = stream.mapping.name.as_str();
        let limit = pipeline.max_parked_age(name);
        let oldest = seen.get(name).map(|report| report.oldest_seconds);
        let over = limit.zip(oldest).filter(|(limit, oldest)| *oldest > limit.as_secs());
        stream.desk.halt(over.map(|(limit, _)| too_old(limit)));
    }
    *service.letterbox.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
}

fn too_old(limit: Duration) -> Failure {
    let detail = format!(
        "a dead letter of the stream is older than max_parked_age ({} s): look at it (`landfall deadletter list`), mend the record or the \
         mapping and retry it, or give it up; the stream goes on by itself then",
        limit.as_secs()
    );
    Failure::new(FailureClass::Halt, TOO_OLD, detail)
}
