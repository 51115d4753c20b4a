//! The command line as its users meet it: exit codes, help, errors that say what to write instead, output for people and machines.

#![allow(clippy::unwrap_used, reason = "in a proof, what cannot be unwrapped has failed")]

mod commands;
mod config_errors;
mod demo;
mod exit_codes;
mod trials;
