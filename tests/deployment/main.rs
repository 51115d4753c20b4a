//! Proofs of deploy/: what runs Landfall and what watches it fits the product, is hardened, and says what to do.
//!
//! The programs come from `deploy/setup/deployment.sh`. Not run here, since they need a daemon or a cluster: the images, `docker compose`, an
//! install of the chart, and the unit under a real systemd.

mod book;
mod container;
mod files;
mod grafana;
mod helm;
mod live;
mod metrics;
mod prometheus;
mod release;
mod runbooks;
mod systemd;
