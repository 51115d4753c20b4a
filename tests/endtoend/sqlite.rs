//! A SQLite file that its product goes on writing to: loaded, followed, killed over, locked, damaged, emptied.
//!
//! What is expected is read from the file itself, by SQLite, as text.

use landfall_tests::config::Config;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::landfall::Landfall;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::sqlite_sides::{self, Question};
use landfall_tests::wait::wait_until;
use rusqlite::{Connection, params};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT, balance REAL, flag INTEGER, photo BLOB, note);
    CREATE TABLE shares (owner TEXT, fund TEXT, units INTEGER NOT NULL, PRIMARY KEY (owner, fund)) WITHOUT ROWID;
    CREATE TABLE \"audit log\" (at TEXT, \"what, exactly\" TEXT);
    CREATE TABLE ignored (id INTEGER PRIMARY KEY);
    CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 100;
";

/// The same question to both sides: keys first.
const QUESTIONS: [Question; 3] = [
    (
        "select id, name, cast(balance as text), flag, hex(photo) from accounts order by id",
        "select id::text, name, case when balance = trunc(balance) and abs(balance) < 1e15 then balance::bigint::text || '.0' \
         else balance::text end, flag::text, coalesce(upper(encode(photo, 'hex')), '') from accounts order by accounts.id",
    ),
    (
        "select owner, fund, units from shares order by owner, fund",
        "select owner, fund, units::text from shares order by owner collate \"C\", fund collate \"C\"",
    ),
    (
        "select rowid, at, \"what, exactly\" from \"audit log\" order by rowid",
        "select rowid::text, at, what from audit order by audit.rowid",
    ),
];

fn config(name: &str) -> Config {
    captured(name, "scan")
}

fn captured(name: &str, capture: &str) -> Config {
    Config::new(&format!("{name}_{capture}"))
        .source("app", json!({ "kind": "sqlite", "path": "app.db", "rescan": "1s", "capture": capture }))
        .stream(
            "accounts",
            "app",
            json!({ "key": { "from": "id", "type": "bigint" }, "columns": {
                "name": "text", "balance": "double precision", "flag": "bigint", "photo": "bytea" } }),
        )
        .stream(
            "shares",
            "app",
            json!({ "key": ["owner", "fund"], "columns": { "owner": "text", "fund": "text", "units": "integer" } }),
        )
        .stream(
            "audit",
            "app",
            json!({ "select": "audit log", "key": { "from": "rowid", "type": "bigint", "name": "rowid" },
                    "columns": { "at": "text", "what": { "from": "what, exactly", "type": "text" } } }),
        )
}

fn create(site: &Site, mode: &str) -> Connection {
    let writer = Connection::open(site.path("app.db")).unwrap();
    writer.pragma_update(None, "journal_mode", mode).unwrap();
    writer.busy_timeout(Duration::from_secs(20)).unwrap();
    writer.execute_batch(SCHEMA).unwrap();
    writer
}

fn expect_soon(site: &Site, writer: &Connection, moment: &str) {
    sqlite_sides::expect_soon(site, writer, &QUESTIONS, moment);
}

/// A transaction of the product's.
fn edit(writer: &mut Connection, seed: &mut Seed, next: &mut i64) {
    let transaction = writer.transaction().unwrap();
    for _ in 0..=seed.below(30) {
        let id = 1 + seed.below((*next).cast_unsigned().max(1)).cast_signed();
        match seed.below(7) {
            0 | 1 => {
                let sql = "insert into accounts (id, name, balance, flag, photo) values (?1, ?2, ?3, ?4, ?5)";
                let photo: Option<Vec<u8>> = seed.one_in(3).then(|| vec![0, seed.below(256) as u8]);
                let name: Option<String> = (!seed.one_in(5)).then(|| format!("née {}", seed.below(1_000)));
                transaction
                    .execute(sql, params![*next + 1, name, seed.below(9_999) as f64 / 4.0, seed.below(2) as i64, photo])
                    .unwrap();
                *next += 1;
            }
            2 => drop(
                transaction
                    .execute("update accounts set balance = balance + 0.25, note = ?2 where id = ?1", params![id, id])
                    .unwrap(),
            ),
            3 => drop(transaction.execute("delete from accounts where id = ?1 and id % 7 = 0", [id]).unwrap()),
            4 => {
                let sql = "insert into shares values (?1, ?2, 1) on conflict do update set units = units + 1";
                transaction.execute(sql, params![format!("o{}", id % 50), format!("F{}", seed.below(9))]).unwrap();
            }
            5 => drop(
                transaction
                    .execute(
                        "update or ignore shares set fund = fund || 'x' where owner = ?1 and length(fund) < 4",
                        [format!("o{}", id % 50)],
                    )
                    .unwrap(),
            ),
            _ => {
                let sql = "insert into \"audit log\" values (?1, ?2)";
                transaction
                    .execute(sql, params![format!("2026-11-{:02}", 1 + seed.below(28)), format!("did {id}")])
                    .unwrap();
            }
        }
    }
    if seed.one_in(8) {
        // What is rolled back was never there.
        transaction.execute("delete from accounts", []).unwrap();
        transaction.rollback().unwrap();
    } else {
        transaction.commit().unwrap();
    }
}

fn fill(writer: &mut Connection, rows: i64) -> i64 {
    let transaction = writer.transaction().unwrap();
    for id in 1..=rows {
        let sql = "insert into accounts (id, name, balance, flag) values (?1, ?2, ?3, 0)";
        transaction.execute(sql, params![id, format!("account {id}"), id as f64 / 8.0]).unwrap();
    }
    // Enough of them that the keys which `edit` changes in one revision are no suspicious loss.
    for owner in 0..rows.min(400) {
        transaction.execute("insert or ignore into shares values (?1, 'base', 1)", [format!("stays {owner}")]).unwrap();
    }
    transaction.commit().unwrap();
    rows
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_database_is_loaded_and_followed_while_its_product_writes_in_either_journal_mode() {
    for (mode, capture) in [("wal", "scan"), ("delete", "scan"), ("wal", "triggers"), ("delete", "triggers")] {
        let site = Site::new(captured(&format!("sqlite_{mode}"), capture));
        let mut writer = create(&site, mode);
        let (mut seed, mut next) = (Seed::new(5), 0);
        // More than a chunk, and more than stays in memory.
        next += fill(&mut writer, 40_000);
        let checked = site.finish(&["check"]).expect(0);
        assert!(checked.stdout.contains(&format!("journal mode {mode}")), "{}", checked.stdout);
        site.apply_schema_with_audit();
        let service = site.run_and_listen();
        expect_soon(&site, &writer, "after the first load");
        for round in 0..30 {
            edit(&mut writer, &mut seed, &mut next);
            if round % 10 == 9 {
                expect_soon(&site, &writer, mode);
            }
        }
        writer.execute("update accounts set flag = 1", []).unwrap();
        expect_soon(&site, &writer, "after every row changed");
        end(service);
        assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
        assert_eq!(site.database().count("select count(*) from accounts where rest is not null and rest <> '{\"note\": null}' and not rest ? 'note'"), 0);
        site.expect_witness("after the service ended");
    }
}

#[test]
fn kills_lose_nothing_and_repeat_nothing() {
    ["scan", "triggers"].into_iter().for_each(killed);
}

fn killed(capture: &str) {
    let site = Site::new(captured("sqlite_killed", capture));
    let mut writer = create(&site, "wal");
    let (mut seed, mut next) = (Seed::new(7), 0);
    next += fill(&mut writer, 3_000);
    site.apply_schema_with_audit();
    for point in [
        "sqlite::after_pass",
        "sqlite::mid_emit",
        "sink::before_commit",
        "sink::after_commit",
        "document::before_index_write",
    ] {
        for hit in [1, 3] {
            edit(&mut writer, &mut seed, &mut next);
            writer.execute("update accounts set flag = flag + 1", []).unwrap();
            let point = KillPoint { name: point, hit };
            let _ = site.command(&["run", "--until-caught-up"]).kill_at(&point).finish(SOON);
        }
    }
    let mut service = site.run_and_listen();
    for _ in 0..12 {
        (0..5).for_each(|_| edit(&mut writer, &mut seed, &mut next));
        std::thread::sleep(Duration::from_millis(seed.below(150)));
        service.kill();
        let _ = service.finish(Duration::from_secs(10));
        service = site.run_and_listen();
    }
    expect_soon(&site, &writer, &format!("{capture}: after the last kill"));
    end(service);
    site.expect_witness("after the service ended");
}

#[test]
fn odd_values_are_exact_or_parked_and_keys_are_never_merged() {
    let config = Config::new("sqlite_odd").sqlite("app", "app.db").stream(
        "things",
        "app",
        json!({ "key": "k", "columns": { "n": "bigint", "r": "double precision", "t": "text", "b": "bytea" }, "rest": "rest" }),
    );
    let site = Site::new(config);
    let writer = Connection::open(site.path("app.db")).unwrap();
    writer
        .execute_batch(
            "CREATE TABLE things (k, n INTEGER, r REAL, t TEXT, b BLOB, extra NUMERIC);
             INSERT INTO things VALUES (5, 9223372036854775807, 1e308, 'é', x'00ff', NULL);
             INSERT INTO things VALUES ('5', -9223372036854775808, 5, '', x'', 12.5);
             INSERT INTO things VALUES (x'35', NULL, 9e999, NULL, NULL, 'text');
             INSERT INTO things VALUES ('bad type', 'abc', 0.1, 7, NULL, 1);
             INSERT INTO things VALUES ('nul', 1, 1, 'a' || char(0) || 'b', NULL, 1);
             INSERT INTO things VALUES (NULL, 1, 1, 'no key', NULL, 1);
             INSERT INTO things VALUES ('twice', 1, 1, 'first', NULL, 1);
             INSERT INTO things VALUES ('twice', 2, 2, 'second', NULL, 1);
             INSERT INTO things VALUES ('large', 1, 1, 'x', zeroblob(17000000), 1);
             INSERT INTO things VALUES ('utf', 2, 2, cast(x'ff' as text), NULL, 1);",
        )
        .unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    let rows = site.database().rows(
        "select k, n::text, r::text, t, encode(b, 'hex'), coalesce(rest::text, '') from things order by k collate \"C\"",
    );
    let row = |cells: [&str; 6]| cells.map(|cell| (cell != "NULL").then(|| cell.to_owned())).to_vec();
    let expected = [
        row(["n:5", "9223372036854775807", "1e+308", "é", "00ff", "{\"extra\": null}"]),
        row(["s:5", "-9223372036854775808", "5", "", "", "{\"extra\": {\"$numberDouble\": \"12.5\"}}"]),
        row(["s:twice", "1", "1", "first", "NULL", "{\"extra\": {\"$numberLong\": \"1\"}}"]),
    ];
    let blob = rows.iter().find(|row| row[2].as_deref() == Some("Infinity")).expect("the key that is a blob");
    assert_eq!((blob[1].as_deref(), blob[5].as_deref()), (None, Some("{\"extra\": \"text\"}")));
    let others: Vec<_> = rows.iter().filter(|row| *row != blob).cloned().collect();
    assert_eq!(others, expected);
    let parked = site
        .database()
        .rows("select code, path, count(*)::text from landfall.dead_letters group by 1, 2 order by 1, 2");
    let found: Vec<String> =
        parked.iter().map(|row| format!("{} {}", row[0].as_deref().unwrap(), row[1].as_deref().unwrap())).collect();
    assert_eq!(
        found,
        ["column_type /n", "duplicate_key ", "invalid_utf8 /t", "key_missing ", "nul_character /t", "too_large "],
        "{parked:?}"
    );
}

#[test]
fn a_database_that_is_locked_damaged_away_or_emptied_deletes_nothing_and_goes_on() {
    let site = Site::new(config("sqlite_guarded"));
    let mut writer = create(&site, "delete");
    fill(&mut writer, 100);
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    expect_soon(&site, &writer, "after the first load");
    // Locked by its writer.
    writer.execute_batch("BEGIN EXCLUSIVE; UPDATE accounts SET flag = 9").unwrap();
    let locked = site.expect_stream("accounts", "locked", |stream| stream.code() == "locked");
    assert!(locked.detail().contains("WAL"), "{}", locked.detail());
    writer.execute_batch("COMMIT").unwrap();
    expect_soon(&site, &writer, "after the lock");
    // A table is dropped: its rows stay.
    writer.execute_batch("ALTER TABLE shares RENAME TO old_shares; INSERT INTO accounts (id) VALUES (101)").unwrap();
    site.expect_stream("shares", "waiting for its table", |stream| stream.code() == "table_missing");
    wait_until(SOON, "other tables go on", || site.database().count("select count(*) from accounts") == 101);
    writer.execute_batch("ALTER TABLE old_shares RENAME TO shares").unwrap();
    site.expect_stream("shares", "following", |stream| stream.state() == "following" || stream.state() == "live");
    // Emptied: held, and accepted.
    writer.execute("DELETE FROM accounts", []).unwrap();
    let held = site.expect_stream("accounts", "held", |stream| stream.state() == "held");
    assert_eq!(site.database().count("select count(*) from accounts"), 101);
    let _ = site.finish(&["accept", "accounts", held.subject()]).expect(0);
    expect_soon(&site, &writer, "after the deletion was accepted");
    // Away, then damaged, then whole again.
    fill(&mut writer, 50);
    expect_soon(&site, &writer, "after it was filled again");
    drop(writer);
    std::fs::rename(site.path("app.db"), site.path("away.db")).unwrap();
    site.expect_stream("accounts", "waiting for its file", |stream| stream.code() == "missing");
    std::fs::write(site.path("app.db"), vec![b'x'; 8_192]).unwrap();
    site.expect_stream("accounts", "waiting for a database", |stream| stream.code() == "corrupt");
    assert_eq!(site.database().count("select count(*) from accounts"), 50);
    std::fs::rename(site.path("away.db"), site.path("app.db")).unwrap();
    let writer = Connection::open(site.path("app.db")).unwrap();
    writer.execute("INSERT INTO accounts (id, name) VALUES (51, 'back')", []).unwrap();
    expect_soon(&site, &writer, "after it came back");
    end(service);
    site.expect_witness("after the service ended");
}

#[test]
fn the_source_is_only_read() {
    let site = Site::new(config("sqlite_read_only"));
    let mut writer = create(&site, "delete");
    fill(&mut writer, 500);
    drop(writer);
    let before = std::fs::read(site.path("app.db")).unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    assert_eq!(site.database().count("select count(*) from accounts"), 500);
    assert_eq!(std::fs::read(site.path("app.db")).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(site.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("app.db-")), "{left:?}");
}
