//! From stores on disk to rows in PostgreSQL: whole, equal, live, and honest about what it cannot do.
//!
//! Every test has its own site and database on one private server. The oracle judges; tests only make things happen.

#![allow(clippy::unwrap_used, reason = "in a proof, what cannot be unwrapped has failed")]

mod added_columns;
mod added_columns_refused;
mod bombs;
mod children;
mod constraints;
mod controls;
mod dashboard;
mod deadletters;
mod drift;
mod expressions;
mod guard;
mod health;
mod hooks;
mod http;
mod init;
mod live;
mod malformed;
mod mapped;
mod mongo_changes;
mod mongo_copies;
mod mongo_faults;
mod mongo_patterns;
mod mongo_reach;
mod ownership;
mod real_stores;
mod redress;
mod replay;
mod revisions;
mod rotation;
mod rules;
mod schema_changes;
mod shared_tables;
mod sqlite;
mod sqlite_triggers;
mod stores;
mod traces;
mod unparsable;
mod verify;
mod watch;
