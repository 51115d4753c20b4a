//! Measured, not asserted on every run: what comparing costs beside splitting and hashing.

use super::*;
use crate::files::split::{Body, NotJson, Origin, RecordSink, Shape};
use landfall_schemas::hash::RowHash;
use std::io::Write;

/// Splits and hashes, and nothing else: what no comparison can do without.
struct HashOnly(u128);

impl RecordSink for HashOnly {
    fn container(&mut self, _: usize, _: Shape) {}

    fn known(&mut self, _: Origin<'_>, _: &[u8]) -> Option<usize> {
        None
    }

    fn record(&mut self, _: Origin<'_>, body: Body<'_>) -> Result<(), NotJson> {
        if let Body::Whole(raw) = body {
            self.0 ^= RowHash::of(raw).0;
        }
        Ok(())
    }
}

/// Records of about 390 bytes, nested, with escapes; those in `changed` say so.
fn large_store(records: u32, changed: impl Fn(u32) -> bool) -> Vec<u8> {
    let mut out = b"[\n".to_vec();
    for id in 0..records {
        let mark = if changed(id) { "changed" } else { "as it was" };
        let _ = write!(
            out,
            "{}  {{\"id\":{id},\"name\":\"Person N\u{b0} {id}\",\"email\":\"person{id}@example.org\",\"mark\":\"{mark}\",\
             \"tags\":[\"one\",\"two\",\"three \\\"quoted\\\"\"],\"address\":{{\"street\":\"Street {}\",\"city\":\"Town\",\
             \"geo\":[{}.5,-{}.25]}},\"history\":[{{\"at\":\"2024-01-01T00:00:00Z\",\"by\":\"admin\",\"old\":null}},\
             {{\"at\":\"2024-02-01T00:00:00Z\",\"by\":\"someone else\",\"old\":true}}],\"note\":\"{}\"}}",
            if id == 0 { "" } else { ",\n" },
            id % 90,
            id % 77,
            id % 55,
            "some longer text ".repeat(3)
        );
    }
    out.extend_from_slice(b"\n]\n");
    out
}

/// Time this thread has been on a processor: other load on the machine does not count.
fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Seconds until the source has nothing more at hand; its changes are dropped.
fn drain(source: &mut DocumentSource) -> (f64, usize) {
    let (mut batch, mut events) = (ChangeBatch::default(), 0);
    let begin = on_cpu();
    while source.next(&mut batch).unwrap() == Step::More {
        events += batch.changes().len();
        batch.clear();
    }
    (on_cpu() - begin, events)
}

fn split_and_hash(file: &Path) -> f64 {
    let mut splitter = Splitter::new(Selection::new(&[Vec::new()]).unwrap());
    let (mut file, mut sink) = (std::fs::File::open(file).unwrap(), HashOnly(0));
    let begin = on_cpu();
    while splitter.advance(&mut file, &mut sink).unwrap() == Progress::More {}
    on_cpu() - begin
}

#[test]
#[ignore = "measures: run with --release"]
#[allow(clippy::print_stderr)]
fn comparing_a_large_document_keeps_pace_with_splitting_and_hashing() {
    let bench = by_id("pace");
    let records = 255_000;
    bench.put(large_store(records, |_| false));
    let mut source = bench.open();
    let (first, events) = drain(&mut source);
    let size = std::fs::metadata(bench.file()).unwrap().len() as f64 / 1e6;
    eprintln!("{size:.0} MB, {events} events; first revision {:.0} MB/s", size / first);
    let (mut alone, mut unchanged, mut changed, mut moved) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    for round in 1..=5 {
        alone = alone.min(split_and_hash(&bench.file()));
        bench.put(large_store(records, |id| id % 1_000 == round));
        let (took, events) = drain(&mut source);
        changed = changed.min(took);
        assert!((255..=510).contains(&events));
        source.look = None;
        unchanged = unchanged.min(drain(&mut source).0);
    }
    for round in 1..=3 {
        bench.put(large_store(records - round, |_| false));
        moved = moved.min(drain(&mut source).0);
    }
    let rate = |seconds: f64| size / seconds;
    eprintln!("split + hash {:.0} MB/s, 0.1 % changed {:.0} MB/s", rate(alone), rate(changed));
    eprintln!("unchanged {:.0} MB/s, few changed and one gone {:.0} MB/s", rate(unchanged), rate(moved));
    assert!(changed <= alone / 0.8, "ratio {:.2}", alone / changed);
}
