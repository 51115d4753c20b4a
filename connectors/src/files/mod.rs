//! Sources that are files: read under a confined root, watched by hints, trusted only by content.

pub mod identity;
pub mod lines;
pub mod pattern;
pub mod root;
pub mod watch;
