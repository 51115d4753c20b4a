//! Peak memory of the release program over a large NDJSON file, and over one with a tenth of the records.

use landfall_benches::cluster::Cluster;
use landfall_benches::landfall;
use landfall_benches::mix::{Change, Mix};
use landfall_benches::report::{self, Target};
use landfall_benches::run_dir;
use landfall_benches::session::Session;
use landfall_benches::sizes::Sizes;
use landfall_benches::user::User;
use landfall_benches::users_pipeline::{self, Source};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What `run` may take at most, whatever the file's size.
const LIMIT_MB: f64 = 150.0;

fn main() {
    let sizes = Sizes::read();
    let cluster = Cluster::start("memory");
    let mut session = cluster.session();
    for bytes in [sizes.lines_bytes / 10, sizes.lines_bytes] {
        peak(&cluster, &mut session, bytes);
    }
}

fn peak(cluster: &Cluster, session: &mut Session, bytes: u64) {
    session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
    let pipeline = users_pipeline::write(&run_dir::fresh("memory-pipeline"), &cluster.url(), Source::Lines);
    landfall::schema_apply(&pipeline);
    let records = write(&pipeline.folder().join("lines/users.ndjson"), bytes);
    let measured = landfall::run_until_caught_up(&pipeline, records, (&mut *session, cluster.postmaster()));
    let rows = session.number("SELECT count(*) FROM public.users");
    assert_eq!(rows.unsigned_abs(), records, "rows counted in PostgreSQL");
    let peak = measured.peak_rss.unwrap_or_default() as f64 / 1e6;
    let (client, server) = measured.cpu_per_million();
    let note = format!("{records} records; {:.0} events/s, CPU {client:.2} + {server:.2} s/M", measured.rate());
    let name = format!("peak RSS of run, {} MB of NDJSON", bytes / 1_000_000);
    report::figure(&name, (peak, "MB"), Target::AtMost(LIMIT_MB), &note);
}

/// Writes lines until the file has `bytes`; gives how many.
fn write(path: &Path, bytes: u64) -> u64 {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("a bench's own folder is writable"));
    let (mut written, mut number) = (0, 0);
    let mut text = Vec::new();
    while written < bytes {
        text.clear();
        let changes = vec![Change { user: User::new(number, 0), delete: false, insert: true }];
        Mix { changes, rows_after: 0, written_after: 0 }.write_lines(&mut text);
        out.write_all(&text).expect("a bench's own disk has room");
        written += text.len() as u64;
        number += 1;
    }
    out.flush().expect("a bench's own disk has room");
    number
}
