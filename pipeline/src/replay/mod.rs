//! Replay into the live tables: what the queue still holds of a stream is written again, as the mapping of now has it.
//!
//! *Rewind and compact*: of each key only the last event counts, and it is written under its own version, over rows that are not newer. So what
//! was deleted does not come back and nothing older overwrites anything (promise 8), and under an unchanged mapping nothing is written at all.
//! A replay goes in turns. In each the stream rests for a moment (`worker::errand`), everything applied meanwhile is added to what is known of
//! the keys, and the next events are written; between the turns its lanes go on. A turn that looked at an older state of the keys could bring
//! back what a live change has just deleted: that is why looking and writing happen in one rest.
//!
//! Memory: 32 bytes a key of one *slice*; a range with more events than [`SLICE`] is passed once for each slice of the keys. Nothing is kept
//! over a death: the same command begins anew, and what was written is found equal. What the mapping of now refuses is parked as a live change
//! would be, and its row stays. Changes that an operator gave up stay given up; keys that wait behind a dead letter keep their order and are left
//! alone. What a barrier ended (a new copy, a dropped collection) is not replayed: the replay begins behind it.

pub(crate) mod base_copy;
mod batch;
mod begin;
mod compaction;
pub mod cut;
pub mod into;
mod live;
pub mod offline;
mod order;
mod turn;

pub use live::Replays;
pub(crate) use live::turn;
pub use order::{From, Order, Standing};

use compaction::GivenUp;
