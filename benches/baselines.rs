//! The raw baselines by themselves: what this machine can do, and how far two runs of one thing differ (A/A).

use landfall_benches::bare_load;
use landfall_benches::bare_merge::{self, BareLane};
use landfall_benches::batches::batches;
use landfall_benches::cluster::Cluster;
use landfall_benches::measured::Measured;
use landfall_benches::mix::Mix;
use landfall_benches::raw_log::syncs_per_second;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::run_dir::bench_dir;
use landfall_benches::session::Session;
use landfall_benches::sizes::Sizes;
use landfall_benches::users_table;

/// Connections: one per core of the server.
const LANES: usize = 2;
/// Events per transaction.
const BATCH: usize = 2_000;

fn main() {
    let sizes = Sizes::read();
    let file = bench_dir().join("syncs");
    report::figure("fdatasync of 8 KiB", (syncs_per_second(&file), "/s"), Target::None, "this disk");
    let _ = std::fs::remove_file(file);
    let cluster = Cluster::start("baselines");
    steady(&cluster, sizes);
    load(&cluster, sizes);
}

fn steady(cluster: &Cluster, sizes: Sizes) {
    let mut session = cluster.session();
    users_table::seed(&mut session, sizes.table_rows);
    let mix = Mix::steady(sizes.table_rows, sizes.events, 1);
    let prepared = bare_merge::prepare(&batches(&mix.changes, LANES, BATCH));
    let run = |session: &mut Session| {
        users_table::bare_table(session);
        bare_merge::reset(session);
        session.checkpoint();
        let mut lanes: Vec<BareLane> = (0..LANES).map(|lane| BareLane::open(&cluster.url(), lane)).collect();
        let server = (&mut *session, cluster.postmaster());
        let (measured, ()) =
            Measured::with_server(sizes.events, server, || bare_merge::apply_all(&mut lanes, &prepared));
        assert_eq!(users_table::counted(session, "bare.users").rows, mix.rows_after);
        measured
    };
    let mut other = cluster.session();
    let runs = interleaved(sizes.rounds, || run(&mut session), || run(&mut other));
    let note = "2 connections, 80/15/5, right after a checkpoint; both sides are the bare loop";
    report::comparison(Title { name: "bare COPY + MERGE, steady", unit: "events", target: Target::None, note }, &runs);
}

fn load(cluster: &Cluster, sizes: Sizes) {
    let mut session = cluster.session();
    let mix = Mix::load(sizes.records);
    let copies = bare_load::prepare(&mix.changes, LANES);
    let merges = bare_merge::prepare(&batches(&mix.changes, LANES, BATCH));
    let check = |session: &mut Session| {
        assert_eq!(users_table::counted(session, "bare.users").rows, mix.rows_after);
    };
    let heap = |session: &mut Session| {
        users_table::bare_heap(session);
        session.checkpoint();
        let mut sessions: Vec<Session> = (0..LANES).map(|_| cluster.session()).collect();
        let server = (&mut *session, cluster.postmaster());
        let (measured, ()) = Measured::with_server(sizes.records, server, || bare_load::load(&mut sessions, &copies));
        check(session);
        measured
    };
    let merge = |session: &mut Session| {
        users_table::bare_heap(session);
        users_table::build(session);
        bare_merge::reset(session);
        session.checkpoint();
        let mut lanes: Vec<BareLane> = (0..LANES).map(|lane| BareLane::open(&cluster.url(), lane)).collect();
        let server = (&mut *session, cluster.postmaster());
        let (measured, ()) =
            Measured::with_server(sizes.records, server, || bare_merge::apply_all(&mut lanes, &merges));
        check(session);
        measured
    };
    let mut other = cluster.session();
    let runs = interleaved(sizes.rounds, || heap(&mut session), || merge(&mut other));
    let note =
        "baseline: binary COPY into the bare heap, then key and index; ours: bare COPY + MERGE into the empty table";
    report::comparison(Title { name: "bare load by MERGE", unit: "rows", target: Target::None, note }, &runs);
}
