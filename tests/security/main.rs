//! Hostile stores, names and neighbours: nothing outside is read, nothing secret is written, nothing unplanned is executed.

#![allow(clippy::unwrap_used, reason = "in a proof, what cannot be unwrapped has failed")]

mod canary;
mod confinement;
mod mongo;
mod mongo_certificates;
mod names;
mod permissions;
mod secrets;
mod tls;
