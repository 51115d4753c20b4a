//! The named places at which the process under test can be killed, and what it takes to reach them.

use std::fmt;

/// Die at the `hit`-th time that `name` is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillPoint {
    /// The failpoint's name in the product.
    pub name: &'static str,
    /// Which time, from 1.
    pub hit: u64,
}

impl fmt::Display for KillPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.hit)
    }
}

/// Points on the way of every change: reached within moments by a service whose stores are written to.
pub const ON_THE_WAY: &[&str] = &[
    "queue::before_write",
    "queue::after_write",
    "queue::before_sync",
    "queue::after_sync",
    "queue::watermark",
    "lines::after_read",
    "lines::after_position",
    "document::after_pass1",
    "document::mid_emit",
    "directory::mid_emit",
    "sink::before_begin",
    "sink::before_checkpoint",
    "sink::before_commit",
    "sink::after_commit",
    "worker::after_read",
    "worker::after_transform",
    "capture::before_append",
    "capture::after_append",
];

/// Points that only a large change reaches: small ones go without COPY, and the file index is written now and then.
pub const BY_BURSTS: &[&str] = &["document::before_index_write", "document::after_index_write", "sink::after_copy"];

/// Points of the queue's recovery: reached at start when the log's tail was torn.
pub const IN_RECOVERY: &[&str] =
    &["queue::recovery_before_cut", "queue::recovery_after_cut", "queue::recovery_rewrite"];

/// Points of a segment's life: reached when a segment is full and when an applied one is dropped.
pub const OF_SEGMENTS: &[&str] = &[
    "queue::before_roll",
    "queue::after_create_segment",
    "queue::after_roll",
    "queue::before_unlink",
    "queue::after_unlink",
];

/// Points of a copy from a source that can be read again, and of passing the barrier behind it.
pub const OF_COPIES: &[&str] =
    &["copy::before_plan", "copy::before_chunk", "copy::after_chunk", "barrier::before_pass"];

/// Points of the first fill: reached once in a table's life.
pub const OF_FIRST_FILL: &[&str] = &["sink::before_finish_bulk", "sink::after_finish_bulk"];

/// Points behind the first event of a collection that a pattern makes a stream of.
pub const OF_DISCOVERY: &[&str] = &[
    "discovery::after_register",
    "capture::before_append",
    "capture::after_append",
    "copy::before_plan",
    "sink::before_finish_bulk",
];
