//! Sources that are files: read under a confined root, watched by hints, trusted only by content.

pub mod directory;
pub mod document;
pub mod guard;
pub mod identity;
pub mod index;
pub mod lines;
pub mod look;
pub mod pattern;
pub mod root;
pub mod split;
pub mod watch;
