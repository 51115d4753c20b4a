//! `landfall deadletter retry` and `discard`: order is kept, nothing is counted twice, and the sum of a stream's events stays exact.

mod collections;
mod serving;

use landfall_tests::config::Config;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::landfall::Finished;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::proxy::{Fault, FaultProxy};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// What every test ends with: the terms of the sum, and how many letters wait.
const SUM: &str = "select sum(next_offset)::text, sum(applied)::text, sum(superseded)::text, sum(filtered)::text, \
    sum(dead_lettered)::text, sum(discarded)::text, (select count(*)::text from landfall.dead_letters \
    where state in ('parked', 'behind')) from landfall.checkpoints";

fn mapped(n: &str) -> Value {
    json!({ "key": "id", "columns": { "n": n, "t": "text" } })
}

fn config(name: &str, n: &str) -> Config {
    let log = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "1s" });
    Config::new(name).source("log", log).stream("things", "log", mapped(n))
}

/// A site on whose lines `n` is an integer; those that say otherwise are parked.
fn parked(name: &str, lines: &[&str]) -> Site {
    let site = Site::on(config(name, "integer"), PostgresServer::shared().database(name));
    append(&site, lines);
    site.apply_schema();
    let _ = site.catch_up();
    site
}

fn append(site: &Site, lines: &[&str]) {
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(site.path("log.ndjson")).unwrap();
    log.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

/// The mapping of now takes any number.
fn mend(site: &mut Site, name: &str) {
    site.database().run("alter table things alter column n type numeric");
    site.reconfigure(config(name, "numeric"));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
}

fn result(finished: &Finished) -> Value {
    serde_json::from_str::<Value>(finished.stdout.trim()).unwrap_or_else(|_| panic!("{}", finished.output()))["result"]
        .clone()
}

fn redress(site: &Site, words: &[&str]) -> Value {
    let words: Vec<&str> = ["deadletter"].iter().chain(words).chain(&["-o", "json"]).copied().collect();
    result(&site.finish(&words))
}

/// `captured = applied + superseded + filtered + dead-lettered + discarded` with nothing queued, and as many letters wait as are counted.
#[track_caller]
fn expect_sum(site: &Site, captured: u64) -> Vec<u64> {
    let row = site.database().rows(SUM).remove(0);
    let terms: Vec<u64> = row.into_iter().map(|term| term.unwrap().parse().unwrap()).collect();
    assert_eq!(terms[0], captured, "events: {terms:?}");
    assert_eq!(terms[1..6].iter().sum::<u64>(), captured, "the sum: {terms:?}");
    assert_eq!(terms[4], terms[6], "letters that wait are those that are counted: {terms:?}");
    terms
}

fn rows(site: &Site) -> Vec<(String, String, String)> {
    let rows = site.database().rows("select id, coalesce(n::text, '-'), coalesce(t, '-') from things order by id");
    rows.into_iter()
        .map(|row| {
            let mut row = row.into_iter().map(Option::unwrap);
            (row.next().unwrap(), row.next().unwrap(), row.next().unwrap())
        })
        .collect()
}

fn row(id: &str, n: &str, t: &str) -> (String, String, String) {
    (id.to_owned(), n.to_owned(), t.to_owned())
}

const LINES: [&str; 7] = [
    r#"{"id":"a","n":1.5,"t":"first"}"#,
    r#"{"id":"b","n":1,"t":"good"}"#,
    r#"{"id":"a","n":2,"t":"second"}"#,
    r#"{"id":"c","n":0.25,"t":"one"}"#,
    r#"{"id":"a","n":3,"t":"third"}"#,
    r#"{"id":"d","n":"text","t":"never"}"#,
    r#"{"id":"d","n":4,"t":"behind"}"#,
];

#[test]
fn after_a_mapping_fix_letters_and_what_waits_behind_them_become_rows_in_their_order() {
    let mut site = parked("redress_fix", &LINES);
    assert_eq!(rows(&site), [row("s:b", "1", "good")]);
    assert_eq!(expect_sum(&site, 7)[4], 6);
    mend(&mut site, "redress_fix");
    let dry = redress(&site, &["retry", "--all", "--dry-run"]);
    assert_eq!((&dry["applied"], &dry["superseded"], &dry["still_parked"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(rows(&site), [row("s:b", "1", "good")], "a dry run does nothing");
    let finished = site.finish(&["deadletter", "retry", "--all", "-o", "json"]).expect(3);
    assert_eq!(
        result(&finished),
        json!({ "dry_run": false, "applied": 2, "superseded": 2, "filtered": 0, "discarded": 0, "still_parked": 1, "not_records": 0 })
    );
    let expected = [row("s:a", "3", "third"), row("s:b", "1", "good"), row("s:c", "0.25", "one")];
    assert_eq!(rows(&site), expected);
    let terms = expect_sum(&site, 7);
    assert_eq!((terms[1], terms[2], terms[4]), (3, 2, 2), "{terms:?}");
    let versions = "select count(*) from things t join landfall.dead_letters d on d.version = t._lf_version where d.state = 'retried'";
    assert_eq!(site.database().count(versions), 2, "rows carry the versions of their changes");
    // Given up, what waits behind it has its turn.
    let refused = site.finish(&["deadletter", "discard", "--all", "-o", "json"]);
    assert_eq!(refused.code, Some(2), "nobody was asked: {}", refused.output());
    let discarded = redress(&site, &["discard", "--all", "--yes", "--actor", "ada", "--reason", "hopeless"]);
    assert_eq!((&discarded["discarded"], &discarded["applied"]), (&json!(1), &json!(1)));
    assert!(rows(&site).contains(&row("s:d", "4", "behind")));
    let terms = expect_sum(&site, 7);
    assert_eq!((terms[4], terms[5]), (0, 1), "{terms:?}");
    let mut database = site.database();
    let who =
        "select actor || ': ' || (evidence ->> 'reason') from landfall.history where event = 'dead_letters_discarded'";
    assert_eq!(database.value(who).as_deref(), Some("ada: hopeless"));
    append(&site, &[r#"{"id":"a","n":9,"t":"later"}"#, r#"{"id":"d","n":10,"t":"later"}"#]);
    let _ = site.catch_up();
    assert!(rows(&site).contains(&row("s:a", "9", "later")), "the key is free again");
    expect_sum(&site, 9);
}

#[test]
fn a_change_that_still_fails_in_the_middle_becomes_the_head_and_nothing_passes_it() {
    let lines = [
        r#"{"id":"a","n":1.5,"t":"first"}"#,
        r#"{"id":"a","n":"bad","t":"second"}"#,
        r#"{"id":"a","n":3,"t":"third"}"#,
        "not json at all",
    ];
    let mut site = parked("redress_middle", &lines);
    mend(&mut site, "redress_middle");
    let done = redress(&site, &["retry", "--stream", "things"]);
    assert_eq!((&done["applied"], &done["still_parked"], &done["not_records"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(rows(&site), [row("s:a", "1.5", "first")]);
    assert_eq!(expect_sum(&site, 4)[4], 3);
    let listed = redress(&site, &["list"]);
    let letters = listed["letters"].as_array().unwrap();
    let head = letters.iter().find(|letter| letter["code"] == "column_type").unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((&head["path"], &head["behind"]), (&json!("/n"), &json!(1)));
    // By its number, with everything behind it.
    let id = head["id"].to_string();
    let gone = redress(&site, &["discard", &id, "--behind", "--yes"]);
    assert_eq!((&gone["discarded"], &gone["applied"]), (&json!(2), &json!(0)));
    assert_eq!(rows(&site), [row("s:a", "1.5", "first")]);
    let again = site.finish(&["deadletter", "retry", &id]);
    assert_eq!(again.code, Some(1), "{}", again.output());
    let terms = expect_sum(&site, 4);
    assert_eq!((terms[4], terms[5]), (1, 2), "{terms:?}");
    assert_eq!(site.finish(&["deadletter", "retry"]).code, Some(2), "which letters has to be said");
}

#[test]
fn rows_that_postgresql_refuses_again_stay_parked_with_its_word_and_the_others_go() {
    let mut site = parked("redress_refused", &LINES);
    mend(&mut site, "redress_refused");
    site.database().run("alter table things add constraint small check (n < 3)");
    let done = redress(&site, &["retry", "--all"]);
    assert_eq!((&done["applied"], &done["still_parked"]), (&json!(2), &json!(2)), "{done}");
    assert!(rows(&site).contains(&row("s:a", "2", "second")), "as far as it goes: {:?}", rows(&site));
    expect_sum(&site, 7);
    let state =
        site.database().value("select sqlstate from landfall.dead_letters where code = 'refused' and state = 'parked'");
    assert_eq!(state.as_deref(), Some("23514"));
    site.database().run("alter table things drop constraint small");
    let done = redress(&site, &["retry", "--code", "refused"]);
    assert_eq!(done["applied"], 1);
    assert!(rows(&site).contains(&row("s:a", "3", "third")));
    expect_sum(&site, 7);
}

#[test]
fn through_a_running_service_under_traffic_order_and_sum_hold_and_two_at_once_do_no_harm() {
    let mut site = parked("redress_live", &LINES[..2]);
    mend(&mut site, "redress_live");
    // Two hundred keys that are parked still, each with changes behind it, and writing goes on.
    let bad: Vec<String> = (0..200).map(|n| format!(r#"{{"id":"k{n}","n":"x","t":"bad"}}"#)).collect();
    append(&site, &bad.iter().map(String::as_str).collect::<Vec<_>>());
    let service = site.run_and_listen();
    wait_until(SOON, "all of them are parked", || {
        site.database()
            .count("select count(*) from landfall.dead_letters where code = 'column_type' and state = 'parked'")
            == 200
    });
    for round in 1..=20 {
        let lines: Vec<String> = (0..200).map(|n| format!(r#"{{"id":"k{n}","n":{round},"t":"r{round}"}}"#)).collect();
        append(&site, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        if round == 10 {
            let command = |code: &str| {
                site.command(&["deadletter", "discard", "--code", code, "--yes", "-o", "json"]).finish(SOON)
            };
            let (one, two) = std::thread::scope(|scope| {
                let one = scope.spawn(|| command("column_type"));
                let two = scope.spawn(|| command("column_type"));
                (one.join().unwrap(), two.join().unwrap())
            });
            let discarded = [&one, &two]
                .map(|done| result(done)["discarded"].as_u64().unwrap_or_else(|| panic!("{}", done.output())));
            assert_eq!(discarded.iter().sum::<u64>(), 200, "each letter is given up once: {discarded:?}");
        }
    }
    wait_until(SOON, "the last of every key", || {
        site.database().count("select count(*) from things where n = 20 and t = 'r20'") == 200
    });
    site.expect_stream("things", "quiet", |stream| stream.state() == "following");
    let retried = redress(&site, &["retry", "--all"]);
    assert_eq!((&retried["applied"], &retried["still_parked"]), (&json!(1), &json!(0)), "{retried}");
    assert!(rows(&site).contains(&row("s:a", "1.5", "first")));
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    expect_sum(&site, 2 + 200 * 21);
}

#[test]
fn killed_at_any_point_what_is_settled_is_settled_once() {
    for (at, point) in [
        "redress::before_commit",
        "sink::before_checkpoint",
        "sink::before_commit",
        "sink::after_commit",
        "redress::after_commit",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("redress_killed_{at}");
        let mut site = parked(&name, &LINES);
        mend(&mut site, &name);
        let point = KillPoint { name: point, hit: 1 };
        let died = site.command(&["deadletter", "retry", "--all"]).kill_at(&point).finish(SOON);
        assert_eq!(died.code, None, "{point}: {}", died.output());
        expect_sum(&site, 7);
        let _ = site.finish(&["deadletter", "retry", "--all"]).expect(3);
        let expected = [row("s:a", "3", "third"), row("s:b", "1", "good"), row("s:c", "0.25", "one")];
        assert_eq!(rows(&site), expected, "{point}");
        let terms = expect_sum(&site, 7);
        assert_eq!((terms[1], terms[2], terms[4]), (3, 2, 2), "{point}: {terms:?}");
    }
}

#[test]
fn a_stream_with_a_letter_that_is_too_old_halts_and_goes_on_when_it_is_settled() {
    let log = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "1s" });
    let mut stream = mapped("integer");
    stream["max_parked_age"] = json!("1h");
    let config = Config::new("redress_age").source("log", log).stream("things", "log", stream);
    let site = Site::on(config, PostgresServer::shared().database("redress_age"));
    append(&site, &LINES);
    site.apply_schema();
    let service = site.run_and_listen();
    let seen = site.expect_stream("things", "counted", |stream| stream.text().contains("column_type"));
    assert_eq!(seen.state(), "following", "a young letter halts nothing: {}", seen.text());
    site.database()
        .run("update landfall.dead_letters set created_at = now() - interval '2 hours' where code = 'column_type'");
    let halted = site.expect_stream("things", "halted", |stream| stream.state() == "halted");
    assert_eq!(halted.code(), "dead_letters_too_old");
    assert!(halted.text().contains("landfall deadletter retry --stream things"), "{}", halted.text());
    append(&site, &[r#"{"id":"z","n":1,"t":"waits"}"#]);
    wait_until(SOON, "it is captured meanwhile", || {
        site.status().and_then(|s| s.stream("things")).is_some_and(|s| s.text().contains("\"queued\":1"))
    });
    assert_eq!(rows(&site).len(), 1, "nothing is applied");
    let done = redress(&site, &["discard", "--code", "column_type", "--yes"]);
    assert!(done["discarded"].as_u64().unwrap() > 0, "{done}");
    wait_until(SOON, "it goes on", || rows(&site).contains(&row("s:z", "1", "waits")));
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    expect_sum(&site, 8);
}

#[test]
fn an_answer_that_is_lost_is_settled_by_the_letters_and_not_by_a_second_try() {
    for (at, fault) in [Fault::CutAfterCommit, Fault::CutBeforeCommit, Fault::CutInCommit].into_iter().enumerate() {
        let name = format!("redress_cut_{at}");
        let mut site = parked(&name, &LINES);
        mend(&mut site, &name);
        let direct = site.login().clone();
        let proxy = FaultProxy::start(PostgresServer::shared().port());
        site.reach(direct.through(proxy.port()));
        // The admission commits first; the settlement is the commit behind it.
        let _ = redress(&site, &["list"]);
        proxy.once(fault);
        let done = site.finish(&["deadletter", "retry", "--all"]);
        assert!(matches!(done.code, Some(1 | 3)), "{fault:?}: {}", done.output());
        proxy.heal();
        let again = site.finish(&["deadletter", "retry", "--all"]);
        assert_eq!(again.code, Some(3), "{fault:?}: {}", again.output());
        site.reach(direct);
        let terms = expect_sum(&site, 7);
        assert_eq!((terms[1], terms[2], terms[4]), (3, 2, 2), "{fault:?}: {terms:?}");
    }
}
