//! Letters taken up through a service that dies, that is paused, or that is told two things at once.

use super::{LINES, SOON, append, expect_sum, mend, parked, redress, row, rows};
use landfall_tests::kill_point::KillPoint;
use landfall_tests::site::Site;
use std::time::Duration;

#[test]
fn a_service_killed_while_it_takes_letters_up_leaves_each_settled_once_or_not_at_all() {
    for (at, (point, hit)) in [
        ("redress::before_commit", 1),
        ("sink::before_commit", 1),
        ("sink::after_commit", 1),
        ("redress::after_commit", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("redress_service_killed_{at}");
        let mut site = parked(&name, &LINES);
        mend(&mut site, &name);
        let mut service = site.command(&["run"]).kill_at(&KillPoint { name: point, hit }).start();
        site.expect_stream("things", "up", |stream| stream.state() == "following");
        let _ = site.finish(&["deadletter", "retry", "--all"]);
        assert!(service.ends_within(SOON), "{point} was not reached");
        expect_sum(&site, 7);
        append(&site, &[r#"{"id":"e","n":5,"t":"later"}"#]);
        let service = site.run_and_listen();
        let _ = site.finish(&["deadletter", "retry", "--all"]).expect(3);
        site.expect_stream("things", "applied", |stream| stream.text().contains("\"queued\":0"));
        let expected =
            [row("s:a", "3", "third"), row("s:b", "1", "good"), row("s:c", "0.25", "one"), row("s:e", "5", "later")];
        assert_eq!(rows(&site), expected, "{point}");
        service.terminate();
        let _ = service.finish(Duration::from_secs(30)).expect(0);
        let terms = expect_sum(&site, 8);
        assert_eq!((terms[1], terms[2], terms[4]), (4, 2, 2), "{point}: {terms:?}");
    }
}

#[test]
fn letters_of_a_paused_stream_are_taken_up_and_nothing_else_of_it_is_applied() {
    let mut site = parked("redress_paused", &LINES);
    mend(&mut site, "redress_paused");
    let service = site.run_and_listen();
    let _ = site.finish(&["pause", "things"]).expect(0);
    append(&site, &[r#"{"id":"a","n":9,"t":"while paused"}"#, r#"{"id":"e","n":5,"t":"while paused"}"#]);
    site.expect_stream("things", "captured", |stream| stream.text().contains("\"queued\":2"));
    let done = redress(&site, &["retry", "--all"]);
    assert_eq!((&done["applied"], &done["still_parked"]), (&2.into(), &1.into()), "{done}");
    assert_eq!(rows(&site), [row("s:a", "3", "third"), row("s:b", "1", "good"), row("s:c", "0.25", "one")]);
    let _ = site.finish(&["resume", "things"]).expect(0);
    site.expect_stream("things", "applied", |stream| stream.text().contains("\"queued\":0"));
    assert!(rows(&site).contains(&row("s:a", "9", "while paused")), "the newer change is over what was retried");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    expect_sum(&site, 9);
}

/// Connections that were made to the database so far.
fn sessions(site: &Site) -> i64 {
    site.database().count("select sessions from pg_stat_database where datname = current_database()")
}

#[test]
fn hundreds_of_keys_are_taken_up_over_a_few_connections() {
    let lines: Vec<String> = (0..600).map(|n| format!(r#"{{"id":"k{n}","n":"{n}x","t":"t{n}"}}"#)).collect();
    let site = parked("redress_connections", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let before = sessions(&site);
    let _ = site.finish(&["deadletter", "discard", "--all", "--yes"]).expect(0);
    let made = sessions(&site) - before;
    assert!((1..100).contains(&made), "{made} connections for 600 keys");
    assert_eq!(expect_sum(&site, 600)[5], 600);
}

#[test]
fn a_retry_beside_a_discard_settles_each_letter_once() {
    let lines: Vec<String> = (0..600).map(|n| format!(r#"{{"id":"k{}","n":"{n}x","t":"t{n}"}}"#, n % 300)).collect();
    let site = parked("redress_beside", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(expect_sum(&site, 600)[4], 600);
    let service = site.run_and_listen();
    site.expect_stream("things", "up", |stream| stream.state() == "following");
    std::thread::scope(|scope| {
        let retrying = scope.spawn(|| site.finish(&["deadletter", "retry", "--all"]));
        let discarding = scope.spawn(|| site.finish(&["deadletter", "discard", "--all", "--behind", "--yes"]));
        let (retried, discarded) = (retrying.join().unwrap(), discarding.join().unwrap());
        assert!(matches!(retried.code, Some(0 | 3)), "{}", retried.output());
        assert!(matches!(discarded.code, Some(0 | 3)), "{}", discarded.output());
    });
    let _ = site.finish(&["deadletter", "discard", "--all", "--behind", "--yes"]);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    let terms = expect_sum(&site, 600);
    assert_eq!((terms[4], terms[5], terms[6]), (0, 600, 0), "each was given up exactly once: {terms:?}");
    assert!(rows(&site).is_empty(), "none of them is a record");
}
