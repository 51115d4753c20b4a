//! Hostile stores, names and neighbours: nothing outside is read, nothing secret is written, nothing unplanned is executed.

mod confinement;
mod names;
mod permissions;
mod secrets;
