//! A directory whose index is lost behind trimmed history, and goes on from the keys of its table.

use super::*;
use crate::source::History;

fn keys(bench: &Bench) -> Vec<Vec<u8>> {
    bench.target().rows.into_keys().map(String::into_bytes).collect()
}

fn taken_and_lost(name: &str, files: u32) -> (Bench, DirectorySource) {
    let bench = Bench::new(name, KeyFrom::Name);
    for id in 0..files {
        bench.put(&format!("{id}.json"), "{}");
    }
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    std::fs::remove_file(bench.dir.join("state/s0.index")).unwrap();
    bench.log.trim(bench.log.end());
    let mut source = bench.open();
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    let condition = source.conditions().remove(0).1;
    assert!(matches!(&condition, Condition::Halted(failure) if failure.code == "index_lost"), "{condition:?}");
    (bench, source)
}

#[test]
fn adopted_keys_are_written_anew_or_deleted_by_which_files_there_are() {
    let (bench, mut source) = taken_and_lost("adopted", 12);
    let before = bench.log.events().len();
    bench.delete("3.json");
    bench.put("4.json", "[]");
    bench.put("new.json", "1");
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked, "a lost index reads nothing");
    assert_eq!(bench.log.events().len(), before);
    assert!(source.adopt(StreamId(0), keys(&bench)));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let events = bench.log.events().split_off(before);
    let deleted: Vec<_> = events.iter().filter(|event| event.op == Op::Delete).map(|event| &*event.key).collect();
    assert_eq!(deleted, ["s:3"]);
    assert_eq!(events.iter().filter(|event| event.op == Op::Upsert && !event.snapshot).count(), 12);
    assert_eq!(events.len(), 13);
    let target = bench.target();
    assert_eq!((target.rows.len(), &*target.rows["s:4"], &*target.rows["s:new"]), (12, "[]", "1"));

    drop(source);
    assert_eq!(settle(&mut bench.open(), &bench.log), Step::CaughtUp);
    assert_eq!(bench.log.events().len(), before + 13, "the adopted index was saved");
}

#[test]
fn adopted_keys_without_a_file_are_deleted_under_the_guard() {
    let (bench, mut source) = taken_and_lost("adopted-held", 60);
    let before = bench.log.events().len();
    for id in 0..30 {
        bench.delete(&format!("{id}.json"));
    }
    assert!(source.adopt(StreamId(0), keys(&bench)));
    assert_eq!(settle(&mut source, &bench.log), Step::Blocked);
    let condition = source.conditions().remove(0).1;
    let Condition::Held { revision, deletes: 30, of: 60, refused: false } = condition else {
        panic!("not held: {condition:?}")
    };
    assert_eq!(bench.log.events().len(), before, "nothing is handed out of a held look");
    assert!(source.decide(&Decision { stream: StreamId(0), subject: revision, ruling: Ruling::Accept }));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    assert_eq!(bench.rows().len(), 30);
}

#[test]
fn an_index_begun_anew_takes_the_keys_it_lacks_and_no_others() {
    let bench = Bench::new("adopted-beside-rows", KeyFrom::Name);
    bench.put("a.json", "{}");
    let mut source = bench.open();
    settle(&mut source, &bench.log);
    let before = bench.log.events().len();
    assert!(!source.adopt(StreamId(7), Vec::new()), "another stream");
    assert!(source.adopt(StreamId(0), vec![b"s:a".to_vec(), b"s:b".to_vec()]));
    assert_eq!(settle(&mut source, &bench.log), Step::CaughtUp);
    let events = bench.log.events().split_off(before);
    let seen: Vec<_> = events.iter().map(|event| (event.op, &*event.key)).collect();
    assert_eq!(seen, [(Op::Delete, "s:b")]);
}
