//! The whole way: NDJSON → parse → queue (synced) → PostgreSQL by the release program, beside the bare loop.
//!
//! The clock runs from the start of the process to its end: start-up, admission and the last sync are in it. Before that
//! the table stands with its rows, the stream is live, and PostgreSQL has made a checkpoint, as for the bare loop.

use landfall_benches::bare_merge::{self, BareBatch, BareLane};
use landfall_benches::batches::batches;
use landfall_benches::cluster::Cluster;
use landfall_benches::measured::Measured;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::sizes::Sizes;
use landfall_benches::steady_run::SteadyRun;
use landfall_benches::users_pipeline::{self, Source};
use landfall_benches::users_table;

/// Connections of the bare loop, and `max_connections` of the pipeline.
const LANES: usize = 2;
/// Events per transaction of the bare loop.
const BATCH: usize = 2_000;

struct Bench {
    cluster: Cluster,
    sizes: Sizes,
    steady: SteadyRun,
    bare: Vec<Vec<BareBatch>>,
}

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("end-to-end");
    let mut session = cluster.session();
    let steady = SteadyRun::new(&mut session, sizes);
    let bare = bare_merge::prepare(&batches(&steady.mix.changes, LANES, BATCH));
    let bench = Bench { cluster, sizes, steady, bare };
    let mut other = bench.cluster.session();
    let runs = interleaved(sizes.rounds, || bench.bare(&mut session), || bench.ours(&mut other));
    let note = "process start to process end; 2 connections, 80/15/5, right after a checkpoint";
    let name = "whole way, NDJSON, steady";
    report::comparison(Title { name, unit: "events", target: Target::AtLeast(0.75), note }, &runs);
}

impl Bench {
    fn bare(&self, session: &mut Session) -> Measured {
        users_table::bare_table(session);
        bare_merge::reset(session);
        let mut lanes: Vec<BareLane> = (0..LANES).map(|lane| BareLane::open(&self.cluster.url(), lane)).collect();
        session.checkpoint();
        let server = (&mut *session, self.cluster.postmaster());
        let (measured, ()) =
            Measured::with_server(self.sizes.events, server, || bare_merge::apply_all(&mut lanes, &self.bare));
        self.steady.check(session, "bare.users");
        measured
    }

    fn ours(&self, session: &mut Session) -> Measured {
        let folder = run_dir::fresh("end-to-end-pipeline");
        let site = users_pipeline::write(&folder, &self.cluster.url(), Source::Lines);
        self.steady.by_landfall((session, &self.cluster), &site)
    }
}
