//! Talking to a running service: a Unix socket in the state directory.
//!
//! One request a line, one answer a line, both JSON ([`protocol`]). The directory is 0700 and the socket 0600, and the kernel tells
//! who is at the other end: only this user and root are heard. Every read, line and connection is bounded; a client that
//! hangs costs one of [`server::MAX_CLIENTS`] places for [`server::IDLE`] and delays no commit.
//!
//! Owns no decision: [`server::ControlHandler`] does.

pub mod client;
mod positions;
pub mod protocol;
pub mod server;
pub mod socket;

pub use client::{ControlClient, ControlError};
pub use protocol::{Answer, Refused, Request};
pub use server::{ControlHandler, serve};
pub use socket::ControlSocket;

#[cfg(test)]
mod tests;
