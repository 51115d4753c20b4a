//! `evolve: add_column`: fields that nobody declared get columns while the service runs, and rest and columns together are the record.

use bson::{DateTime, Decimal128, doc};
use landfall_tests::config::Config;
use landfall_tests::kill_point::KillPoint;
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);

/// Orders in lines.
fn lines(name: &str) -> Site {
    let stream =
        json!({ "key": "id", "rest": "extra", "columns": { "name": { "type": "text" } }, "evolve": "add_column" });
    let log = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" });
    let site = Site::new(Config::new(name).source("log", log).stream("orders", "log", stream));
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    site.apply_schema_with_audit();
    site
}

fn write(site: &Site, records: &[Value]) {
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    records.iter().for_each(|record| writeln!(log, "{record}").unwrap());
}

fn end(site: &Site, service: Landfall) {
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.stderr.contains("panic"), "{}", finished.stderr);
    site.expect_equal("after the service ended");
    site.expect_witness("after the service ended");
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0, "nothing is parked");
}

/// The added columns of a stream with their types.
fn added(site: &Site, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "select a.target_column, format_type(c.atttypid, c.atttypmod) from landfall.added_columns a \
         join pg_attribute c on c.attrelid = '{table}'::regclass and c.attname = a.target_column where a.stream = '{table}' order by a.number"
    );
    let rows = site.database().rows(&sql);
    rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
}

fn named(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    columns.iter().map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned())).collect()
}

#[test]
fn fields_of_every_kind_become_columns_of_a_running_stream_and_what_does_not_fit_stays_in_the_rest() {
    let site = lines("added_kinds");
    let service = site.run();
    write(&site, &[json!({ "id": 0, "name": "none" })]);
    site.expect_soon_equal("before any new field");
    write(
        &site,
        &[
            json!({ "id": 1, "name": "a", "on": true, "count": 5, "price": 1.5, "colour": "red", "tags": [1, {"a": null}], "nothing": null }),
            json!({ "id": 2, "name": "b", "on": false, "count": -9_223_372_036_854_775_808_i64, "address": { "city": "x" } }),
        ],
    );
    site.expect_soon_equal("new fields");
    let columns = [
        ("on", "boolean"),
        ("count", "bigint"),
        ("price", "numeric"),
        ("colour", "text"),
        ("tags", "jsonb"),
        ("address", "jsonb"),
    ];
    let mut found = added(&site, "orders");
    found.sort();
    let mut columns = named(&columns);
    columns.sort();
    assert_eq!(found, columns);
    let mut database = site.database();
    let filled = "select count(*) from orders where \"on\" is not null and count is not null";
    assert_eq!(database.count(filled), 2);
    assert_eq!(database.count("select count(*) from orders where extra is not null"), 1, "null alone is left");
    write(
        &site,
        &[
            json!({ "id": 3, "name": "c", "on": "yes", "count": "five", "price": "dear", "colour": 7, "tags": "none", "address": null }),
            json!({ "id": 4, "name": "d", "on": true, "count": 6, "colour": "blue" }),
        ],
    );
    site.expect_soon_equal("values that do not fit");
    let left =
        database.value("select string_agg(k, ',' order by k) from orders, jsonb_object_keys(extra) k where id = 'n:3'");
    assert_eq!(left.as_deref(), Some("address,colour,count,on,price"), "jsonb alone takes another kind");
    let status = site.expect_stream("orders", "counted", |stream| stream.columns_added() == 6);
    assert!(status.text().contains("\"misfits\":"), "{}", status.text());
    let said = site.finish(&["status"]).expect(0).stdout;
    assert!(said.contains("orders: 6 columns added by the service"), "{said}");
    end(&site, service);
}

#[test]
fn whole_numbers_become_numeric_when_one_needs_it_and_all_keep_their_spelling() {
    let site = lines("added_wider");
    let service = site.run();
    write(&site, &(0..50).map(|n| json!({ "id": n, "name": "a", "count": n })).collect::<Vec<_>>());
    site.expect_soon_equal("whole numbers");
    assert_eq!(added(&site, "orders"), named(&[("count", "bigint")]));
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    writeln!(log, r#"{{"id":50,"name":"a","count":5.0}}"#).unwrap();
    writeln!(log, r#"{{"id":51,"name":"a","count":12345678901234567890.50}}"#).unwrap();
    site.expect_soon_equal("a number that is not whole");
    assert_eq!(added(&site, "orders"), named(&[("count", "numeric")]));
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from orders where count is not null and extra is null"), 52);
    assert_eq!(database.value("select count::text from orders where id = 'n:50'").as_deref(), Some("5.0"));
    assert_eq!(database.count("select count(*) from landfall.added_columns where widened_at is not null"), 1);
    end(&site, service);
}

#[test]
fn added_columns_are_there_after_a_restart_and_no_command_takes_them_for_drift() {
    let site = lines("added_restart");
    write(&site, &[json!({ "id": 1, "name": "a", "colour": "red" })]);
    site.catch_up();
    let plan = site.finish(&["schema", "plan"]).expect(0);
    assert!(plan.output().contains("all that the streams need"), "{}", plan.output());
    site.apply_schema();
    let contract = site.finish(&["schema", "contract"]).expect(0);
    assert!(contract.output().contains("is named by a mapping"), "{}", contract.output());
    let _ = site.finish(&["check"]).expect(0);
    let stopped = site.status().unwrap().stream("orders").unwrap();
    assert_eq!(stopped.columns_added(), 1, "{}", stopped.text());
    write(&site, &[json!({ "id": 2, "name": "b", "colour": "blue" })]);
    site.catch_up();
    site.expect_equal("after a restart");
    assert_eq!(added(&site, "orders"), named(&[("colour", "text")]));
    assert_eq!(site.database().count("select count(*) from orders where colour is not null and extra is null"), 2);
}

#[test]
fn a_first_load_of_two_streams_finds_their_fields_and_changes_bring_more() {
    let stream = |select: &str| {
        json!({ "select": select, "key": "id", "rest": "extra", "columns": { "name": { "type": "text" }, "total": { "type": "numeric", "expr": ".lines | length" } },
                "evolve": "add_column" })
    };
    let store = json!({ "kind": "json_document", "path": "store.json", "rescan": "300ms" });
    let config = Config::new("added_bulk").source("store", store);
    let site =
        Site::new(config.stream("users", "store", stream("/users")).stream("orders", "store", stream("/orders")));
    let record = |n: u64, more: Value| {
        let mut record = json!({ "id": n, "name": format!("n{n}"), "lines": [n] });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let users: Vec<Value> =
        (0..30_000).map(|n| record(n, json!({ "age": n, format!("kind{}", n / 10_000): "x" }))).collect();
    let orders: Vec<Value> = (0..500).map(|n| record(n, json!({ "colour": "red" }))).collect();
    let mut store = json!({ "users": users, "orders": orders });
    std::fs::write(site.path("store.json"), store.to_string()).unwrap();
    site.apply_schema();
    let service = site.run();
    let rows = |site: &Site, sql: &str| site.database().count(sql);
    wait_until(SOON, "the first load", || rows(&site, "select count(*) from users") == 30_000);
    assert_eq!(
        added(&site, "users"),
        named(&[("age", "bigint"), ("kind0", "text"), ("kind1", "text"), ("kind2", "text")])
    );
    assert_eq!(added(&site, "orders"), named(&[("colour", "text")]), "a field that is computed from is not new");
    assert_eq!(rows(&site, "select count(*) from users where age is not null"), 30_000);
    assert_eq!(rows(&site, "select count(*) from users where kind1 is not null"), 10_000);
    store["orders"][7]["size"] = json!({ "w": 1, "h": 2 });
    store["users"][8]["age"] = json!(8.5);
    std::fs::write(site.path("store.json"), store.to_string()).unwrap();
    wait_until(SOON, "changes", || rows(&site, "select count(*) from users where age = 8.5") == 1);
    wait_until(SOON, "changes of the other", || added(&site, "orders").len() == 2);
    let restored = "select count(*) from orders where to_jsonb(size) = '{\"h\": 2, \"w\": 1}' and colour = 'red'";
    wait_until(SOON, "the new field", || rows(&site, restored) == 1);
    let lost =
        "select count(*) from users where extra ? 'age' or extra ? 'kind0' or not extra ? 'lines' or total is null";
    assert_eq!(rows(&site, lost), 0);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    assert_eq!(rows(&site, "select count(*) from landfall.dead_letters"), 0);
}

#[test]
fn fields_of_a_mongodb_collection_become_columns_while_it_is_copied_and_followed() {
    let database = MongoServer::shared().database("added");
    let docs = (0..400).map(|n| {
        doc! { "_id": n, "name": format!("n{n}"), "visits": i64::from(n), "born": DateTime::from_millis(1_000 * i64::from(n)),
               "owner": bson::oid::ObjectId::new(), "small": n, "ratio": f64::from(n) + 0.5 }
    });
    database.run(doc! { "insert": "users", "documents": docs.collect::<Vec<_>>() });
    let stream = json!({ "columns": { "name": { "type": "text" } }, "rest": "extra", "evolve": "add_column" });
    let site = Site::new(Config::new("added_mongo").mongo("app", database.name()).stream("users", "app", stream))
        .mongo(database.uri());
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    site.expect_soon_equal("after the copy");
    let copied = [
        ("visits", "bigint"),
        ("born", "timestamp with time zone"),
        ("owner", "text"),
        ("small", "bigint"),
        ("ratio", "numeric"),
    ];
    assert_eq!(added(&site, "users"), named(&copied));
    let held = "select count(*) from users where visits is not null and born is not null and owner is not null and not extra ? 'born'";
    assert_eq!(site.database().count(held), 400);
    let exact: Decimal128 = "12345678901234567890.25".parse().unwrap();
    let live = [
        doc! { "_id": "a", "price": exact, "file": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 255] },
        "uuid": bson::Uuid::new(), "nested": { "a": [1, { "b": true }] }, "pattern": bson::Regex { pattern: bson::cstr!("a.b").into(), options: bson::cstr!("i").into() } },
        doc! { "_id": "b", "visits": "many", "born": DateTime::from_millis(i64::MAX), "owner": "nobody", "visits2": bson::Timestamp { time: 1, increment: 2 },
        "price": f64::INFINITY, "nested": null },
        doc! { "_id": "c", "visits": 2.5, "small": 1_i64 << 40 },
    ];
    database.run(doc! { "insert": "users", "documents": live.to_vec() });
    site.expect_soon_equal("after changes");
    let names: Vec<String> = added(&site, "users").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[5..], ["price", "file", "uuid", "nested"], "a pattern and a timestamp have no column");
    assert_eq!(site.database().value("select pg_typeof(visits)::text from users limit 1").as_deref(), Some("numeric"));
    end(&site, service);
}

#[test]
fn a_copy_that_meets_new_fields_on_its_way_goes_on_where_it_stood_also_after_a_death() {
    let database = MongoServer::shared().database("added_copy");
    for from in (0..12_000).step_by(2_000) {
        let docs = (from..from + 2_000).map(|n| {
            let mut document = doc! { "_id": n, "name": format!("n{n}"), "early": i64::from(n) };
            if n >= 7_000 {
                document.insert("late", format!("l{n}"));
            }
            document
        });
        database.run(doc! { "insert": "users", "documents": docs.collect::<Vec<_>>() });
    }
    let stream = json!({ "columns": { "name": { "type": "text" } }, "rest": "extra", "evolve": "add_column" });
    let site = Site::new(Config::new("added_copy").mongo("app", database.name()).stream("users", "app", stream))
        .mongo(database.uri());
    site.apply_schema_with_audit();
    let point = KillPoint { name: "evolve::after_commit", hit: 2 };
    let died = site.command(&["run"]).kill_at(&point).finish(Duration::from_secs(60));
    assert_eq!(died.signal, Some(9), "{}", died.output());
    let stood = site.database().count("select coalesce(sum(copied), 0) from landfall.ranges");
    assert!(stood > 0 && stood < 7_000 && !added(&site, "users").is_empty(), "{stood} records stood at the death");
    site.catch_up();
    site.expect_equal("after the death");
    assert_eq!(added(&site, "users"), named(&[("early", "bigint"), ("late", "text")]));
    let filled =
        "select count(*) from users where early is not null and (late is not null) = (early >= 7000) and extra is null";
    assert_eq!(site.database().count(filled), 12_000, "no record of the copy was written without its columns");
}

#[test]
fn each_collection_of_a_pattern_gets_the_columns_of_its_own_fields() {
    let database = MongoServer::shared().database("added_pattern");
    database.run(doc! { "insert": "logs_a", "documents": [{ "_id": 1, "name": "a", "colour": "red" }] });
    let stream = json!({ "select": "logs_*", "columns": { "name": { "type": "text" } }, "rest": "extra", "evolve": "add_column" });
    let config = Config::new("added_pattern").mongo("app", database.name()).stream("logs", "app", stream);
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    let service = site.run_and_listen();
    let columns = |wanted: &[[&str; 2]]| {
        let rows = site.database().rows("select stream, target_column from landfall.added_columns order by 1, 2");
        rows == wanted.iter().map(|row| row.map(|name| Some(name.to_owned())).to_vec()).collect::<Vec<_>>()
    };
    wait_until(SOON, "the first collection", || columns(&[["logs.logs_a", "colour"]]));
    database.run(doc! { "insert": "logs_b", "documents": [{ "_id": 1, "name": "b", "size": 5_i64 }] });
    wait_until(SOON, "one that came later", || columns(&[["logs.logs_a", "colour"], ["logs.logs_b", "size"]]));
    wait_until(SOON, "its row", || {
        site.database().count("select count(*) from logs_b where size = 5 and extra is null") == 1
    });
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    let plan = site.finish(&["schema", "plan"]).expect(0);
    assert!(plan.output().contains("all that the streams need"), "{}", plan.output());
}

#[test]
fn a_column_added_to_a_table_of_sqlite_is_one_of_the_target_too() {
    let app = json!({ "kind": "sqlite", "path": "app.db", "rescan": "300ms" });
    let stream = json!({ "key": { "from": "id", "type": "bigint" }, "rest": "extra", "columns": { "name": { "type": "text" } }, "evolve": "add_column" });
    let shares = json!({ "key": ["owner", "fund"], "rest": "extra", "columns": { "units": { "type": "integer" } }, "evolve": "add_column" });
    let config = Config::new("added_sqlite").source("app", app).stream("accounts", "app", stream);
    let site = Site::new(config.stream("shares", "app", shares));
    let source = Connection::open(site.path("app.db")).unwrap();
    source.execute_batch("create table accounts (id integer primary key, name text, balance real)").unwrap();
    source.execute_batch("insert into accounts values (1, 'a', 1.5), (2, 'b', null), (3, 'c', 4)").unwrap();
    source
        .execute_batch(
            "create table shares (owner text, fund text, units integer, primary key (owner, fund)) without rowid",
        )
        .unwrap();
    source.execute_batch("insert into shares values ('a', 'x', 1), ('b', 'y', 2)").unwrap();
    site.apply_schema();
    let service = site.run();
    let rows = |sql: &str| site.database().rows(sql);
    let text = |fields: [Option<&str>; 3]| fields.map(|field| field.map(str::to_owned)).to_vec();
    let wanted = [
        text([Some("1"), Some("1.5"), None]),
        text([Some("2"), None, Some(r#"{"balance": null}"#)]),
        text([Some("3"), Some("4"), None]),
    ];
    wait_until(SOON, "the first load", || {
        added(&site, "accounts").len() == 1
            && rows("select id::text, trim_scale(balance)::text, extra::text from accounts order by accounts.id")
                == wanted
    });
    source
        .execute_batch("alter table accounts add column photo blob; update accounts set photo = x'00ff' where id = 2")
        .unwrap();
    wait_until(SOON, "the new column", || {
        added(&site, "accounts").len() == 2
            && site.database().count("select count(*) from accounts where id = 2 and photo = '\\x00ff'") == 1
            && site.database().count("select count(*) from accounts where id <> 2 and extra = '{\"photo\": null}'") == 2
    });
    let columns = named(&[("owner", "text"), ("fund", "text")]);
    wait_until(SOON, "the columns of a composite key", || added(&site, "shares") == columns);
    let filled = "select count(*) from shares where owner is not null and fund is not null and extra is null";
    wait_until(SOON, "their values", || site.database().count(filled) == 2);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
}

#[test]
fn a_death_between_the_column_and_the_batch_that_wanted_it_changes_nothing() {
    for (number, name) in
        ["evolve::before_commit", "evolve::after_commit", "sink::before_commit"].into_iter().enumerate()
    {
        let site = lines(&format!("added_killed_{number}"));
        write(&site, &[json!({ "id": 1, "name": "a", "colour": "red" }), json!({ "id": 2, "name": "b", "size": 5 })]);
        let died = site.command(&["run"]).kill_at(&KillPoint { name, hit: 1 }).finish(Duration::from_secs(60));
        assert_eq!(died.signal, Some(9), "{name}: {}", died.output());
        let (recorded, rows) = (added(&site, "orders").len(), site.database().count("select count(*) from orders"));
        assert_eq!((recorded, rows), (if number == 0 { 0 } else { 2 }, 0), "{name}");
        site.catch_up();
        site.expect_equal(name);
        site.expect_witness(name);
        assert_eq!(added(&site, "orders"), named(&[("colour", "text"), ("size", "bigint")]), "{name}");
        let filled = "select count(*) from orders where (colour is not null or size is not null) and extra is null";
        assert_eq!(site.database().count(filled), 2, "{name}");
    }
}
