//! Latency of the release program at 1 000 changes a second: from the write of a line to its row being visible; and from the
//! rename of a rewritten document to its last changed row.
//!
//! A reader connection asks PostgreSQL every half millisecond; what it sees is late by up to that and one round trip.

use landfall_benches::cluster::Cluster;
use landfall_benches::document::{Document, Layout};
use landfall_benches::landfall::{self, Running};
use landfall_benches::mix::{Change, Mix};
use landfall_benches::report::{self, Target};
use landfall_benches::rounds::Spread;
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::sightings::{self, Delays};
use landfall_benches::site::Site;
use landfall_benches::sizes::Sizes;
use landfall_benches::user::User;
use landfall_benches::users_pipeline::{self, Source};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Changes per second.
const RATE: u64 = 1_000;
/// Lines written before the clock starts: the stream is live and warm then.
const WARM: u64 = 2_000;

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("latency");
    let mut session = cluster.session();
    lines(&cluster, &mut session, sizes);
    for _ in 0..sizes.rounds {
        visible(&cluster, &mut session, sizes);
    }
}

fn fresh(cluster: &Cluster, session: &mut Session, source: Source) -> Site {
    session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
    let pipeline = users_pipeline::write(&run_dir::fresh("latency-pipeline"), &cluster.url(), source);
    landfall::schema_apply(&pipeline);
    pipeline
}

fn lines(cluster: &Cluster, session: &mut Session, sizes: Sizes) {
    let pipeline = fresh(cluster, session, Source::Lines);
    let mut file =
        File::create(pipeline.folder().join("lines/users.ndjson")).expect("a bench's own folder is writable");
    file.write_all(&text(0..WARM)).expect("a bench's own disk has room");
    let mut running = Running::start(&pipeline);
    running.wait_applied(session, WARM);
    let count = sizes.latency_seconds * RATE;
    let numbers = WARM..WARM + count;
    let lines: Vec<Vec<u8>> = numbers.clone().map(|number| text(number..number + 1)).collect();
    let begun = Instant::now();
    let due = |at: usize| begun + Duration::from_micros(1_000_000 / RATE * at as u64);
    let (seen, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = Vec::with_capacity(lines.len());
            for (at, line) in lines.iter().enumerate() {
                std::thread::sleep(due(at).saturating_duration_since(Instant::now()));
                written.push(Instant::now());
                file.write_all(line).expect("a bench's own disk has room");
            }
            written
        });
        let ids: Vec<String> = numbers.clone().map(|number| User::new(number, 0).id()).collect();
        let seen = sightings::watch(session, ("public.users", "id"), &ids);
        (seen, writer.join().expect("the writer does not panic"))
    });
    let times = Delays::between(&written, &seen);
    let note = format!(
        "{RATE}/s for {} s, one write(2) a line, write → row visible to a reader that polls",
        sizes.latency_seconds
    );
    report::figure("latency p50", (times.at(0.5), "ms"), Target::AtMost(20.0), &note);
    report::figure("latency p99", (times.at(0.99), "ms"), Target::AtMost(60.0), &note);
    report::figure("latency max", (times.at(1.0), "ms"), Target::None, &note);
}

fn text(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let changes: Vec<Change> =
        numbers.map(|number| Change { user: User::new(number, 0), delete: false, insert: true }).collect();
    let mut out = Vec::new();
    Mix { changes, rows_after: 0, written_after: 0 }.write_lines(&mut out);
    out
}

fn visible(cluster: &Cluster, session: &mut Session, sizes: Sizes) {
    let pipeline = fresh(cluster, session, Source::Document);
    let records = sizes.document_bytes / 300;
    let changed = records / 1_000;
    let write = |changed, path: &Path| Document { records, changed, layout: Layout::Compact }.write(path);
    let store = pipeline.folder().join("users.json");
    write(0, &store);
    let mut running = Running::start(&pipeline);
    let first_revision = landfall::settled(session, &mut running);
    assert!(first_revision >= records, "the first revision is applied");
    let next = pipeline.folder().join("next");
    write(changed, &next);
    let mut times = Vec::new();
    let begun = Instant::now();
    fs::rename(&next, &store).expect("a rename needs no room");
    let end = running.wait_applied(session, first_revision + changed);
    times.push((end - begun).as_secs_f64());
    let written = session.number(&format!(
        "SELECT count(*) FROM public.users WHERE (_lf_version & ((1::int8 << 48) - 1)) >= {first_revision}"
    ));
    assert_eq!(written.unsigned_abs(), changed, "rows counted in PostgreSQL");
    let note =
        format!("{} MB, {changed} of {records} records changed, service running", sizes.document_bytes / 1_000_000);
    report::figure("rename → rows visible", (Spread::of(times.into_iter()).median, "s"), Target::AtMost(0.6), &note);
}
