//! Somebody changes a table by hand while rows flow into it: the drift is named, nothing is written or parked by halves, and the
//! stream goes on by itself once the table is as mapped again.

use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::site::Site;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

fn site(name: &str) -> Site {
    let stream = json!({
        "key": "id", "rest": "extra",
        "columns": { "name": { "type": "text" }, "amount": { "type": "bigint" } },
        "children": { "items": { "from": "items", "key": "sku", "columns": { "count": { "type": "integer" } } } },
    });
    let config = Config::new(name)
        .source("log", json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" }))
        .stream("orders", "log", stream);
    let site = Site::new(config);
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    site.apply_schema();
    site
}

/// Orders of these numbers with a name that no narrow column holds, some without it, each with two rows below.
fn write(site: &Site, numbers: std::ops::Range<u32>) {
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    for number in numbers {
        let name = if number % 5 == 4 { "null".to_owned() } else { format!("\"a name of some length {number}\"") };
        let items = r#"[{"sku":"a","count":1},{"sku":"b","count":2}]"#;
        writeln!(log, r#"{{"id":{number},"name":{name},"amount":{},"items":{items}}}"#, 5_000_000_000u64).unwrap();
    }
}

fn expect_rows(site: &Site, orders: i64) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let mut database = site.database();
    loop {
        let seen = (database.count("select count(*) from orders"), database.count("select count(*) from orders_items"));
        if seen == (orders, 2 * orders) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{seen:?} rows, {orders} orders wanted: {:#?}", site.status());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Changes the table under the running service, sees the drift named, mends it, and sees everything arrive.
fn drifts(name: &str, change: &str, named: &str, mend: &str) {
    let site = site(name);
    let service = site.run();
    write(&site, 0..50);
    expect_rows(&site, 50);
    site.database().run(change);
    write(&site, 50..90);
    let halted = site.expect_stream("orders", "halted", |stream| stream.code() == "schema_drift");
    assert!(halted.detail().contains(named), "{:#?}", halted.text());
    let mut database = site.database();
    let halves = "select 2 * (select count(*) from orders) - (select count(*) from orders_items)";
    assert_eq!(database.count(halves), 0, "a record without its rows below, or the other way round");
    assert_eq!(database.count("select count(*) from landfall.dead_letters"), 0, "good records are not parked");
    database.run(mend);
    expect_rows(&site, 90);
    assert_eq!(database.count("select count(*) from landfall.dead_letters"), 0);
    site.expect_stream("orders", "following", |stream| stream.is_ready());
    end(service);
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_dropped_column_is_named_and_waited_for() {
    drifts(
        "drift_dropped",
        "alter table orders drop column name",
        "orders.name is missing",
        "alter table orders add column name text",
    );
}

#[test]
fn a_narrowed_column_parks_no_record() {
    drifts(
        "drift_narrowed",
        "alter table orders alter column name type varchar(22) using left(name, 22)",
        "column name is character varying(22), the mapping wants text",
        "alter table orders alter column name type text",
    );
}

#[test]
fn not_null_that_somebody_added_parks_no_record() {
    drifts(
        "drift_not_null",
        "update orders set name = '' where name is null; alter table orders alter column name set not null",
        "column name is NOT NULL, the mapping allows it to be missing",
        "alter table orders alter column name drop not null",
    );
}

#[test]
fn a_column_of_a_table_below_is_looked_at_too() {
    drifts(
        "drift_below",
        "alter table orders_items alter column count type smallint; alter table orders_items add column by_hand int not null default 0; \
         alter table orders_items alter column by_hand drop default",
        "column by_hand is not mapped, NOT NULL and has no default",
        "alter table orders_items drop column by_hand; alter table orders_items alter column count type integer",
    );
}

#[test]
fn a_drift_while_no_service_runs_is_named_at_the_start() {
    let site = site("drift_stopped");
    write(&site, 0..10);
    site.catch_up();
    site.database().run("alter table orders alter column amount type integer using 0");
    let service = site.run();
    let halted = site.expect_stream("orders", "halted", |stream| stream.code() == "schema_drift");
    assert!(halted.detail().contains("column amount is integer, the mapping wants bigint"), "{}", halted.text());
    service.terminate();
    let finished = service.finish(Duration::from_secs(30));
    assert!(matches!(finished.code, Some(0 | 4)), "{}", finished.output());
}

#[test]
fn a_new_field_halts_a_stream_that_wants_to_know_until_it_is_mapped() {
    let config = |columns: serde_json::Value| {
        Config::new("new_field")
            .source("log", json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" }))
            .stream("orders", "log", json!({ "key": "id", "evolve": "halt", "columns": columns }))
    };
    let mut site = Site::new(config(json!({ "name": "text" })));
    let write = |site: &Site, line: &str| {
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(site.path("log.ndjson")).unwrap();
        writeln!(log, "{line}").unwrap();
    };
    write(&site, r#"{"id":1,"name":"one"}"#);
    site.apply_schema();
    let service = site.run();
    site.expect_stream("orders", "ready", |stream| stream.is_ready());
    write(&site, r#"{"id":2,"name":"two","colour":"a secret"}"#);
    write(&site, r#"{"id":3,"name":"three"}"#);
    let halted = site.expect_stream("orders", "halted", |stream| stream.code() == "new_field");
    assert!(halted.detail().contains("/colour") && !halted.text().contains("secret"), "{}", halted.text());
    service.terminate();
    let finished = service.finish(Duration::from_secs(30));
    assert!(matches!(finished.code, Some(0 | 4)), "{}", finished.output());
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
    site.reconfigure(config(json!({ "name": "text", "colour": "text" })));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    site.catch_up();
    let rows = site.database().rows("select id, name, colour from orders order by 1");
    let row = |fields: [Option<&str>; 3]| fields.map(|field| field.map(str::to_owned)).to_vec();
    let wanted = [
        row([Some("n:1"), Some("one"), None]),
        row([Some("n:2"), Some("two"), Some("a secret")]),
        row([Some("n:3"), Some("three"), None]),
    ];
    assert_eq!(rows, wanted);
}
