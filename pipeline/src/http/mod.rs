//! What a service answers over HTTP: metrics, liveness and readiness, status, what happened lately, the page, and what operators order.
//!
//! Keeps the promise that no caller slows a commit: everything here runs as one task, connections and sizes and times are bounded
//! ([`server`]), and what is shown is the report that is published anyway, written out at most once a report. What operators order goes through
//! the same [`ControlHandler`](crate::control::ControlHandler) as on the control socket, and is stored and remembered like there. Who may ask what is
//! [`guard`]'s. The data path depends on nothing here: a port that is taken or a certificate that cannot be read is said in the log and in `status`,
//! and tried again.

mod answer;
mod door;
mod guard;
mod identity;
mod orders;
mod page;
mod place;
mod pulse;
mod route;
mod server;
mod timely;
mod web;

pub use door::Door;
pub use pulse::Pulse;

use crate::assemble::Assembled;
use crate::config::Pipeline;
use crate::control::ControlHandler;
use crate::metrics::{Ages, Facts, Metrics, look_after_ages};
use crate::status::StatusReport;
use crate::timeline::Timeline;
use guard::Guard;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use web::Web;

/// Starts what answers HTTP, if the configuration asks for it.
pub(crate) fn attend<H: ControlHandler + Send + 'static>(
    pipeline: &Pipeline,
    assembled: &Assembled,
    handler: &Arc<H>,
    reports: watch::Receiver<Arc<StatusReport>>,
    timeline: Arc<Timeline>,
) {
    let Some(http) = pipeline.http.clone() else { return };
    let service = &assembled.service;
    let (ages, requests) = (Arc::new(Ages::default()), Arc::default());
    let facts = Facts::new(Arc::clone(service), reports.clone(), Arc::clone(&assembled.pool))
        .with(&ages, &requests)
        .of(pipeline.state_dir.clone(), pipeline.retention.max_bytes);
    let web = Web {
        handler: Arc::clone(handler),
        guard: Guard::new(&http),
        reports,
        ages: Arc::clone(&ages),
        timeline,
        metrics: Metrics::new(facts),
        requests,
        shown: Mutex::default(),
    };
    let supervisor = &service.supervisor;
    supervisor.task("queue ages", look_after_ages(Arc::clone(service), ages));
    supervisor.task("pulse", pulse::look_after(Arc::clone(service), Arc::clone(&assembled.target)));
    let serving = door::open_and_serve(Arc::clone(service), http, pipeline.state_dir.clone(), web);
    supervisor.task("http", Box::pin(serving));
}
