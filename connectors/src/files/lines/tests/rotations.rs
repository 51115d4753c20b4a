//! Each kind of rotation, while running and while stopped.

use super::*;

#[test]
fn a_renamed_file_is_drained_before_its_successor() {
    let mut bench = Bench::new("rename", "a.log");
    bench.append("a.log", &lines(1..3));
    bench.drain();
    bench.append("a.log", &lines(3..4));
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", &lines(10..11));
    bench.append("a.log.1", &lines(4..5));
    bench.settle();
    bench.saw(&[&line(1), &line(2), &line(3), &line(4), &line(10)]);
    // The writer still holds the old file.
    bench.append("a.log.1", &lines(5..6));
    bench.settle();
    bench.saw(&[&line(5)]);
}

#[test]
fn a_finished_file_that_one_listing_misses_is_not_read_again() {
    let mut bench = Bench::new("missed", "a.log");
    bench.append("a.log", &lines(1..2));
    bench.drain();
    for (number, chain) in [(2, &["a.log"][..]), (3, &["a.log.1", "a.log"][..])] {
        for (age, name) in chain.iter().enumerate() {
            bench.rename(name, &format!("a.log.{}", chain.len() - age));
        }
        bench.append("a.log", &lines(number..number + 1));
        bench.settle();
    }
    bench.saw(&[&line(1), &line(2), &line(3)]);
    // A directory that is read while its files are renamed may show one of them under neither name; no descriptor is open here.
    bench.stop();
    bench.rename("a.log.1", "elsewhere");
    bench.reopen();
    bench.drain();
    bench.rename("elsewhere", "a.log.1");
    bench.append("a.log", &lines(4..5));
    bench.settle();
    bench.saw(&[&line(4)]);
}

#[test]
fn a_chain_that_moved_while_stopped_is_read_in_order() {
    let mut bench = Bench::new("chain", "a.log");
    bench.append("a.log.1", &lines(90..92));
    bench.append("a.log", &lines(1..3));
    bench.drain();
    bench.stop();
    bench.append("a.log", &lines(3..5));
    bench.rename("a.log.1", "a.log.4");
    bench.gzip("a.log.4");
    bench.rename("a.log", "a.log.3");
    bench.gzip("a.log.3");
    bench.append("a.log.2", &lines(10..12));
    bench.gzip("a.log.2");
    bench.append("a.log.1", &lines(20..22));
    bench.append("a.log", &lines(30..31));
    bench.reopen();
    assert_eq!(bench.settle(), Step::CaughtUp);
    let expected: Vec<String> = [1, 2, 3, 4, 10, 11, 20, 21, 30].map(line).to_vec();
    assert_eq!(bench.seen, expected, "and what was there before the first start is not ours");
    bench.reopen();
    bench.append("a.log", &lines(31..32));
    bench.settle();
    assert_eq!(bench.seen.len(), expected.len() + 1);
}

#[test]
fn dated_rotation_is_followed() {
    let mut bench = Bench::new("dated", "a.log");
    bench.append("a.log", &lines(1..2));
    bench.drain();
    bench.stop();
    bench.append("a.log", &lines(2..3));
    bench.rename("a.log", "a.log-20240101");
    bench.append("a.log-20240102", &lines(3..4));
    bench.append("a.log", &lines(4..5));
    bench.reopen();
    bench.settle();
    bench.saw(&[&line(1), &line(2), &line(3), &line(4)]);
}

#[test]
fn a_copy_holds_the_rest_of_a_truncated_file() {
    for stopped in [false, true] {
        let mut bench = Bench::new("copytruncate", "a.log");
        bench.append("a.log", &lines(1..3));
        bench.drain();
        if stopped {
            bench.stop();
        }
        bench.append("a.log", &lines(3..5));
        bench.copy_truncate("a.log", "a.log.1");
        // Already longer than before: only the content tells.
        bench.append("a.log", &lines(10..20));
        if stopped {
            bench.gzip("a.log.1");
            bench.reopen();
        }
        assert_eq!(bench.settle(), Step::CaughtUp);
        let expected: Vec<String> = (1..5).chain(10..20).map(line).collect();
        assert_eq!(bench.seen, expected, "stopped: {stopped}");
    }
}

#[test]
fn a_copy_made_before_the_last_lines_is_no_loss() {
    let mut bench = Bench::new("early", "a.log");
    bench.append("a.log", &lines(1..200));
    fs::copy(bench.dir.join("a.log"), bench.dir.join("a.log.1")).unwrap();
    bench.append("a.log", &lines(200..210));
    bench.drain();
    fs::write(bench.dir.join("a.log"), lines(300..301)).unwrap();
    assert_eq!(bench.settle(), Step::CaughtUp);
    let expected: Vec<String> = (1..210).chain(300..301).map(line).collect();
    assert_eq!(std::mem::take(&mut bench.seen), expected);
    bench.reopen();
    assert_eq!(bench.settle(), Step::CaughtUp);
    bench.saw(&[]);
}

#[test]
fn rotated_files_that_the_glob_means_are_not_read_twice() {
    let mut bench = Bench::new("globbed", "a.log*");
    bench.append("a.log.2", &lines(1..3));
    bench.gzip("a.log.2");
    bench.append("a.log.1", &lines(3..5));
    bench.append("a.log", &lines(5..7));
    assert_eq!(bench.settle(), Step::CaughtUp);
    let mut expected: Vec<String> = (1..7).map(line).collect();
    assert_eq!(bench.seen, expected);
    bench.rename("a.log.2.gz", "a.log.3.gz");
    bench.rename("a.log.1", "a.log.2");
    fs::copy(bench.dir.join("a.log"), bench.dir.join("a.log.1")).unwrap();
    bench.settle();
    bench.gzip("a.log.2");
    fs::write(bench.dir.join("a.log"), lines(7..8)).unwrap();
    bench.settle();
    bench.reopen();
    assert_eq!(bench.settle(), Step::CaughtUp);
    expected.push(line(7));
    assert_eq!(bench.seen, expected);
}

#[test]
fn a_truncation_without_a_copy_halts_until_it_is_accepted() {
    let mut bench = Bench::new("shrank", "a.log");
    bench.append("a.log", &lines(1..5));
    bench.drain();
    fs::write(bench.dir.join("a.log"), lines(7..8)).unwrap();
    assert_eq!(bench.settle(), Step::Blocked);
    assert!(matches!(bench.condition(), Condition::Halted(failure) if failure.code == FILE_SHRANK));
    bench.reopen();
    assert_eq!(bench.settle(), Step::Blocked);
    assert_eq!(bench.seen.len(), 4);
    let other = Decision { stream: StreamId(1), subject: "other".into(), ruling: Ruling::Accept };
    assert!(!bench.source().decide(&other));
    assert!(bench.accept());
    assert_eq!(bench.settle(), Step::CaughtUp);
    assert_eq!(bench.seen[4..], [line(7)]);
    bench.reopen();
    assert_eq!(bench.settle(), Step::CaughtUp);
    assert_eq!(bench.seen.len(), 5);
}

#[test]
fn a_lost_rest_that_comes_back_ends_the_halt() {
    let mut bench = Bench::new("returns", "a.log");
    bench.append("a.log", &lines(1..3));
    bench.drain();
    bench.stop();
    bench.append("a.log", &lines(3..4));
    bench.rename("a.log", "elsewhere");
    bench.append("a.log", &lines(4..5));
    bench.reopen();
    assert_eq!(bench.settle(), Step::Blocked);
    assert!(matches!(bench.condition(), Condition::Halted(_)));
    bench.rename("elsewhere", "a.log.1");
    assert_eq!(bench.settle(), Step::CaughtUp);
    bench.saw(&[&line(1), &line(2), &line(3), &line(4)]);
}

#[test]
fn a_rewrite_of_the_same_size_is_noticed() {
    let mut bench = Bench::new("same", "a.log");
    bench.append("a.log", &lines(1..3));
    bench.drain();
    let path = bench.dir.join("a.log");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, lines(7..9)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(bench.settle(), Step::Blocked);
    assert!(matches!(bench.condition(), Condition::Halted(_)));
}

#[test]
fn a_deleted_file_is_read_to_its_end_before_the_one_in_its_place() {
    for parent in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
        if !parent.is_dir() {
            continue;
        }
        let mut bench = Bench::under(&parent, "recreate", "a.log");
        for round in 0..20u32 {
            let first = round * 10;
            bench.append("a.log", &lines(first..first + 2));
            bench.drain();
            bench.append("a.log", &lines(first + 2..first + 3));
            fs::remove_file(bench.dir.join("a.log")).unwrap();
            bench.append("a.log", &lines(first + 3..first + 4));
            bench.settle();
            let expected: Vec<String> = (first..first + 4).map(line).collect();
            assert_eq!(std::mem::take(&mut bench.seen), expected, "round {round} in {}", parent.display());
        }
    }
}

#[test]
fn an_unfinished_line_of_a_rotated_file_is_waited_for_and_then_settled() {
    let mut bench = Bench::new("unfinished", "a.log");
    bench.append("a.log", &lines(1..2));
    bench.append("a.log", "{\"id\":");
    bench.drain();
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", &lines(3..4));
    assert_eq!(bench.drain(), Step::Blocked);
    bench.append("a.log.1", "\"2\"}\n");
    bench.settle();
    bench.saw(&[&line(1), &line(2), &line(3)]);
    for (cut, shown) in [(line(4), line(4)), ("{\"id\":\"4".into(), "!malformed".to_owned())] {
        bench.append("a.log", &cut);
        bench.rename("a.log", "a.log.1");
        bench.append("a.log", &lines(5..6));
        assert_eq!(bench.drain(), Step::Blocked);
        assert_eq!(bench.settle(), Step::CaughtUp);
        bench.saw(&[&shown, &line(5)]);
    }
}
