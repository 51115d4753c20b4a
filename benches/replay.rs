//! `landfall replay` of a range in which every row is written again, beside the apply of that same range: both by the release program, process
//! start to process end, both an update of every row.
//!
//! The rows are spoilt by SQL in between, as a mapping that was mended would leave them: each is then to be written under its own version.

use landfall_benches::cluster::Cluster;
use landfall_benches::landfall;
use landfall_benches::measured::Measured;
use landfall_benches::mix::{Change, Mix};
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::Comparison;
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::sizes::Sizes;
use landfall_benches::user::User;
use landfall_benches::users_pipeline::{self, Source};
use std::fs::OpenOptions;
use std::io::Write;

/// Rows that a mended mapping would write otherwise.
const SPOILT: &str = "SELECT count(*) FROM public.users WHERE name LIKE '% '";

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("replay");
    let (mut session, rows) = (cluster.session(), sizes.records / 2);
    let mut runs = Comparison { baseline: Vec::new(), ours: Vec::new() };
    for _ in 0..sizes.rounds {
        let (baseline, ours) = round((&mut session, &cluster), rows);
        runs.baseline.push(baseline);
        runs.ours.push(ours);
    }
    let note = "an update of every row, process start to end; baseline: the lines captured and applied, ours: replayed from a checkpoint";
    let title = Title { name: "replay, every row written", unit: "events", target: Target::AtLeast(0.9), note };
    report::comparison(title, &runs);
}

fn round((session, cluster): (&mut Session, &Cluster), rows: u64) -> (Measured, Measured) {
    session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
    let folder = run_dir::fresh("replay-pipeline");
    let site = users_pipeline::write(&folder, &cluster.url(), Source::Lines);
    landfall::schema_apply(&site);
    let append = |mix: &Mix| {
        let mut lines = Vec::new();
        mix.write_lines(&mut lines);
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("lines/users.ndjson"))
            .expect("a bench's own disk");
        log.write_all(&lines).expect("a bench's own disk has room");
    };
    append(&Mix::load(rows));
    let _ = landfall::run_until_caught_up(&site, rows, (&mut *session, cluster.postmaster()));
    landfall::tell(&site, &["checkpoint", "create", "here"]);
    let change = |number| Change { user: User::new(number, 1), delete: false, insert: false };
    append(&Mix { changes: (0..rows).map(change).collect(), rows_after: rows, written_after: rows });
    session.execute("VACUUM ANALYZE public.users");
    session.checkpoint();
    let applied = landfall::run_until_caught_up(&site, rows, (&mut *session, cluster.postmaster()));
    session.execute("UPDATE public.users SET name = name || ' '");
    session.execute("VACUUM ANALYZE public.users");
    session.checkpoint();
    assert_eq!(session.number(SPOILT).unsigned_abs(), rows, "spoilt rows counted in PostgreSQL");
    let replayed = landfall::replay(&site, "here", rows, (&mut *session, cluster.postmaster()));
    assert_eq!(session.number(SPOILT), 0, "spoilt rows counted in PostgreSQL");
    assert_eq!(session.number("SELECT count(*) FROM public.users").unsigned_abs(), rows, "rows counted in PostgreSQL");
    (applied, replayed)
}
