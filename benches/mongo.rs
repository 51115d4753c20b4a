//! MongoDB → PostgreSQL by the release program: the copy of a collection, the change stream, latency, and a hundred collections.
//!
//! The source is SecantusDB's Rust flavour on the same machine, whose processor time counts as the server's. A baseline does both halves by hand
//! and at once: the driver reads every byte the product reads and drops it, while prepared rows go into PostgreSQL.

use landfall_benches::bare_load::{self, BareCopy};
use landfall_benches::bare_merge::{self, BareBatch, BareLane};
use landfall_benches::batches::batches_for;
use landfall_benches::cluster::Cluster;
use landfall_benches::landfall::{self, Running};
use landfall_benches::measured::Measured;
use landfall_benches::mix::Mix;
use landfall_benches::mongo_documents::{BARE_DOCUMENTS, looked_up, row_key};
use landfall_benches::mongo_pipeline::{self, Ends};
use landfall_benches::mongo_server::MongoServer;
use landfall_benches::mongo_store::{MongoStore, StreamPlace};
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::session::Session;
use landfall_benches::sightings::{self, Delays};
use landfall_benches::site::Site;
use landfall_benches::sizes::Sizes;
use landfall_benches::user::User;
use landfall_benches::{cpu, memory, users_table};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Connections of the baselines, and `max_connections` of the pipeline.
const LANES: usize = 2;
/// Events per transaction of the bare loop.
const BATCH: usize = 2_000;
/// Changes per second while latency is watched.
const RATE: u64 = 1_000;
/// Documents that stand before latency is watched.
const WARM: u64 = 2_000;
/// Changes that the source's log keeps where nothing is read behind it.
const LOG_ENTRIES: u64 = 5_000;
/// Collections of one pipeline.
const COLLECTIONS: usize = 100;
/// How long a service that has nothing to do is watched.
const IDLE: Duration = Duration::from_secs(20);
/// Work that was still under way when the last row appeared ends within this.
const SETTLE: Duration = Duration::from_secs(5);
/// The collection of the comparisons, and the table it lands in.
const COLLECTION: &str = "documents";

/// Rows, and what is in them.
const COUNTED: &str = "SELECT count(*) FROM";
const CONTENT: &str = "SELECT coalesce(sum(hashtextextended(key || doc::text || md5(_lf_raw), 0) >> 24), 0)::int8 FROM";

struct Bench {
    cluster: Cluster,
    server: MongoServer,
    sizes: Sizes,
}

fn main() {
    let sizes = Sizes::read();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let log = LOG_ENTRIES.max(sizes.events / 50);
    type Part = fn(&Bench);
    let parts: [(&str, Part, u64); 4] = [
        ("copy", Bench::copy, log),
        ("stream", Bench::stream, sizes.events + log),
        ("latency", Bench::latency, log),
        ("many", Bench::many, log),
    ];
    let mut cluster = None;
    for (_, run, log) in parts.into_iter().filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        let Some(server) = MongoServer::start("mongo-server", log) else {
            report::print("mongo: not run: no SecantusDB (Rust flavour) here; run deploy/setup/mongodb.sh\n");
            return;
        };
        let bench = Bench { cluster: cluster.take().unwrap_or_else(|| Cluster::start("mongo")), server, sizes };
        run(&bench);
        cluster = Some(bench.cluster);
    }
}

impl Bench {
    fn store(&self, database: &str) -> MongoStore {
        MongoStore::open(&self.server.uri(), database)
    }

    fn site(&self, name: &str, url: &str, collections: &[String]) -> Site {
        let uri = self.server.uri();
        mongo_pipeline::write(&format!("mongo-{name}"), Ends { uri: &uri, database: name, url }, collections)
    }

    fn servers(&self) -> [u32; 2] {
        [self.cluster.postmaster(), self.server.pid()]
    }

    /// The copy of a collection, beside the driver's read of it and binary `COPY` of its rows into a bare heap, then the key.
    fn copy(&self) {
        let store = self.store("copy");
        let mix = Mix::load(self.sizes.records);
        store.insert(COLLECTION, mix.changes.iter().map(|change| change.user));
        let rows = bare_load::prepare_for(&BARE_DOCUMENTS, &mix.changes, LANES);
        let (mut session, mut other) = (self.cluster.session(), self.cluster.session());
        let bare = |session: &mut Session| self.bare_copy(session, &store, &rows);
        let runs = interleaved(self.sizes.rounds, || bare(&mut session), || self.our_copy(&mut other));
        let note = "process start to end; baseline: the driver reads the collection while binary COPY of prepared rows fills the bare \
                    heap over 2 connections, then the key";
        let title = Title { name: "copy of a collection", unit: "rows", target: Target::AtLeast(0.7), note };
        report::comparison(title, &runs);
    }

    fn bare_copy(&self, session: &mut Session, store: &MongoStore, rows: &[Vec<BareCopy>]) -> Measured {
        users_table::heap(session, &BARE_DOCUMENTS);
        let mut sessions: Vec<Session> = (0..LANES).map(|_| self.cluster.session()).collect();
        session.checkpoint();
        let work = || {
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| store.read_all(COLLECTION).0);
                bare_load::load_into(&BARE_DOCUMENTS, &mut sessions, rows);
                reader.join().expect("the reader does not panic")
            })
        };
        let servers = self.servers();
        let (measured, read) = Measured::with_servers(self.sizes.records, (&mut *session, &servers), work);
        assert_eq!(read, self.sizes.records);
        let rows = session.number(&format!("{COUNTED} {}", BARE_DOCUMENTS.name));
        assert_eq!(rows.unsigned_abs(), self.sizes.records, "rows counted in PostgreSQL");
        measured
    }

    fn our_copy(&self, session: &mut Session) -> Measured {
        session.execute(&format!("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.{COLLECTION}"));
        let site = self.site("copy", &self.cluster.url(), &[COLLECTION.to_owned()]);
        landfall::schema_apply(&site);
        session.checkpoint();
        let measured = landfall::run_beside(&site, self.sizes.records, (&mut *session, &self.servers()));
        let content = |session: &mut Session, table: &str| {
            (session.number(&format!("{COUNTED} {table}")), session.number(&format!("{CONTENT} {table}")))
        };
        let ours = content(session, &format!("public.{COLLECTION}"));
        assert_eq!(ours.0.unsigned_abs(), self.sizes.records, "rows counted in PostgreSQL");
        assert_eq!(ours, content(session, BARE_DOCUMENTS.name), "the same rows as the baseline's");
        measured
    }

    /// Queued changes of a collection that is live, beside the driver's read of them and the bare `COPY` + `MERGE` loop.
    fn stream(&self) {
        let store = self.store("stream");
        let mix = Mix::steady(self.sizes.table_rows, self.sizes.events, 1);
        let stood = Mix::load(self.sizes.table_rows);
        store.insert(COLLECTION, stood.changes.iter().map(|change| change.user));
        let mut session = self.cluster.session();
        session.execute("CREATE DATABASE stood");
        let site = self.site("stream", &self.cluster.url_of("stood"), &[COLLECTION.to_owned()]);
        landfall::schema_apply(&site);
        landfall::run_beside(&site, self.sizes.table_rows, (&mut session, &self.servers()));
        copied(&site.folder().join("state"), &site.folder().join("stood"));
        let place = store.place();
        store.change(COLLECTION, &mix.changes);
        self.bare_stood(&mut session, &stood);
        let merges =
            bare_merge::prepare_for(&BARE_DOCUMENTS, &batches_for(&BARE_DOCUMENTS, &looked_up(&mix), LANES, BATCH));
        let mut other = self.cluster.session();
        let bare = |session: &mut Session| self.bare_stream(session, (&store, &place), &merges);
        let ours = |session: &mut Session| self.our_stream(session, &site, mix.rows_after);
        let runs = interleaved(self.sizes.rounds, || bare(&mut session), || ours(&mut other));
        let note = "process start to end; 80/15/5, full documents looked up; baseline: the driver reads the same events while the bare \
                    loop applies prepared rows over 2 connections";
        let title = Title { name: "change stream, steady", unit: "events", target: Target::AtLeast(0.7), note };
        report::comparison(title, &runs);
    }

    /// The rows that stand before the changes, kept for every run of the bare loop.
    fn bare_stood(&self, session: &mut Session, stood: &Mix) {
        users_table::heap(session, &BARE_DOCUMENTS);
        let rows = bare_load::prepare_for(&BARE_DOCUMENTS, &stood.changes, 1);
        bare_load::load_into(&BARE_DOCUMENTS, &mut [self.cluster.session()], &rows);
        session.execute(&format!(
            "DROP TABLE IF EXISTS bare.stood; CREATE UNLOGGED TABLE bare.stood AS SELECT * FROM {}",
            BARE_DOCUMENTS.name
        ));
    }

    fn bare_stream(
        &self,
        session: &mut Session,
        (store, place): (&MongoStore, &StreamPlace),
        merges: &[Vec<BareBatch>],
    ) -> Measured {
        let table = BARE_DOCUMENTS.name;
        users_table::heap(session, &BARE_DOCUMENTS);
        session.execute(&format!("INSERT INTO {table} SELECT * FROM bare.stood"));
        session.execute(BARE_DOCUMENTS.indexes);
        session.execute(&format!("ANALYZE {table}"));
        bare_merge::reset(session);
        let url = self.cluster.url();
        let mut lanes: Vec<BareLane> = (0..LANES).map(|lane| BareLane::onto(&BARE_DOCUMENTS, &url, lane)).collect();
        session.checkpoint();
        let work = || {
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| store.read_changes(place, self.sizes.events));
                bare_merge::apply_all(&mut lanes, merges);
                reader.join().expect("the reader does not panic")
            })
        };
        Measured::with_servers(self.sizes.events, (&mut *session, &self.servers()), work).0
    }

    fn our_stream(&self, session: &mut Session, site: &Site, rows_after: u64) -> Measured {
        session.execute("DROP DATABASE IF EXISTS ours");
        session.execute("CREATE DATABASE ours TEMPLATE stood");
        let ours = site.clone().database(&self.cluster.url_of("ours"));
        copied(&site.folder().join("stood"), &site.folder().join("state"));
        session.checkpoint();
        let measured = landfall::run_beside(&ours, self.sizes.events, (&mut *session, &self.servers()));
        let content = |session: &mut Session, table: &str| {
            (session.number(&format!("{COUNTED} {table}")), session.number(&format!("{CONTENT} {table}")))
        };
        let ours = content(&mut Session::open(&self.cluster.url_of("ours")), &format!("public.{COLLECTION}"));
        assert_eq!(ours.0.unsigned_abs(), rows_after, "rows counted in PostgreSQL");
        assert_eq!(ours, content(session, BARE_DOCUMENTS.name), "the same rows as the baseline's");
        measured
    }

    /// From the insert of a document to its row, at a steady rate.
    fn latency(&self) {
        let (store, mut session) = (self.store("latency"), self.cluster.session());
        session.execute(&format!("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.{COLLECTION}"));
        let site = self.site("latency", &self.cluster.url(), &[COLLECTION.to_owned()]);
        landfall::schema_apply(&site);
        let mut running = Running::start(&site);
        running.wait_for(|| session.number(LIVE) == 1);
        store.insert(COLLECTION, (0..WARM).map(|number| User::new(number, 0)));
        let table = format!("public.{COLLECTION}");
        running.wait_for(|| session.number(&format!("{COUNTED} {table}")) == WARM.cast_signed());
        let numbers = WARM..WARM + self.sizes.latency_seconds * RATE;
        let keys: Vec<String> = numbers.clone().map(row_key).collect();
        let begun = Instant::now();
        let due = |at: usize| begun + Duration::from_micros(1_000_000 / RATE * at as u64);
        let (written, seen) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = Vec::with_capacity(keys.len());
                for (at, number) in numbers.clone().enumerate() {
                    std::thread::sleep(due(at).saturating_duration_since(Instant::now()));
                    written.push(Instant::now());
                    store.insert_one(COLLECTION, User::new(number, 0));
                }
                written
            });
            let seen = sightings::watch(&mut session, (&table, "key"), &keys);
            (writer.join().expect("the writer does not panic"), seen)
        });
        let took = (written[written.len() - 1] - begun).as_secs_f64();
        let delays = Delays::between(&written, &seen);
        let note = format!(
            "{:.0}/s reached for {took:.0} s, from before the insert to a reader that polls",
            keys.len() as f64 / took
        );
        report::figure("mongo latency p50", (delays.at(0.5), "ms"), Target::None, &note);
        report::figure("mongo latency p99", (delays.at(0.99), "ms"), Target::AtMost(100.0), &note);
        report::figure("mongo latency max", (delays.at(1.0), "ms"), Target::None, &note);
    }

    /// A hundred collections: memory while they are copied, and processor time while nothing happens.
    fn many(&self) {
        let (store, mut session) = (self.store("many"), self.cluster.session());
        let each = (self.sizes.records / 2 / COLLECTIONS as u64).max(1);
        let names: Vec<String> = (0..COLLECTIONS).map(|number| format!("c{number:03}")).collect();
        for name in &names {
            store.insert(name, (0..each).map(|number| User::new(number, 0)));
        }
        session.execute("DROP SCHEMA IF EXISTS landfall CASCADE");
        let site = self.site("many", &self.cluster.url(), &names);
        landfall::schema_apply(&site);
        let mut running = Running::start(&site);
        let begun = Instant::now();
        let copied = running.wait_for(|| session.number(LIVE) == COLLECTIONS as i64) - begun;
        let counts: Vec<String> = names.iter().map(|name| format!("(SELECT count(*) FROM public.{name})")).collect();
        let rows = session.number(&format!("SELECT {}", counts.join(" + ")));
        assert_eq!(rows.unsigned_abs(), each * COLLECTIONS as u64, "rows counted in PostgreSQL");
        std::thread::sleep(SETTLE);
        let (before, began) = (cpu::of_process(running.pid()), Instant::now());
        std::thread::sleep(IDLE);
        let idle = (cpu::of_process(running.pid()) - before) / began.elapsed().as_secs_f64();
        let peak = memory::peak_rss(running.pid()).unwrap_or_default() as f64 / 1e6;
        let note = format!("{COLLECTIONS} collections of {each} documents, copied in {:.1} s", copied.as_secs_f64());
        report::figure("mongo peak RSS, many collections", (peak, "MB"), Target::AtMost(200.0), &note);
        let note = format!("{COLLECTIONS} collections, nothing happens for {} s, of one core", IDLE.as_secs());
        report::figure("mongo idle CPU, many collections", (idle * 100.0, "%"), Target::AtMost(1.0), &note);
    }
}

/// Streams that follow their source.
const LIVE: &str = "SELECT count(*) FROM landfall.streams WHERE phase = 'live' AND owner_nonce IS NOT NULL";

/// Puts a copy of a folder in place of another.
fn copied(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp can be started");
    assert!(done.success(), "the state directory can be copied");
}
