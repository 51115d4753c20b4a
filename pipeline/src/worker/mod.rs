//! Applying: from the queue into the target, one stream at a time, several partitions side by side.
//!
//! A *stream worker* is admitted as owner, then runs *lanes*: each owns some partitions, reads exactly `[from, until)` of
//! each, prepares a batch (parse, map, encode, last write wins) and commits it with its checkpoints. The next batch is
//! prepared while PostgreSQL works on the present one. Keeps promises 2–4, 8, 9, 13 together with the sink.

mod apply;
mod barrier;
mod brake;
mod cohorts;
mod copy;
mod copy_batch;
mod copy_source;
mod errand;
mod evolution;
mod lane;
mod prepare;
mod progress;
mod stream;
mod traced;
mod words;
mod writers;

pub use barrier::Base;
pub use brake::Brake;
pub use copy::CopyPace;
pub use copy_source::CopySource;
pub(crate) use errand::AtRest;
pub use errand::{Desk, Errands, desk};
pub(crate) use prepare::{dead_letter, sort_by_key};
pub use progress::{CopyProgress, StreamProgress, StreamProgressView, StreamState};
pub use stream::{StreamWorker, run};
pub use words::{Speaker, Words, words};
pub use writers::{PoolMeter, PoolSeen, WriterPool};
