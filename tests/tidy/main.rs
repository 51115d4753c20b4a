//! Rules that run: what the house asks of every file, so that nobody has to remember it.

mod files;
mod layers;
mod log_fields;
mod page;
mod sources;
mod words;
