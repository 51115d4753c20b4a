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
use landfall_benches::sizes::Sizes;
use landfall_benches::user::User;
use landfall_benches::users_pipeline::{Source, UsersPipeline};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Changes per second.
const RATE: u64 = 1_000;
/// Between two looks of the reader.
const POLL: Duration = Duration::from_micros(500);
/// Lines written before the clock starts: the stream is live and warm then.
const WARM: u64 = 2_000;
/// A look at rows that are not there yet: those of the last second and more are asked for.
const WINDOW: usize = 5_000;

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("latency");
    let mut session = cluster.session();
    lines(&cluster, &mut session, sizes);
    for _ in 0..sizes.rounds {
        visible(&cluster, &mut session, sizes);
    }
}

fn fresh(cluster: &Cluster, session: &mut Session, source: Source) -> UsersPipeline {
    session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
    let pipeline = UsersPipeline::write(&run_dir::fresh("latency-pipeline"), &cluster.url(), source);
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
        let seen = watch(session, numbers.clone());
        (seen, writer.join().expect("the writer does not panic"))
    });
    let mut times: Vec<f64> =
        written.iter().zip(&seen).map(|(written, seen)| (*seen - *written).as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let note = format!(
        "{RATE}/s for {} s, one write(2) a line, write → row visible to a reader that polls",
        sizes.latency_seconds
    );
    report::figure("latency p50", (at(0.5), "ms"), Target::AtMost(20.0), &note);
    report::figure("latency p99", (at(0.99), "ms"), Target::AtMost(60.0), &note);
    report::figure("latency max", (at(1.0), "ms"), Target::None, &note);
}

fn text(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let changes: Vec<Change> = numbers.map(|number| Change { user: User::new(number, 0), delete: false }).collect();
    let mut out = Vec::new();
    Mix { changes, rows_after: 0, written_after: 0 }.write_lines(&mut out);
    out
}

/// When each user was first seen, in order of the numbers.
fn watch(session: &mut Session, numbers: std::ops::Range<u64>) -> Vec<Instant> {
    let ids: Vec<String> = numbers.map(|number| User::new(number, 0).id()).collect();
    session.run(async |client| {
        let look = client
            .prepare(
                "SELECT a.n::int4 FROM unnest($1::text[]) WITH ORDINALITY AS a (id, n) \
            WHERE EXISTS (SELECT FROM public.users u WHERE u.id = a.id)",
            )
            .await?;
        client.batch_execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off").await?;
        let mut seen: Vec<Option<Instant>> = vec![None; ids.len()];
        let mut first = 0;
        while first < ids.len() {
            let open: Vec<usize> =
                (first..ids.len()).filter(|at| seen[*at].is_none()).take(window(&seen, first)).collect();
            let asked: Vec<&str> = open.iter().map(|at| ids[*at].as_str()).collect();
            let rows = client.query(&look, &[&asked]).await?;
            let now = Instant::now();
            for row in rows {
                let place: i32 = row.try_get(0)?;
                seen[open[place as usize - 1]] = Some(now);
            }
            while first < ids.len() && seen[first].is_some() {
                first += 1;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(seen.into_iter().map(|seen| seen.expect("the loop ends when all are seen")).collect())
    })
}

/// How many of the missing rows to ask for: twice as many as there are gaps behind the last one seen, and some.
fn window(seen: &[Option<Instant>], first: usize) -> usize {
    let last = seen.iter().rposition(Option::is_some).unwrap_or(first).max(first);
    (2 * (last - first) + 50).min(WINDOW)
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
