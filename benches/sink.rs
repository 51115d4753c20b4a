//! The sink alone, from prepared rows, beside the bare loop; and the replay of a range that is applied already.

use landfall_benches::bare_merge::{self, BareBatch, BareLane};
use landfall_benches::batches::batches;
use landfall_benches::cluster::Cluster;
use landfall_benches::measured::Measured;
use landfall_benches::mix::Mix;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::{Comparison, interleaved};
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::site::Site;
use landfall_benches::sizes::Sizes;
use landfall_benches::users_pipeline::{self, Source};
use landfall_benches::users_table::{self, Counted};
use landfall_connectors::checkpoints::{Checkpoints, OwnerNonce, Phase, QueueId};
use landfall_connectors::postgres::{MappingChange, PostgresTarget, PostgresWriter, WantedStream};
use landfall_connectors::sink::{Sink, SinkBatch, Writer};
use landfall_pipeline::assemble;
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::mapping::StreamMapping;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// Connections: one per core of the server.
const LANES: usize = 2;
/// Events per transaction, as a lane that is behind takes them.
const BATCH: usize = 2_000;

struct Bench {
    cluster: Cluster,
    sizes: Sizes,
    mix: Mix,
    batches: Vec<Vec<SinkBatch>>,
    bare: Vec<Vec<BareBatch>>,
    pipeline: Site,
}

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("sink");
    let mut session = cluster.session();
    users_table::seed(&mut session, sizes.table_rows);
    let mix = Mix::steady(sizes.table_rows, sizes.events, 1);
    let batches = batches(&mix.changes, LANES, BATCH);
    let bare = bare_merge::prepare(&batches);
    let pipeline = users_pipeline::write(&run_dir::fresh("sink-pipeline"), &cluster.url(), Source::Document);
    let bench = Bench { cluster, sizes, mix, batches, bare, pipeline };
    let (mut other, mut replays) = (bench.cluster.session(), Vec::new());
    let runs = interleaved(
        sizes.rounds,
        || bench.bare(&mut session),
        || {
            let (first, replay) = bench.ours(&mut other);
            replays.push(replay);
            first
        },
    );
    let note = "2 connections, batches of 2 000, 80/15/5, right after a checkpoint";
    let title = Title { name: "sink from prepared rows", unit: "events", target: Target::AtLeast(0.90), note };
    report::comparison(title, &runs);
    let note = "baseline: the first pass over the same range, just before";
    let title = Title { name: "replay of an applied range", unit: "events", target: Target::AtLeast(1.3), note };
    report::comparison(title, &Comparison { baseline: runs.ours, ours: replays });
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
        self.check(session, "bare.users");
        measured
    }

    /// The first pass and the replay.
    fn ours(&self, session: &mut Session) -> (Measured, Measured) {
        session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
        let (target, mapping, owner) = self.live(session, &runtime());
        session.checkpoint();
        let mut lanes: Vec<Lane> = (0..LANES).map(|_| Lane { runtime: runtime(), writer: target.writer() }).collect();
        let mut pass = |session: &mut Session| {
            let server = (&mut *session, self.cluster.postmaster());
            let work = || apply_all(&mut lanes, (&mapping, owner), &self.batches);
            let (measured, ()) = Measured::with_server(self.sizes.events, server, work);
            self.check(session, "public.users");
            measured
        };
        let first = pass(session);
        session.execute(
            "UPDATE landfall.checkpoints SET next_offset = 0, applied = 0, superseded = 0, filtered = 0, dead_lettered = 0",
        );
        (first, pass(session))
    }

    /// The product's table with the seed in it, key and index built, the stream live and ours.
    fn live(&self, session: &mut Session, runtime: &Runtime) -> (PostgresTarget, StreamMapping, OwnerNonce) {
        let pipeline = self.pipeline.read();
        let mapping = pipeline.streams[0].clone();
        let target = assemble::target(&pipeline).expect("the bench's target is valid");
        let owner = OwnerNonce(Uuid::new_v4());
        let wanted = [WantedStream { mapping: &mapping, bulk: BulkLoad::Expected }];
        let applied = runtime.block_on(target.schema_apply(&wanted, MappingChange::Refuse, "bench"));
        applied.expect("an empty database takes the schema");
        users_table::fill(session, "public.users");
        runtime.block_on(async {
            target.admit(&mapping, QueueId(Uuid::new_v4()), owner).await.expect("nobody else owns the stream");
            target.writer().finish_bulk(&mapping, owner).await.expect("key and index can be built");
        });
        (target, mapping, owner)
    }

    fn check(&self, session: &mut Session, table: &str) {
        let expected = Counted { rows: self.mix.rows_after, written: self.mix.written_after };
        assert_eq!(users_table::counted(session, table), expected, "rows counted in PostgreSQL");
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime needs only memory")
}

/// A writer and the runtime its connection lives on.
struct Lane {
    runtime: Runtime,
    writer: PostgresWriter,
}

fn apply_all(lanes: &mut [Lane], stream: (&StreamMapping, OwnerNonce), batches: &[Vec<SinkBatch>]) {
    let (mapping, owner) = stream;
    std::thread::scope(|scope| {
        for (Lane { runtime, writer }, batches) in lanes.iter_mut().zip(batches) {
            scope.spawn(move || {
                runtime.block_on(async {
                    for batch in batches {
                        let _ = writer.apply(mapping, (owner, Phase::Live), batch).await.expect("the batch is applied");
                    }
                });
            });
        }
    });
}
