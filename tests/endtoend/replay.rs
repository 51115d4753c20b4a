//! `landfall replay` and `landfall checkpoint`: what the queue holds is written again as the mapping of now has it, and nothing goes back.

mod into;
mod named;

use bson::doc;
use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::manner::Manner;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn result(site: &Site, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().chain(&["-o", "json"]).copied().collect();
    let finished = site.finish(&words);
    serde_json::from_str::<Value>(finished.stdout.trim()).unwrap_or_else(|_| panic!("{}", finished.output()))["result"]
        .clone()
}

fn append(site: &Site, lines: &[String]) {
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(site.path("log.ndjson")).unwrap();
    log.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

fn log(name: &str, columns: Value) -> Config {
    let source = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "1s",
        "operation": { "from": "op", "upsert": ["put"], "delete": ["del"] } });
    Config::new(name).source("log", source).stream("things", "log", json!({ "key": "id", "columns": columns }))
}

fn line(id: u64, n: u64) -> String {
    format!(r#"{{"op":"put","id":"k{id}","n":{n},"t":" Text {n} "}}"#)
}

fn gone(id: u64) -> String {
    format!(r#"{{"op":"del","id":"k{id}"}}"#)
}

/// Everything in a table, versions included.
fn table(site: &Site, table: &str) -> Vec<Vec<Option<String>>> {
    let columns = format!(
        "select string_agg(format('%I::text', attname), ', ' order by attnum) from pg_attribute \
         where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
    );
    let columns = site.database().value(&columns).unwrap();
    site.database().rows(&format!("select {columns} from {table} order by 1, 2"))
}

/// From here on each row written to these tables leaves a line, and a version that goes back is told.
fn watch(site: &Site, tables: &[&str]) {
    let mut database = site.database();
    database.run(
        "create table public.written (relation text, op text, went_back bool); \
         create function public.note_write() returns trigger language plpgsql security definer as $$ begin \
             insert into public.written values (TG_TABLE_NAME, TG_OP, TG_OP = 'UPDATE' and new._lf_version < old._lf_version); \
             return null; end $$",
    );
    for table in tables {
        database.run(&format!(
            "create trigger note_write after insert or update or delete on {table} for each row execute function public.note_write()"
        ));
    }
}

fn written(site: &Site) -> i64 {
    site.database().count("select count(*) from public.written")
}

/// `captured = applied + superseded + filtered + dead-lettered + discarded`, nothing queued.
#[track_caller]
fn expect_sum(site: &Site) {
    let off = "select count(*) from landfall.checkpoints where next_offset <> applied + superseded + filtered + dead_lettered + discarded";
    assert_eq!(site.database().count(off), 0, "the sums of the checkpoints");
    let letters = "select (select coalesce(sum(dead_lettered), 0) from landfall.checkpoints) - \
        (select count(*) from landfall.dead_letters where state in ('parked', 'behind'))";
    assert_eq!(site.database().count(letters), 0, "letters that wait are those that are counted");
}

#[test]
fn replaying_everything_under_the_same_mapping_leaves_every_table_as_it_is_and_writes_no_row() {
    let child = json!({ "tasks": { "from": "tasks", "key": "id", "columns": { "title": "text" } } });
    let config = Config::new("replay_same")
        .document("store", "db.json")
        .lines("log", "events.ndjson")
        .sqlite("app", "app.db")
        .stream(
            "projects",
            "store",
            json!({ "select": "/projects", "key": "id", "columns": { "name": "text" }, "children": child }),
        )
        .stream("events", "log", json!({ "key": "id", "columns": { "v": "integer" } }))
        .stream("items", "app", json!({ "key": { "from": "id", "type": "bigint" }, "columns": { "v": "integer" } }));
    let site = Site::on(config, PostgresServer::shared().database("replay_same"));
    let project = |id: u64, tasks: u64| {
        let tasks: Vec<Value> = (0..tasks).map(|n| json!({ "id": n, "title": format!("t{n}") })).collect();
        json!({ "id": id, "name": format!("p{id}"), "tasks": tasks })
    };
    let put = |projects: Vec<Value>| {
        std::fs::write(site.path("db.new"), json!({ "projects": projects }).to_string()).unwrap();
        std::fs::rename(site.path("db.new"), site.path("db.json")).unwrap();
    };
    put((0..60).map(|id| project(id, id % 4)).collect());
    std::fs::write(
        site.path("events.ndjson"),
        (0..200).map(|n| format!("{{\"id\":{},\"v\":{n}}}\n", n % 50)).collect::<String>(),
    )
    .unwrap();
    let database = Connection::open(site.path("app.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO items VALUES (1, 1), (2, 2)",
        )
        .unwrap();
    site.apply_schema();
    site.catch_up();
    put((5..70).map(|id| project(id, (id + 1) % 4)).collect());
    database
        .execute_batch(
            "UPDATE items SET v = 9 WHERE id = 1; INSERT INTO items VALUES (3, 3); DELETE FROM items WHERE id = 2",
        )
        .unwrap();
    site.catch_up();
    let tables = ["projects", "projects_tasks", "events", "items"];
    let before: Vec<_> = tables.iter().map(|name| table(&site, name)).collect();
    watch(&site, &tables);
    let dry = result(&site, &["replay", "--from", "earliest", "--dry-run"]);
    assert!(dry["streams"][0]["events"].as_u64().unwrap() > 120, "{dry}");
    let done = result(&site, &["replay", "--from", "earliest"]);
    let replayed: u64 = done["streams"].as_array().unwrap().iter().map(|one| one["replayed"].as_u64().unwrap()).sum();
    assert!(replayed > 120, "{done}");
    assert_eq!(
        written(&site),
        0,
        "no row is written: {:?}",
        site.database().rows("select relation, op, count(*)::text from written group by 1, 2")
    );
    let after: Vec<_> = tables.iter().map(|name| table(&site, name)).collect();
    assert_eq!(before, after);
    expect_sum(&site);
}

/// What a migration from nothing makes of the same store.
fn fresh(site: &Site, config: Config, name: &str) -> Vec<Vec<Option<String>>> {
    let other = Site::on(config, PostgresServer::shared().database(name));
    std::fs::copy(site.path("log.ndjson"), other.path("log.ndjson")).unwrap();
    other.apply_schema();
    other.catch_up();
    other.database().rows("select id, n::text, t, coalesce(rest::text, '') from things order by 1")
}

#[test]
fn after_a_mapping_fix_a_replay_equals_a_fresh_migration_from_any_beginning_that_holds_all_keys() {
    let before = json!({ "n": "integer", "t": "text" });
    let after = || json!({ "n": "integer", "t": { "type": "text", "normalize": ["trim", "lower"], "keep": false } });
    for (at, from) in ["earliest", "before-all", "1970-01-01T00:00:00Z"].into_iter().enumerate() {
        let name = format!("replay_fix_{at}");
        let mut site = Site::on(log(&name, before.clone()), PostgresServer::shared().database(&name));
        append(&site, &[gone(999)]);
        site.apply_schema();
        site.catch_up();
        let _ = site.finish(&["checkpoint", "create", "before-all"]).expect(0);
        append(&site, &(0..300).map(|n| line(n % 100, n)).collect::<Vec<_>>());
        append(&site, &(0..10).map(gone).collect::<Vec<_>>());
        site.catch_up();
        site.reconfigure(log(&name, after()));
        let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
        append(&site, &[line(50, 1_000), line(5, 1_001)]);
        site.catch_up();
        let done = result(&site, &["replay", "--from", from]);
        assert_eq!(
            (&done["streams"][0]["replayed"], &done["streams"][0]["refused"]),
            (&json!(if from == "before-all" { 100 } else { 101 }), &json!(0)),
            "{from}: {done}"
        );
        let rows = site.database().rows("select id, n::text, t, coalesce(rest::text, '') from things order by 1");
        assert_eq!(rows, fresh(&site, log("replay_fresh", after()), &format!("replay_fresh_{at}")), "{from}");
        assert_eq!(
            site.database().count("select count(*) from things where id = 's:k3'"),
            0,
            "what was deleted stays deleted"
        );
        expect_sum(&site);
        let mut database = site.database();
        assert_eq!(database.count("select count(*) from landfall.history where event = 'replayed'"), 1);
    }
}

#[test]
fn what_the_mapping_of_now_refuses_is_parked_and_what_waits_or_was_given_up_is_left_alone() {
    let mut site =
        Site::on(log("replay_refused", json!({ "n": "jsonb" })), PostgresServer::shared().database("replay_refused"));
    append(&site, &[line(1, 1), r#"{"op":"put","id":"k2","n":"two"}"#.to_owned(), line(3, 3)]);
    site.apply_schema();
    site.catch_up();
    site.database().run(
        "alter table things alter column n type integer using case when jsonb_typeof(n) = 'number' then n::integer end",
    );
    site.reconfigure(log("replay_refused", json!({ "n": "integer" })));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    append(
        &site,
        &[
            r#"{"op":"put","id":"k3","n":"three"}"#.to_owned(),
            r#"{"op":"put","id":"k4","n":"four"}"#.to_owned(),
            line(4, 44),
        ],
    );
    site.catch_up();
    let discarded = site.finish(&["deadletter", "discard", "--code", "column_type", "--yes"]).expect(0);
    assert!(discarded.output().contains("2 discarded"), "{}", discarded.output());
    append(&site, &[r#"{"op":"put","id":"k3","n":"drei"}"#.to_owned(), line(3, 33)]);
    site.catch_up();
    let done = result(&site, &["replay", "--from", "earliest"]);
    let one = &done["streams"][0];
    assert_eq!(
        (&one["replayed"], &one["refused"], &one["behind_letters"]),
        (&json!(2), &json!(1), &json!(1)),
        "{done}"
    );
    let rows = site.database().rows("select id, coalesce(n::text, '-') from things order by id");
    let expected = [("s:k1", "1"), ("s:k2", "-"), ("s:k3", "3"), ("s:k4", "44")];
    assert_eq!(rows, expected.map(|(id, n)| vec![Some(id.to_owned()), Some(n.to_owned())]));
    expect_sum(&site);
    let parked = "select count(*) from landfall.dead_letters where state = 'parked'";
    assert_eq!(site.database().count(parked), 2, "k2 is parked now, k3 was before");
    let again = result(&site, &["replay", "--from", "earliest"]);
    assert_eq!(again["streams"][0]["behind_letters"], 2, "and is left alone the next time: {again}");
    expect_sum(&site);
}

#[test]
fn three_replays_over_live_traffic_never_take_a_version_back_nor_bring_anything_back() {
    let config = Config::new("replay_live")
        .document("store", "db.json")
        .lines("log", "log/events.ndjson")
        .stream("users", "store", json!({ "select": "/users", "key": "id" }))
        .stream("events", "log", json!({ "key": "id" }));
    let mut site = Site::on(config, PostgresServer::shared().database("replay_live"));
    let mut document = DocumentStore::create(&site.path("db.json"), &["users"], 300, Seed::new(7));
    let ledger = site.path("ledger.ndjson");
    let mut lines = LinesStore::create(&site.path("log/events.ndjson"), &ledger, (400, 100), Seed::new(8));
    site.note_ledger("log", &ledger);
    site.apply_schema();
    site.catch_up();
    watch(&site, &["users", "events"]);
    let service = site.run_and_listen();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let live = &stop;
        scope.spawn(move || {
            while !live.load(std::sync::atomic::Ordering::Relaxed) {
                for _ in 0..5 {
                    document.edit();
                }
                document.write(Manner::Atomic);
                lines.live();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let done = std::panic::catch_unwind(|| [(); 3].map(|()| result(&site, &["replay", "--from", "earliest"])));
        // The writer ends whatever became of it.
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for done in done.unwrap() {
            assert!(done["streams"][1]["replayed"].as_u64().is_some_and(|keys| keys > 0), "{done}");
        }
    });
    site.expect_soon_equal("after three replays");
    assert_eq!(site.database().count("select count(*) from written where went_back"), 0, "no version went back");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    expect_sum(&site);
}

#[test]
fn killed_at_any_point_the_same_command_brings_it_to_its_end() {
    let before = json!({ "n": "integer", "t": "text" });
    let after = || json!({ "n": "integer", "t": { "type": "text", "normalize": ["trim", "upper"], "keep": false } });
    for (at, (point, hit)) in [
        ("replay::before_commit", 1),
        ("sink::before_commit", 2),
        ("sink::after_commit", 1),
        ("replay::after_commit", 2),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("replay_killed_{at}");
        let mut site = Site::on(log(&name, before.clone()), PostgresServer::shared().database(&name));
        append(&site, &(0..30_000).map(|n| line(n % 20_000, n)).collect::<Vec<_>>());
        append(&site, &(0..10).map(gone).collect::<Vec<_>>());
        site.apply_schema();
        site.catch_up();
        site.reconfigure(log(&name, after()));
        let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
        let died =
            site.command(&["replay", "--from", "earliest"]).kill_at(&KillPoint { name: point, hit }).finish(SOON);
        assert_eq!(died.code, None, "{point}: {}", died.output());
        expect_sum(&site);
        let _ = site.finish(&["replay", "--from", "earliest"]).expect(0);
        let left = "select count(*) from things where t <> upper(btrim(t))";
        assert_eq!(site.database().count(left), 0, "{point}");
        assert_eq!(site.database().count("select count(*) from things"), 19_990, "{point}");
        expect_sum(&site);
    }
}

#[test]
fn a_collection_is_replayed_behind_its_copy_and_what_was_only_copied_is_counted() {
    let store = MongoServer::shared().database("replay");
    let config = |rule: Value| {
        Config::new("replay_mongo").mongo("app", store.name()).stream(
            "people",
            "app",
            json!({ "columns": { "name": rule } }),
        )
    };
    let plain = json!({ "type": "text" });
    let mended = json!({ "type": "text", "normalize": ["upper"], "keep": false });
    let person = |id: i32, name: &str| doc! { "_id": id, "name": name };
    store.run(doc! { "insert": "people", "documents": [person(1, "one"), person(2, "two"), person(3, "three")] });
    let mut site = Site::on(config(plain), PostgresServer::shared().database("replay_mongo")).mongo(store.uri());
    site.apply_schema();
    site.catch_up();
    store.run(doc! { "insert": "people", "documents": [person(4, "four"), person(5, "five"), person(6, "six")] });
    store.run(doc! { "update": "people", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "name": "uno" } } }] });
    store.run(
        doc! { "delete": "people", "deletes": [{ "q": { "_id": 5 }, "limit": 1 }, { "q": { "_id": 2 }, "limit": 1 }] },
    );
    site.catch_up();
    site.reconfigure(config(mended));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    let service = site.run_and_listen();
    site.expect_stream("people", "live", |stream| stream.state() == "following");
    let done = result(&site, &["replay", "--from", "earliest"]);
    assert_eq!((&done["streams"][0]["replayed"], &done["streams"][0]["rows_before"]), (&json!(5), &json!(1)), "{done}");
    let rows = site.database().rows("select key, name from people order by key");
    let expected = [("n:1", "UNO"), ("n:3", "three"), ("n:4", "FOUR"), ("n:6", "SIX")];
    assert_eq!(rows, expected.map(|(key, name)| vec![Some(key.to_owned()), Some(name.to_owned())]));
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    expect_sum(&site);
}
