//! The parts of the way, each alone: capture of lines, keys, queue frames, transform. What they cost per change adds up to the
//! budget of the whole way (about 3 µs). Measured in CPU time of the thread, which other work on the machine disturbs least;
//! waiting for the disk is not in it.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use landfall_benches::by_hand;
use landfall_benches::mix::Mix;
use landfall_benches::queue_load::{batches, open, read_all};
use landfall_benches::run_dir;
use landfall_benches::user::User;
use landfall_benches::users_pipeline::Source;
use landfall_connectors::files::lines::{LinesConfig, LinesFormat, LinesSource};
use landfall_connectors::files::pattern::Pattern;
use landfall_connectors::files::root::Symlinks;
use landfall_connectors::source::Cadence;
use landfall_pipeline::queue::Queue;
use landfall_pipeline::queue::embedded::Compression;
use landfall_pipeline::transform::RowPlan;
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::FieldPath;
use landfall_schemas::offset::{Generation, Sequence};
use landfall_schemas::row::RowSet;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

/// Records per iteration.
const RECORDS: u64 = 10_000;

/// CPU time of the thread, in nanoseconds.
struct ThreadCpu;

static WALL: WallTime = WallTime;

impl Measurement for ThreadCpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    }

    fn end(&self, begun: Duration) -> Duration {
        self.start() - begun
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WALL.formatter()
    }
}

fn records() -> Vec<Vec<u8>> {
    let record = |number| {
        let mut text = Vec::new();
        User::new(number, 0).write_json(&mut text);
        text
    };
    (0..RECORDS).map(record).collect()
}

fn transform(criterion: &mut Criterion<ThreadCpu>) {
    let pipeline = by_hand::pipeline(&run_dir::fresh("parts-transform"), Source::Lines);
    let mapping = &pipeline.streams[0];
    let records = records();
    let keys: Vec<Vec<u8>> = (0..RECORDS).map(|number| User::new(number, 0).record_key()).collect();
    let version = Generation::new(1).expect("1 is a generation").version(Sequence(7));
    let mut group = criterion.benchmark_group("transform");
    group.throughput(Throughput::Elements(RECORDS));
    let (mut plan, mut rows) = (RowPlan::new(mapping), RowSet::default());
    group.bench_function("record to row", |bencher| {
        bencher.iter(|| {
            rows.clear();
            for (key, record) in keys.iter().zip(&records) {
                let _ = plan.upsert(key, record, version, &mut rows).expect("a user fits its mapping");
            }
            rows.buffer.len()
        });
    });
    let mut key = RecordKey::default();
    group.bench_function("key of record", |bencher| {
        bencher.iter(|| {
            for record in &records {
                key_of(&mapping.key, record, None, &mut key).expect("a user has a key");
                black_box(key.as_bytes());
            }
        });
    });
    group.finish();
}

fn queue(criterion: &mut Criterion<ThreadCpu>) {
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(RECORDS));
    for (name, compression) in [("LZ4", Compression::Lz4), ("uncompressed", Compression::Off)] {
        let (queue, stream) = open(&run_dir::fresh("parts-queue"), compression);
        let batches = batches(stream, RECORDS, 1_000);
        for batch in &batches {
            let _ = queue.append(batch).expect("a bench's own disk has room");
        }
        group.bench_function(format!("read, {name}"), |bencher| bencher.iter(|| read_all(&queue, stream)));
        let (queue, _) = open(&run_dir::fresh("parts-append"), compression);
        group.bench_function(format!("append and sync, {name}"), |bencher| {
            bencher.iter(|| {
                for batch in &batches {
                    let _ = queue.append(batch).expect("a bench's own disk has room");
                }
            });
        });
    }
    group.finish();
}

fn capture(criterion: &mut Criterion<ThreadCpu>) {
    let folder = run_dir::fresh("parts-capture");
    let pipeline = by_hand::pipeline(&folder, Source::Lines);
    let mut lines = Vec::new();
    Mix::steady(RECORDS, RECORDS, 1).write_lines(&mut lines);
    std::fs::write(folder.join("lines/users.ndjson"), &lines).expect("a bench's own disk has room");
    let mut group = criterion.benchmark_group("capture");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("lines with operations", |bencher| {
        bencher.iter_with_setup(
            || {
                let (_, start) = by_hand::start(&run_dir::fresh("parts-capture-state"), &pipeline);
                LinesSource::open(lines_config(&folder), start).expect("the bench's own lines open")
            },
            |mut source| assert_eq!(by_hand::count(&mut source), RECORDS),
        );
    });
    group.finish();
}

/// A record of twelve fields, with a list of nested ones behind them where there is one.
fn wide(number: u64, nested: u64) -> Vec<u8> {
    let nested: Vec<String> = (0..nested)
        .map(|n| {
            format!(
                r#"{{"id":"t{number}-{n}","title":"task {n} of {number}","points":{n},"done":{},"due":"2026-01-02","owner":"user {number}"}}"#,
                n % 2 == 0
            )
        })
        .collect();
    let list = if nested.is_empty() { String::new() } else { format!(r#","tasks":[{}]"#, nested.join(",")) };
    format!(
        r#"{{"id":"p{number}","c1":"project number {number}","c2":"a description of some length, as such texts are","c3":{number},"c4":{}.25,"c5":true,"c6":"2026-03-04T05:06:07Z","c7":"2026-03-04","c8":"open","c9":{},"c10":"eu-west","c11":"3fa85f64-5717-4562-b3fc-2c963f66afa6"{list}}}"#,
        number * 3,
        number % 7
    )
    .into_bytes()
}

/// The mapping of [`wide`] records: key and eleven columns, and a table below of key, parent and five columns.
fn wide_mapping() -> landfall_schemas::mapping::StreamMapping {
    wide_mapping_with("")
}

/// The same with more columns.
fn wide_mapping_with(more: &str) -> landfall_schemas::mapping::StreamMapping {
    let folder = run_dir::fresh("parts-wide");
    let config = r#"
name: wide
target: { url: "postgres://nobody@127.0.0.1/none" }
state: { dir: ./state }
sources: { store: { kind: json_document, path: projects.json } }
streams:
  projects:
    source: store
    key: { from: id, type: text }
    columns: { c1: text, c2: text, c3: bigint, c4: "numeric(18,2)", c5: boolean, c6: timestamptz, c7: date, c8: text, c9: integer, c10: text, c11: uuid MORE }
    children:
      tasks:
        key: { from: id, type: text }
        columns: { title: text, points: integer, done: boolean, due: date, owner: text }
"#;
    let file = folder.join("landfall.yaml");
    std::fs::write(&file, config.replace(" MORE", more)).expect("a bench's own disk has room");
    let pipeline = landfall_pipeline::config::load(&file, &|_| None).expect("the bench's own configuration is good");
    pipeline.streams[0].clone()
}

/// Rows of one table against rows of a table and one below it, each row counted.
fn children(criterion: &mut Criterion<ThreadCpu>) {
    let mapping = wide_mapping();
    let version = Generation::new(1).expect("1 is a generation").version(Sequence(7));
    let mut group = criterion.benchmark_group("transform, cost of a row");
    for nested in [0, 1, 4] {
        let records: Vec<(Vec<u8>, Vec<u8>)> =
            (0..RECORDS).map(|number| (format!("s:p{number}").into_bytes(), wide(number, nested))).collect();
        let (mut plan, mut rows) = (RowPlan::new(&mapping), RowSet::default());
        group.throughput(Throughput::Elements(RECORDS * (1 + nested)));
        group.bench_function(format!("12 columns, {nested} rows below"), |bencher| {
            bencher.iter(|| {
                rows.clear();
                for (key, record) in &records {
                    let _ = plan.upsert(key, record, version, &mut rows).expect("a record fits its mapping");
                }
                assert_eq!(rows.children.len() as u64, RECORDS * nested);
                rows.buffer.len()
            });
        });
    }
    group.finish();
}

/// What a column costs that jq computes, beside the same row without it.
fn computed(criterion: &mut Criterion<ThreadCpu>) {
    let version = Generation::new(1).expect("1 is a generation").version(Sequence(7));
    let records: Vec<(Vec<u8>, Vec<u8>)> =
        (0..RECORDS).map(|number| (format!("s:p{number}").into_bytes(), wide(number, 0))).collect();
    let mut group = criterion.benchmark_group("transform, columns by jq");
    group.throughput(Throughput::Elements(RECORDS));
    for (name, more) in [
        ("none", ""),
        ("one: a sum", ", sum: { expr: \".c3 + .c9\", type: bigint }"),
        ("one: a text", ", low: { expr: \".c1 | ascii_downcase\", type: text }"),
        ("both", ", sum: { expr: \".c3 + .c9\", type: bigint }, low: { expr: \".c1 | ascii_downcase\", type: text }"),
    ] {
        let (mut plan, mut rows) = (RowPlan::new(&wide_mapping_with(more)), RowSet::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                rows.clear();
                for (key, record) in &records {
                    let _ = plan.upsert(key, record, version, &mut rows).expect("a record fits its mapping");
                }
                rows.buffer.len()
            });
        });
    }
    group.finish();
}

fn lines_config(folder: &std::path::Path) -> LinesConfig {
    let path = |name| FieldPath::parse(name).expect("a plain name is a path");
    LinesConfig {
        dir: folder.join("lines"),
        pattern: Pattern::new("*.ndjson").expect("a plain pattern"),
        symlinks: Symlinks::Refuse,
        format: LinesFormat::Operation {
            field: path("op"),
            delete: vec!["d".to_owned()],
            upsert: vec!["u".to_owned()],
            record: Some(path("row")),
        },
        cadence: Cadence::default(),
    }
}

criterion_group! {
    name = parts;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = transform, children, computed, queue, capture
}
criterion_main!(parts);
