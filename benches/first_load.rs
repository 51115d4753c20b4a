//! The first load of an empty table of ours, by the release program: from a document, and from NDJSON.
//!
//! The clock runs from the start of the process to its end: parsing, the synced queue, the copy, and key and index are in it.

use landfall_benches::bare_load::{self, BareCopy};
use landfall_benches::bare_merge::{self, BareBatch, BareLane};
use landfall_benches::batches::batches;
use landfall_benches::cluster::Cluster;
use landfall_benches::document::{Document, Layout};
use landfall_benches::landfall;
use landfall_benches::measured::Measured;
use landfall_benches::mix::Mix;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::sizes::Sizes;
use landfall_benches::users_pipeline::{self, Source};
use landfall_benches::users_table;

/// Connections of the baselines, and `max_connections` of the pipeline.
const LANES: usize = 2;
/// Events per transaction of the bare loop.
const BATCH: usize = 2_000;

struct Bench {
    cluster: Cluster,
    sizes: Sizes,
    copies: Vec<Vec<BareCopy>>,
    merges: Vec<Vec<BareBatch>>,
    lines: Vec<u8>,
}

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("first-load");
    let mix = Mix::load(sizes.records);
    let copies = bare_load::prepare(&mix.changes, LANES);
    let merges = bare_merge::prepare(&batches(&mix.changes, LANES, BATCH));
    let mut lines = Vec::new();
    mix.write_lines(&mut lines);
    let bench = Bench { cluster, sizes, copies, merges, lines };
    let (mut session, mut other) = (bench.cluster.session(), bench.cluster.session());

    let ours = |session: &mut Session| bench.ours(session, Source::Document);
    let runs = interleaved(sizes.rounds, || bench.bare_copy(&mut session), || ours(&mut other));
    let note = "process start to end; baseline: binary COPY of prepared rows into the bare heap, 2 connections, then key and index";
    let title = Title { name: "first load, document", unit: "rows", target: Target::AtLeast(0.60), note };
    report::comparison(title, &runs);

    let ours = |session: &mut Session| bench.ours(session, Source::Lines);
    let runs = interleaved(sizes.rounds, || bench.bare_merge(&mut session), || ours(&mut other));
    let note = "process start to end; baseline: bare COPY + MERGE into the empty table, 2 connections";
    let title = Title { name: "first load, NDJSON", unit: "rows", target: Target::AtLeast(0.75), note };
    report::comparison(title, &runs);
}

impl Bench {
    fn bare_copy(&self, session: &mut Session) -> Measured {
        users_table::bare_heap(session);
        let mut sessions: Vec<Session> = (0..LANES).map(|_| self.cluster.session()).collect();
        session.checkpoint();
        let server = (&mut *session, self.cluster.postmaster());
        let work = || bare_load::load(&mut sessions, &self.copies);
        let (measured, ()) = Measured::with_server(self.sizes.records, server, work);
        self.check(session, "bare.users");
        measured
    }

    fn bare_merge(&self, session: &mut Session) -> Measured {
        users_table::bare_heap(session);
        users_table::build(session);
        bare_merge::reset(session);
        let mut lanes: Vec<BareLane> = (0..LANES).map(|lane| BareLane::open(&self.cluster.url(), lane)).collect();
        session.checkpoint();
        let server = (&mut *session, self.cluster.postmaster());
        let work = || bare_merge::apply_all(&mut lanes, &self.merges);
        let (measured, ()) = Measured::with_server(self.sizes.records, server, work);
        self.check(session, "bare.users");
        measured
    }

    fn ours(&self, session: &mut Session, source: Source) -> Measured {
        session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
        let folder = run_dir::fresh("first-load-pipeline");
        let pipeline = users_pipeline::write(&folder, &self.cluster.url(), source);
        landfall::schema_apply(&pipeline);
        match source {
            Source::Lines => {
                std::fs::write(folder.join("lines/users.ndjson"), &self.lines).expect("a bench's own disk has room");
            }
            Source::Document => {
                let document = Document { records: self.sizes.records, changed: 0, layout: Layout::Compact };
                document.write(&folder.join("users.json"));
            }
        }
        session.checkpoint();
        let server = (&mut *session, self.cluster.postmaster());
        let measured = landfall::run_until_caught_up(&pipeline, self.sizes.records, server);
        self.check(session, "public.users");
        let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'public.users'::regclass AND indisvalid";
        assert_eq!(session.number(indexes), 2, "key and index are built");
        measured
    }

    fn check(&self, session: &mut Session, table: &str) {
        assert_eq!(users_table::counted(session, table).written, self.sizes.records, "rows counted in PostgreSQL");
    }
}
