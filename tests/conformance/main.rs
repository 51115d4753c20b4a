//! The suites that every implementation passes, run against the real ones: PostgreSQL on a real server, files on a real disk.
//!
//! The suites themselves ship with their contracts (`landfall_connectors::conformance`); the fakes pass them in their own crates.
