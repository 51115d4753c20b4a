//! The command line as its users meet it: exit codes, help, errors that say what to write instead, output for people and machines.

mod commands;
mod config_errors;
mod demo;
mod exit_codes;
