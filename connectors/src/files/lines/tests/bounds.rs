//! Memory and time stay bounded whatever a file holds.

use super::*;

#[test]
fn a_line_over_the_limit_is_rejected_by_its_head() {
    let mut bench = Bench::new("overlong", "a");
    let long = "x".repeat(MAX_LINE_BYTES + 10);
    bench.append("a", &format!("{}\n{long}\n{}\n", line(1), line(2)));
    bench.drain();
    bench.saw(&[&line(1), "!too_large", &line(2)]);
    assert_eq!(bench.largest, OVERLONG_HEAD_BYTES);
}

#[test]
fn a_line_just_within_the_limit_is_handed_out() {
    let mut bench = Bench::new("longest", "a");
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(MAX_LINE_BYTES - 9));
    assert_eq!(long.len(), MAX_LINE_BYTES);
    // In pieces, so that it is searched, remembered and read again.
    let text = format!("{}\n{long}\n{}\n", line(1), line(2));
    for piece in text.as_bytes().chunks(5 << 20) {
        append(&bench.dir.join("a"), piece);
        bench.drain();
    }
    assert_eq!(bench.seen.len(), 3);
    assert!(bench.seen[1].len() == MAX_LINE_BYTES && bench.seen[2] == line(2));
    assert!(bench.source().reader.capacity() <= 4 << 20, "what the long line took is given back");
}

#[test]
fn a_gigabyte_without_a_newline_takes_no_memory_and_is_searched_once() {
    let mut bench = Bench::new("endless", "a");
    let path = bench.dir.join("a");
    bench.append("a", &lines(1..2));
    // Sparse: costs no disk.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    bench.drain();
    assert!(bench.source().reader.capacity() <= MAX_LINE_BYTES + (4 << 20));
    assert!(bench.source().reader.searched_bytes >= 1 << 30, "the count counts");
    bench.append("a", "more");
    let before = bench.source().reader.searched_bytes;
    bench.drain();
    let searched = bench.source().reader.searched_bytes - before;
    assert!(searched <= 4 << 10, "only what was added is searched, not {searched} bytes");
    bench.append("a", &format!("\n{}\n", line(2)));
    bench.settle();
    bench.saw(&[&line(1), "!too_large", &line(2)]);
}

#[test]
fn a_thousand_files_need_few_descriptors() {
    let mut bench = Bench::new("many", "**/*.log");
    for n in 0..1_000u32 {
        bench.append(&format!("{n:04}.log"), &lines(n..n + 1));
    }
    assert_eq!(bench.settle(), Step::CaughtUp);
    assert_eq!(bench.seen.len(), 1_000);
    for n in 0..1_000u32 {
        bench.append(&format!("{n:04}.log"), &lines(n + 5_000..n + 5_001));
    }
    bench.reopen();
    assert_eq!(bench.settle(), Step::CaughtUp);
    assert_eq!(bench.seen.len(), 2_000);
    assert!(bench.source().bodies.len() <= OpenBodies::MAX);
}

#[test]
fn a_batch_holds_no_more_than_its_bounds() {
    let mut bench = Bench::new("batches", "a");
    let text: String = (0..5_000).map(|id| format!("{{\"id\":{id},\"t\":\"{}\"}}\n", "x".repeat(2_000))).collect();
    bench.append("a", &text);
    let mut batches = 0;
    while bench.step() == Step::More {
        batches += 1;
    }
    assert_eq!(bench.seen.len(), 5_000);
    assert!(batches >= 10, "{batches} batches for 10 MB");
}
