//! `landfall verify` of equal sides by the release program, beside two plain full reads of the same two sides run together; its peak
//! memory, over a tenth of the rows and over all; how fast it finds a thousand differences, and what it takes to repair them.
//!
//! The plain reads keep nothing: the document is split into raw values, the table is copied out in binary and its bytes are counted.

use futures_util::TryStreamExt;
use landfall_benches::cluster::Cluster;
use landfall_benches::document::{Document, Layout};
use landfall_benches::landfall::{self, Running};
use landfall_benches::measured::Measured;
use landfall_benches::raw_split;
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::interleaved;
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::site::Site;
use landfall_benches::sizes::Sizes;
use landfall_benches::users_pipeline::{self, Source};
use std::pin::pin;

/// What `verify` may take at most, whatever the size.
const LIMIT_MB: f64 = 100.0;
/// Rows that are spoilt.
const SPOILT: u64 = 1_000;

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("verify");
    let (mut session, mut other, mut copying) = (cluster.session(), cluster.session(), cluster.session());
    for records in [sizes.records / 10, sizes.records] {
        let site = load(&cluster, &mut session, records);
        let path = site.folder().join("users.json");
        let baseline = || plain_reads((&mut session, cluster.postmaster()), &mut copying, &path, records);
        let ours = || landfall::verify(&site, records, (&mut other, cluster.postmaster()), landfall::Equal::Yes);
        let runs = interleaved(sizes.rounds, baseline, ours);
        if records == sizes.records {
            let note = "process start to end; baseline: the document split into raw values while COPY (binary) of the table is drained";
            let title = Title { name: "verify, equal sides", unit: "records", target: Target::AtLeast(0.6), note };
            report::comparison(title, &runs);
        }
        let peak = runs.ours.iter().filter_map(|run| run.peak_rss).max().unwrap_or_default() as f64 / 1e6;
        let note = format!("{records} records of a document; largest of {} runs", runs.ours.len());
        report::figure(
            &format!("peak RSS of verify, {records} records"),
            (peak, "MB"),
            Target::AtMost(LIMIT_MB),
            &note,
        );
        if records == sizes.records {
            let spoil =
                "UPDATE public.users SET name = name || ' ' WHERE ctid IN (SELECT ctid FROM public.users LIMIT 1000)";
            other.execute(spoil);
            let found = landfall::verify(&site, records, (&mut other, cluster.postmaster()), landfall::Equal::No);
            let note = format!("{SPOILT} rows differ; they are looked at again on both sides and named");
            report::figure("verify with differences", (found.seconds, "s"), Target::None, &note);
            repair(&site, records, (&mut other, &cluster));
        }
    }
}

/// What a repair of the spoilt rows adds to the comparison that finds them, through a running service.
fn repair(site: &Site, records: u64, (session, cluster): (&mut Session, &Cluster)) {
    const LEFT: &str = "SELECT count(*) FROM public.users WHERE name LIKE '% '";
    let mut service = Running::start(site);
    let _ = landfall::settled(session, &mut service);
    let found = landfall::verify(site, records, (&mut *session, cluster.postmaster()), landfall::Equal::No);
    assert_eq!(session.number(LEFT).unsigned_abs(), SPOILT, "spoilt rows counted in PostgreSQL");
    let repaired = landfall::repair(site, records, (&mut *session, cluster.postmaster()));
    assert_eq!(session.number(LEFT), 0, "spoilt rows counted in PostgreSQL");
    let note = format!(
        "what --repair of {SPOILT} rows adds to a verify that finds them ({:.1} s beside the service): captured again, applied, compared \
         once more; {:.1} s in all",
        found.seconds, repaired.seconds
    );
    report::figure("repair", (repaired.seconds - found.seconds, "s"), Target::AtMost(3.0), &note);
}

/// A document and the table it became.
fn load(cluster: &Cluster, session: &mut Session, records: u64) -> Site {
    session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
    let folder = run_dir::fresh("verify-pipeline");
    let site = users_pipeline::write(&folder, &cluster.url(), Source::Document);
    landfall::schema_apply(&site);
    Document { records, changed: 0, layout: Layout::Compact }.write(&folder.join("users.json"));
    let _ = landfall::run_until_caught_up(&site, records, (&mut *session, cluster.postmaster()));
    assert_eq!(
        session.number("SELECT count(*) FROM public.users").unsigned_abs(),
        records,
        "rows counted in PostgreSQL"
    );
    session.checkpoint();
    site
}

fn plain_reads(
    (session, postmaster): (&mut Session, u32),
    copying: &mut Session,
    path: &std::path::Path,
    records: u64,
) -> Measured {
    let (measured, (values, bytes)) = Measured::with_server(records, (session, postmaster), || {
        std::thread::scope(|scope| {
            let source = scope.spawn(|| raw_split::split_and_hash(path).values);
            let bytes = copying.run(async |client| {
                let mut rows = pin!(client.copy_out("COPY public.users TO STDOUT (FORMAT binary)").await?);
                let mut bytes = 0;
                while let Some(part) = rows.try_next().await? {
                    bytes += part.len();
                }
                Ok(bytes)
            });
            (source.join().expect("a plain read does not panic"), bytes)
        })
    });
    assert_eq!(values, records, "values of the document");
    assert!(bytes as u64 > records * 100, "bytes of the table");
    measured
}
