//! A SQLite file whose changes are logged by triggers: every way in which a row can come, change and go is in the log, or read whole.
//!
//! What is expected is read from the file itself, by SQLite, as text.

use landfall_tests::config::Config;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::sqlite_sides::{self, Question};
use landfall_tests::wait::wait_until;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// Keys by collation, without a type, of a child that goes with its parent, and a rowid alone.
const SCHEMA: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, v INTEGER);
    CREATE TABLE tags (name TEXT PRIMARY KEY COLLATE NOCASE, v INTEGER) WITHOUT ROWID;
    CREATE TABLE loose (k UNIQUE, v INTEGER);
    CREATE TABLE orders (owner INTEGER REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER, v INTEGER, PRIMARY KEY (owner, n));
    CREATE TABLE notes (v INTEGER);
";

const QUESTIONS: [Question; 5] = [
    ("select id, email, v from users order by id", "select id::text, email, v::text from users order by users.id"),
    (
        "select name, v from tags order by name collate binary",
        "select name, v::text from tags order by name collate \"C\"",
    ),
    (
        "select case typeof(k) when 'text' then 's:' || k when 'integer' then 'n:' || k \
         else 'n:' || case when k = cast(k as integer) then cast(cast(k as integer) as text) else cast(k as text) end end as key, v \
         from loose where k is not null order by key collate binary",
        "select k, v::text from loose order by k collate \"C\"",
    ),
    (
        "select owner, n, v from orders order by owner, n",
        "select owner::text, n::text, v::text from orders order by orders.owner, orders.n",
    ),
    ("select rowid, v from notes order by rowid", "select rowid::text, v::text from notes order by notes.rowid"),
];

fn config(name: &str, full_pass: &str) -> Config {
    let source = json!({ "kind": "sqlite", "path": "app.db", "capture": "triggers", "full_pass": full_pass });
    let key = |from: &str, ty: &str| json!({ "from": from, "type": ty, "name": from });
    Config::new(name)
        .source("app", source)
        .stream("users", "app", json!({ "key": key("id", "bigint"), "columns": { "email": "text", "v": "bigint" } }))
        .stream("tags", "app", json!({ "key": key("name", "text"), "columns": { "v": "bigint" } }))
        .stream("loose", "app", json!({ "key": "k", "columns": { "v": "bigint" } }))
        .stream(
            "orders",
            "app",
            json!({ "key": ["owner", "n"], "columns": { "owner": "bigint", "n": "bigint", "v": "bigint" } }),
        )
        .stream("notes", "app", json!({ "key": key("rowid", "bigint"), "columns": { "v": "bigint" } }))
}

fn create(site: &Site) -> Connection {
    let writer = Connection::open(site.path("app.db")).unwrap();
    writer.busy_timeout(Duration::from_secs(20)).unwrap();
    writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;").unwrap();
    writer.execute_batch(SCHEMA).unwrap();
    writer
}

fn expect_soon(site: &Site, writer: &Connection, moment: &str) {
    sqlite_sides::expect_soon(site, writer, &QUESTIONS, moment);
}

fn logged(writer: &Connection) -> i64 {
    let tables = ["users", "tags", "loose", "orders", "notes"];
    let count =
        |table: &&str| writer.query_row(&format!("select count(*) from \"_landfall_{table}\""), [], |row| row.get(0));
    tables.iter().map(|table| count(table).unwrap_or(0_i64)).sum()
}

/// One statement of the product's, of all the kinds that go round triggers in one way or another.
fn statement(seed: &mut Seed) -> String {
    let (id, other, v) = (seed.below(40), seed.below(40), seed.below(1_000_000));
    let word = if seed.one_in(2) { format!("name{other}") } else { format!("NAME{other}") };
    let any = match seed.below(4) {
        0 => format!("'{id}'"),
        1 => format!("{id}.0"),
        2 => format!("{id}.5"),
        _ => id.to_string(),
    };
    match seed.below(17) {
        0 | 1 => format!("insert or replace into users values ({id}, '{word}', {v})"),
        2 => format!("update or replace users set email = '{word}', v = {v} where id = {id}"),
        3 => format!("update or replace users set id = {other} where id = {id}"),
        4 => format!("delete from users where id = {id}"),
        5 => format!("insert into users values ({id}, '{word}', {v}) on conflict do update set v = excluded.v"),
        6 => format!("insert or ignore into users values ({id}, '{word}', {v})"),
        7 => format!("insert or replace into tags values ('{word}', {v})"),
        8 => format!("update or ignore tags set name = '{word}' where name = 'name{id}'"),
        9 => format!("delete from tags where name = '{word}'"),
        10 | 11 => format!("insert or replace into loose values ({any}, {v})"),
        12 => format!("update or replace loose set k = {any}, v = {v} where v % 40 = {id}"),
        13 => format!("delete from loose where k = {any}"),
        14 => format!("insert or replace into orders select id, {other}, {v} from users where id = {id}"),
        15 => format!("insert into notes values ({v})"),
        _ => format!("delete from notes where rowid % 40 = {id}"),
    }
}

#[test]
fn every_way_in_which_rows_come_change_and_go_is_followed() {
    let site = Site::new(config("triggers_every_way", "1d"));
    let writer = create(&site);
    let mut seed = Seed::new(11);
    // A table that loses all its rows would be held.
    let kept = "insert into users values (1000, 'kept', 0); insert into orders values (1000, 0, 0); insert into tags values ('kept', 0)";
    writer.execute_batch(kept).unwrap();
    for id in 0..40 {
        let sql = format!(
            "insert into users values ({id}, 'name{id}', 0); insert into tags values ('name{id}', 0); insert into loose values ({id}, {id}); insert into notes values ({id})"
        );
        writer.execute_batch(&sql).unwrap();
    }
    let checked = site.finish(&["check"]).expect(0);
    assert!(!checked.stdout.contains("is read whole"), "{}", checked.stdout);
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    expect_soon(&site, &writer, "after the first load");
    for round in 0..60 {
        writer.execute_batch("begin").unwrap();
        for _ in 0..=seed.below(12) {
            let sql = statement(&mut seed);
            // A key that another statement took refuses this one, and the transaction goes on.
            let _ = writer.execute_batch(&sql);
        }
        let end = if seed.one_in(6) { "rollback" } else { "commit" };
        writer.execute_batch(end).unwrap();
        if round % 6 == 5 {
            expect_soon(&site, &writer, &format!("after round {round}"));
        }
    }
    wait_until(SOON, "what was captured leaves the log", || logged(&writer) == 0);
    service.terminate();
    let _ = service.finish(SOON).expect(0);
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
    site.expect_witness("after the service ended");
}

#[test]
fn only_rows_that_the_log_names_are_read_between_full_passes() {
    for (full_pass, seen) in [("1d", false), ("1s", true)] {
        let site = Site::new(config(&format!("triggers_named_{full_pass}"), full_pass));
        let writer = create(&site);
        writer.execute_batch("insert into users values (1, 'a', 0), (2, 'b', 0)").unwrap();
        site.apply_schema();
        let service = site.run_and_listen();
        expect_soon(&site, &writer, "after the first load");
        wait_until(SOON, "the triggers are there", || {
            writer.query_row(
                "select count(*) from sqlite_schema where name like '\\_landfall\\_%' escape '\\'",
                [],
                |row| row.get(0),
            ) == Ok(28)
        });
        writer.execute_batch("update users set v = 1 where id = 2").unwrap();
        expect_soon(&site, &writer, "after a change that was logged");
        // A writer without triggers is not noticed by its row, until everything is read.
        writer.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        writer.execute_batch("update users set v = 7 where id = 1").unwrap();
        writer.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true).unwrap();
        writer.execute_batch("update users set v = 2 where id = 2").unwrap();
        let v = |id: u32| site.database().count(&format!("select v from users where id = {id}"));
        wait_until(SOON, "the logged change arrives", || v(2) == 2);
        if seen {
            wait_until(SOON, "a full pass finds the other", || v(1) == 7);
        } else {
            writer.execute_batch("update users set v = 3 where id = 2").unwrap();
            wait_until(SOON, "the next logged change arrives", || v(2) == 3);
            assert_eq!(v(1), 0, "the row was read though nothing named it");
        }
        service.terminate();
        let _ = service.finish(SOON).expect(0);
    }
}

#[test]
fn whatever_the_log_cannot_explain_is_read_whole() {
    let site = Site::new(config("triggers_doubtful", "1d"));
    let writer = create(&site);
    for id in 0..200 {
        let sql = format!(
            "insert into users values ({id}, 'n{id}', 0); insert into notes values ({id}); insert into loose values ({id}, 0)"
        );
        writer.execute_batch(&sql).unwrap();
    }
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    expect_soon(&site, &writer, "after the first load");
    // VACUUM gives other rowids, where nothing names them.
    writer
        .execute_batch("delete from notes where rowid % 5 = 0; vacuum; update notes set v = v + 1 where rowid = 1")
        .unwrap();
    expect_soon(&site, &writer, "after VACUUM");
    writer.execute_batch("drop trigger \"_landfall_users after update\"; update users set v = 5 where id = 7").unwrap();
    expect_soon(&site, &writer, "after a trigger was dropped by hand");
    writer.execute_batch("alter table users add column more; update users set v = 6 where id = 8").unwrap();
    expect_soon(&site, &writer, "after a column was added");
    writer.execute_batch("begin; create table spare as select * from tags; drop table tags; create table tags (name TEXT PRIMARY KEY, v INTEGER); insert into tags values ('new', 1); commit").unwrap();
    expect_soon(&site, &writer, "after a table was made anew");
    writer.execute_batch("insert into loose values (null, 1); update loose set v = 9 where k = 3").unwrap();
    expect_soon(&site, &writer, "after a row without a key");
    wait_until(SOON, "it is parked", || site.database().count("select count(*) from landfall.dead_letters") == 1);
    // Much of a table is gone: the guard asks, about a revision that was read whole.
    writer.execute_batch("delete from users where id % 2 = 0").unwrap();
    let held = site.expect_stream("users", "held", |stream| stream.state() == "held");
    assert_eq!(site.database().count("select count(*) from users"), 200);
    let _ = site.finish(&["accept", "users", held.subject()]).expect(0);
    expect_soon(&site, &writer, "after the deletion was accepted");
    writer.execute_batch("update users set v = 11 where id = 9").unwrap();
    expect_soon(&site, &writer, "after the log is trusted again");
    service.terminate();
    let _ = service.finish(SOON).expect(0);
    site.expect_witness("after the service ended");
}

#[test]
fn a_database_that_may_not_be_written_is_followed_all_the_same_and_check_says_what_is_read_whole() {
    let mut config = config("triggers_held_off", "1d");
    config = config.stream("odd", "app", json!({ "key": "k", "columns": { "v": "bigint" } }));
    let mut site = Site::new(config);
    let writer = create(&site);
    writer
        .execute_batch("create table odd (k, v); insert into odd values ('x', 1); insert into users values (1, 'a', 0)")
        .unwrap();
    let checked = site.finish(&["check"]).expect(0);
    assert!(
        checked.stdout.contains("odd is read whole") && checked.stdout.contains("no unique index"),
        "{}",
        checked.stdout
    );
    // The lock that the triggers would need is held; in WAL mode reading goes on.
    let other = Connection::open(site.path("app.db")).unwrap();
    other.execute_batch("begin immediate").unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    expect_soon(&site, &writer, "while the triggers cannot be made");
    other.execute_batch("rollback").unwrap();
    writer.execute_batch("update users set v = 1; update odd set v = 2").unwrap();
    expect_soon(&site, &writer, "after the lock was given back");
    wait_until(SOON, "the table that cannot be logged is followed", || site.database().count("select v from odd") == 2);
    wait_until(SOON, "the triggers are made", || {
        logged(&writer) == 0
            && writer.query_row("select count(*) from sqlite_schema where type = 'trigger'", [], |row| row.get(0))
                == Ok(23)
    });
    service.terminate();
    let _ = service.finish(SOON).expect(0);
    // The configuration goes back: nothing is written any more, and `check` tells what is left behind.
    let scanned = site.config().clone().sqlite("app", "app.db");
    site.reconfigure(scanned);
    let checked = site.finish(&["check"]).expect(0);
    assert!(
        checked.stdout.contains("which nobody reads now") && checked.stdout.contains("DROP trigger"),
        "{}",
        checked.stdout
    );
}
