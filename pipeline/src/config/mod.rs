//! `landfall.yaml`: from what the user wrote to what the program may rely on.
//!
//! Two shapes. The written one is a tree of nodes that know their place ([`tree`]); the validated one is [`Pipeline`]. Turning one
//! into the other is pure but for reading secrets, and reports *all* problems at once with line, column and what to write
//! instead. Unknown keys are errors. Owns nothing of what the values do later.

pub mod child;
pub mod column;
pub mod column_type;
pub mod connection;
mod discriminator;
mod evolve;
mod health;
pub mod hooks;
pub mod http;
pub mod key;
pub mod load;
pub mod mongo;
pub mod permission;
pub mod pipeline;
pub mod place;
pub mod post;
pub mod problem;
pub mod quantity;
pub mod reference;
pub mod secret;
pub mod section;
pub mod source;
pub mod stream;
pub mod stream_conflicts;
pub mod table_layout;
pub mod target;
pub mod template;
pub mod traces;
pub mod tree;
pub mod value_rule;

pub use health::HealthLimits;
pub use hooks::{Hook, HookAction};
pub use http::{Http, HttpTls};
pub use load::{ConfigError, load, validate};
pub use pipeline::{Pipeline, Reference, SnapshotPace, SourceKind, SourceSpec, SslMode, Target};
pub use post::Post;
pub use secret::Secret;
pub use template::Template;
pub use traces::Traces;

#[cfg(test)]
pub(crate) mod tests;
