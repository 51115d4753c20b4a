//! A document whose index is lost behind trimmed history, and goes on from the keys of its table.

use super::*;

/// Loses a stream's index, and the history it could be built from.
fn lose(bench: &Bench, stream: u16) {
    std::fs::remove_file(bench.dir.join(format!("state/s{stream}.index"))).unwrap();
    bench.log.trim(crate::source::History::end(&*bench.log));
}

fn table_keys(bench: &Bench, stream: u16) -> Vec<Vec<u8>> {
    bench.log.target(stream).rows.into_keys().map(String::into_bytes).collect()
}

fn is_lost(condition: &Condition) -> bool {
    matches!(condition, Condition::Halted(failure) if failure.code == "index_lost")
}

fn taken_and_lost(name: &str, records: u32) -> (Bench, DocumentSource) {
    let bench = by_id(name);
    bench.put(numbered(0..records));
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    lose(&bench, 0);
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert!(is_lost(&only(&source)), "{:?}", only(&source));
    (bench, source)
}

#[test]
fn adopted_keys_are_written_anew_or_deleted_by_what_the_file_holds() {
    let (bench, mut source) = taken_and_lost("adopted", 30);
    let before = bench.log.events().len();
    bench.put(numbered(5..32));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked, "a lost index reads nothing");
    assert_eq!(bench.log.events().len(), before);
    assert!(source.adopt(StreamId(0), table_keys(&bench, 0)));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let events = bench.log.events().split_off(before);
    let of = |op| events.iter().filter(|event| event.op == op).count();
    assert_eq!((of(Op::Upsert), of(Op::Delete), events.len()), (27, 5, 32));
    assert!(events.iter().all(|event| !event.snapshot), "the table was copied before");
    let expected: Vec<_> = numbered_rows(5..32);
    assert_eq!(bench.rows(), expected);

    drop(source);
    let mut source = bench.open();
    bench.put(numbered(5..33));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), before + 33, "the adopted index was saved");
}

fn numbered_rows(ids: std::ops::Range<u32>) -> Vec<(String, String)> {
    let rows = ids.map(|id| (format!("n:{id}"), format!("{{\"id\":{id}}}")));
    rows.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
}

#[test]
fn adopted_keys_that_the_file_lacks_are_deleted_under_the_guard() {
    let (bench, mut source) = taken_and_lost("adopted-held", 100);
    let before = bench.log.events().len();
    bench.put(numbered(0..50));
    assert!(source.adopt(StreamId(0), table_keys(&bench, 0)));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    let Condition::Held { revision, deletes: 50, of: 100, refused: false } = only(&source) else {
        panic!("not held: {:?}", only(&source))
    };
    assert_eq!(bench.log.events().len(), before, "nothing is handed out of a held revision");
    assert!(source.decide(&Decision { stream: StreamId(0), subject: revision, ruling: Ruling::Accept }));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows(), numbered_rows(0..50));
}

#[test]
fn an_index_begun_anew_takes_the_keys_it_lacks_and_no_others() {
    let bench = by_id("adopted-beside-rows");
    bench.put(numbered(0..9));
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    let before = bench.log.events().len();
    let stood = (0..12).map(|id| format!("n:{id}").into_bytes()).collect();
    assert!(!source.adopt(StreamId(7), Vec::new()), "another stream");
    assert!(source.adopt(StreamId(0), stood));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let events = bench.log.events().split_off(before);
    assert!(events.iter().all(|event| event.op == Op::Delete));
    let gone: std::collections::BTreeSet<_> = events.into_iter().map(|event| event.key).collect();
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), ["n:10", "n:11", "n:9"]);
    bench.put(numbered(1..9));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), before + 4, "and goes on as an index does");
}

#[test]
fn a_first_revision_that_lost_its_index_half_way_still_ends_exactly_once() {
    let bench = by_id("adopted-half-way");
    bench.put(numbered(0..3_000));
    let mut source = bench.open();
    // Some of the first revision is handed out and durable, its end is not.
    loop {
        let mut batch = ChangeBatch::default();
        source.next(&mut batch).unwrap();
        if !batch.is_empty() {
            bench.log.append(&batch);
            source.durable(crate::source::History::end(&*bench.log)).unwrap();
            break;
        }
    }
    let ends = || bench.log.events().iter().filter(|event| event.op == Op::SnapshotEnd).count();
    assert_eq!(ends(), 0);
    assert!(bench.log.target(0).rows.len() < 3_000);
    drop(source);
    lose(&bench, 0);
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    assert!(is_lost(&only(&source)), "{:?}", only(&source));
    let adopted = table_keys(&bench, 0);
    let stood: std::collections::BTreeSet<_> = bench.log.target(0).rows.into_keys().collect();
    let before = bench.log.events().len();
    assert!(source.adopt(StreamId(0), adopted));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let events = bench.log.events().split_off(before);
    for event in events.iter().filter(|event| event.op == Op::Upsert) {
        assert_eq!(event.snapshot, !stood.contains(&event.key), "{:?}", event.key);
    }
    assert_eq!(ends(), 1);
    assert_eq!(bench.rows().len(), 3_000);
    drop(source);
    let mut source = bench.open();
    bench.put(numbered(0..3_001));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(ends(), 1, "complete for good");
}

#[test]
fn a_stream_is_adopted_between_passes_and_its_neighbour_is_not_read_anew() {
    let bench = Bench::new("adopted-beside", vec![stream(0, "/a", field("id")), stream(1, "/b", field("id"))]);
    let both = |a: std::ops::Range<u32>, b| format!("{{\"a\":{},\"b\":{}}}", numbered(a), numbered(b));
    bench.put(both(0..9, 0..9));
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    lose(&bench, 1);
    let mut source = bench.open();
    bench.put(both(0..10, 1..9));
    assert_eq!(source.next(&mut ChangeBatch::default()).unwrap(), Step::More);
    assert!(!source.adopt(StreamId(1), table_keys(&bench, 1)), "a pass is under way");
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    assert!(is_lost(&source.conditions()[1].1) && source.conditions()[0].1 == Condition::Following);
    let before = bench.log.events().len();
    assert!(source.adopt(StreamId(1), table_keys(&bench, 1)));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let events = bench.log.events().split_off(before);
    assert!(events.iter().all(|event| event.stream == StreamId(1)) && events.len() == 9, "{events:?}");
    assert_eq!((bench.log.target(0).rows.len(), bench.log.target(1).rows.len()), (10, 8));
}
