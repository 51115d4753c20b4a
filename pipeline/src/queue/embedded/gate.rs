//! Group commit: whoever finds no leader leads, and writes for all who wait.
//!
//! While a leader writes and syncs, others queue up behind it; when it is done, one of those not served leads the next group. So
//! one sync covers all batches that came while the one before was running, and a lone appender pays for nothing.

use super::encode::EncodedBatch;
use super::failures;
use crate::queue::{AppendFailure, Durable};
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};

/// Most bytes in one group: bounds how long a follower waits and how much a recovery writes again. One batch may pass it alone.
const GROUP_BYTES: u64 = 16 << 20;

/// What became of a batch.
pub(super) type Outcome = Result<Durable, AppendFailure>;

/// Where appenders wait.
#[derive(Debug, Default)]
pub(super) struct Gate {
    line: Mutex<Line>,
    served: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    next_ticket: u64,
    waiting: VecDeque<(u64, EncodedBatch)>,
    done: HashMap<u64, Outcome>,
    led: bool,
    /// A leader panicked: what it was doing is unknown.
    lost: bool,
}

impl Gate {
    /// Waits until `batch` went through `commit`, in this thread or another's. `commit` answers for each batch, in order.
    pub(super) fn pass(&self, batch: EncodedBatch, commit: &dyn Fn(Vec<EncodedBatch>) -> Vec<Outcome>) -> Outcome {
        let mut line = self.line();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiting.push_back((ticket, batch));
        loop {
            if let Some(outcome) = line.done.remove(&ticket) {
                return outcome;
            }
            if line.lost {
                let what = "a thread panicked while it wrote to the queue";
                return Err(AppendFailure::Failed(failures::misuse("queue_broken", what)));
            }
            if line.led {
                line = self.served.wait(line).expect("nobody panics while holding the line");
                continue;
            }
            line.led = true;
            let (tickets, batches): (Vec<_>, Vec<_>) = take_group(&mut line.waiting).into_iter().unzip();
            drop(line);
            let leading = Leading { gate: self };
            let outcomes = commit(batches);
            drop(leading);
            line = self.line();
            line.done.extend(tickets.into_iter().zip(outcomes));
            line.led = false;
            self.served.notify_all();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("nobody panics while holding the line")
    }
}

fn take_group(waiting: &mut VecDeque<(u64, EncodedBatch)>) -> Vec<(u64, EncodedBatch)> {
    let mut bytes = 0;
    let mut group = Vec::new();
    while let Some((_, batch)) = waiting.front() {
        bytes += batch.len;
        if bytes > GROUP_BYTES && !group.is_empty() {
            break;
        }
        group.extend(waiting.pop_front());
    }
    group
}

/// Tells the others when a leader panics.
struct Leading<'a> {
    gate: &'a Gate,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.gate.line().lost = true;
            self.gate.served.notify_all();
        }
    }
}
