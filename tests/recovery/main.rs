//! Kills, cuts, restarts and full disks: nothing is lost, nothing happens twice, and the service says what it waits for.
//!
//! `ROUNDS` and `SEED` change the kill rounds (`make kill-test`), `LANDFALL_SOAK=10m` runs the soak (`make soak`).

#![allow(clippy::unwrap_used, reason = "in a proof, what cannot be unwrapped has failed")]

mod arena;
mod disk_full;
mod first_load;
mod kill_rounds;
mod lost_state;
mod mongo_kills;
mod mutant;
mod soak;
mod target_down;
mod target_faults;
mod went_back;
mod writers;
