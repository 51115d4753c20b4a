//! What was captured, gone over once more: the same lines under the same keys, in the order of their capture.

use super::*;
use crate::reread::{Reread, Said, Seen, Taker};
use crate::retrace::{Moment, Retrace, Traced};

/// A line that was gone over once more.
type Line = (Moment, Vec<u8>, String);

impl Bench {
    /// Every line in the order of its moment, and the files that are gone.
    fn retraced(&self) -> (Vec<Line>, Vec<PathBuf>) {
        let streams = vec![stream(self.key.clone())];
        let mut retrace = LinesRetrace::new(config(&self.dir, &self.glob), streams, self.positions.clone());
        let mut found = Vec::new();
        let mut take = |traced: &Traced<'_>| {
            let said = match traced.said {
                Said::Record(record) => String::from_utf8_lossy(record).into_owned(),
                Said::Rejected(code) => format!("!{code}"),
                other => format!("{other:?}"),
            };
            found.push((traced.moment, traced.key.to_vec(), said));
            Ok(())
        };
        let gone = retrace.read(&mut take).unwrap();
        found.sort_by_key(|(moment, ..)| (moment.turns, moment.file, moment.at));
        (found, gone)
    }

    /// All of it is part of what was captured, in this order; and everything that no file has lost is there.
    pub(super) fn expect_retraced(&self) {
        let (found, gone) = self.retraced();
        let mut captured = self.keys.iter();
        for (moment, key, said) in &found {
            let met = captured.any(|(known, saying)| (known, saying) == (key, said));
            assert!(met, "not captured so, or in another order: {said} at {moment:?}");
        }
        let kept = Ledger::load(&self.positions).unwrap();
        let generations = kept.lineages.values().flat_map(|lineage| &lineage.generations);
        let lines: u64 = generations.map(|generation| generation.lines).sum();
        assert!(!gone.is_empty() || found.len() as u64 <= lines, "no line comes twice");
        if let (true, Some((last, _)), Some((_, found, _))) = (gone.is_empty(), self.keys.last(), found.last()) {
            assert_eq!(found, last, "the last line captured is the last one gone over");
        }
    }

    /// What stands under each key by what was captured.
    fn standing(&self) -> std::collections::BTreeMap<Vec<u8>, String> {
        self.keys.iter().cloned().collect()
    }
}

/// What a second reading says of each key in the end, and in which chains.
#[derive(Default)]
struct Read {
    said: std::collections::BTreeMap<Vec<u8>, String>,
    chains: std::collections::BTreeSet<u16>,
}

impl Taker for Read {
    fn restart(&mut self) -> Result<(), Failure> {
        *self = Self::default();
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        let Said::Record(record) = seen.said else { panic!("only records were written: {seen:?}") };
        self.said.insert(seen.key.to_vec(), String::from_utf8_lossy(record).into_owned());
        self.chains.insert(seen.chain);
        Ok(())
    }
}

/// The record of each key, where its last line is known.
fn resolved(lines: &[Line]) -> std::collections::BTreeMap<Vec<u8>, Option<String>> {
    let mut keys: std::collections::BTreeMap<Vec<u8>, Vec<&Line>> = std::collections::BTreeMap::new();
    for line in lines {
        let standing = keys.entry(line.1.clone()).or_default();
        standing.retain(|one| !one.0.is_before(&line.0));
        if !standing.iter().any(|one| line.0.is_before(&one.0)) {
            standing.push(line);
        }
    }
    let known = |standing: Vec<&Line>| (standing.len() == 1).then(|| standing[0].2.clone());
    keys.into_iter().map(|(key, standing)| (key, known(standing))).collect()
}

fn version(id: u32, version: u32) -> String {
    format!("{{\"id\":{id},\"v\":{version}}}\n")
}

#[test]
fn of_files_by_date_the_last_line_of_a_key_is_known() {
    let mut bench = Bench::new("dated", "*.ndjson");
    // The name that sorts last is written first.
    for (month, name) in ["z-05", "m-06", "a-07"].iter().enumerate() {
        let lines: String = (0..50).map(|id| version(id * (month as u32 + 1), month as u32)).collect();
        bench.append(&format!("{name}.ndjson"), &lines);
        bench.settle();
        bench.reopen();
    }
    let (lines, gone) = bench.retraced();
    assert_eq!((lines.len(), gone.len()), (150, 0));
    let expected = bench.standing().into_iter().map(|(key, said)| (key, Some(said))).collect();
    assert_eq!(resolved(&lines), expected);
}

#[test]
fn a_second_reading_that_knows_the_order_has_one_chain_and_reads_what_capture_has_not() {
    let mut bench = Bench::new("in-order", "*.log");
    for (round, name) in ["b.log", "a.log", "b.log", "c.log", "a.log"].into_iter().enumerate() {
        let lines: String = (0..20).map(|id| version(id * (round as u32 + 1), round as u32)).collect();
        bench.append(name, &lines);
        bench.settle();
    }
    bench.rename("a.log", "a.log.1");
    bench.gzip("a.log.1");
    bench.append("a.log", &version(3, 50));
    bench.settle();
    let mut expected = bench.standing();
    // Not captured: an unfinished line is none, and a line in a new file is the last.
    bench.append("b.log", "{\"id\":0,\"v\":");
    bench.append("d.log", &version(7, 99));
    expected.insert(b"n:7".to_vec(), version(7, 99).trim_end().to_owned());
    let mut reread = LinesReread::new(config(&bench.dir, "*.log"), vec![stream(bench.key.clone())]);
    let mut read = Read::default();
    let _ = reread.read(&mut read).unwrap();
    assert!(read.chains.len() > 1 && read.said != expected, "the files alone do not say it");
    reread.know_order(&bench.positions);
    let mut read = Read::default();
    let _ = reread.read(&mut read).unwrap();
    assert_eq!(read.chains.into_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(read.said, expected);
}

#[test]
fn files_that_are_written_side_by_side_are_in_order_as_long_as_turns_are_remembered() {
    let mut bench = Bench::new("sides", "*.log");
    for round in 0..400 {
        let name = ["a.log", "b.log", "c.log"][round as usize % 3];
        bench.append(name, &version(round / 7, round));
        bench.drain();
        if round % 31 == 0 {
            bench.reopen();
        }
    }
    let (lines, _) = bench.retraced();
    let (found, standing) = (resolved(&lines), bench.standing());
    let mut unknown = 0;
    for (key, said) in found {
        match said {
            Some(said) => assert_eq!(said, standing[&key], "what is called known is right"),
            None => unknown += 1,
        }
    }
    assert!((1..=standing.len() - 2).contains(&unknown), "{unknown} of {}", standing.len());
}

#[test]
fn keys_by_place_are_those_of_capture_through_rotation_and_compression() {
    let mut bench = Bench::new("places", "a.log");
    bench.key = KeyFrom::Position;
    bench.reopen();
    for n in 0..5 {
        bench.append("a.log", &lines(n * 10..n * 10 + 10));
        bench.settle();
        for older in (1..=n).rev() {
            bench.rename(&format!("a.log.{older}"), &format!("a.log.{}", older + 1));
        }
        bench.rename("a.log", "a.log.1");
    }
    bench.append("a.log", &(lines(90..92) + "not json\n"));
    bench.settle();
    bench.gzip("a.log.5");
    bench.copy_truncate("a.log.1", "a.log.6");
    let (lines, gone) = bench.retraced();
    assert_eq!((lines.len(), gone), (53, Vec::new()));
    let expected = bench.standing().into_iter().map(|(key, said)| (key, Some(said))).collect();
    assert_eq!(resolved(&lines), expected);
}

#[test]
fn lines_of_files_that_are_gone_are_told_and_what_capture_has_not_read_is_left_out() {
    let mut bench = Bench::new("gone", "*.log");
    bench.append("a.log", &lines(1..3));
    bench.append("b.log", &lines(3..5));
    bench.settle();
    bench.stop();
    fs::remove_file(bench.dir.join("a.log")).unwrap();
    bench.append("b.log", &lines(5..9));
    bench.append("new.log", &lines(20..30));
    let (found, gone) = bench.retraced();
    let said: Vec<&str> = found.iter().map(|(.., said)| said.as_str()).collect();
    assert_eq!(said, [line(3), line(4)]);
    assert_eq!(gone, [bench.dir.join("a.log")]);
}
