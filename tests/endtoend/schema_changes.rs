//! Changes of schema while a service writes: indexes are built beside it, columns and tables that no mapping names go only when nothing
//! needs them any more.

use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Orders with these columns, beside a stream of notes if wanted.
fn config(name: &str, orders: &Value, notes: bool) -> Config {
    let config = Config::new(name)
        .source("log", json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" }))
        .source("notes", json!({ "kind": "json_lines", "path": "notes.ndjson", "rescan": "300ms" }))
        .stream("orders", "log", orders.clone());
    let note = json!({ "key": "id", "columns": { "text": "text" } });
    if notes { config.stream("notes", "notes", note) } else { config.stream("memos", "notes", note) }
}

fn before() -> Value {
    json!({
        "key": "id", "rest": "extra", "columns": { "name": "text", "price": "numeric", "old": "text" },
        "children": { "items": { "columns": { "sku": "text", "count": "integer" } }, "tags": { "value": "text" } },
    })
}

fn after() -> Value {
    json!({
        "key": "id", "rest": "extra", "columns": { "name": "text", "price": "numeric" }, "indexes": [["price"], ["name", "price"]],
        "children": { "items": { "columns": { "sku": "text" } } },
    })
}

fn write(site: &Site, numbers: std::ops::Range<u32>) {
    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(site.path("log.ndjson")).unwrap();
    for n in numbers {
        let below = r#""items":[{"sku":"a","count":1}],"tags":["x","y"]"#;
        writeln!(log, r#"{{"id":{n},"name":"n{n}","price":{n}.5,"old":"o{n}",{below}}}"#).unwrap();
    }
}

fn expect_orders(site: &Site, count: i64) {
    wait_until(SOON, "the orders", || site.database().count("select count(*) from orders") == count);
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_new_index_is_built_beside_the_writer_and_what_is_left_of_a_broken_one_is_taken_away() {
    let mut site = Site::new(config("index_beside", &before(), true));
    std::fs::write(site.path("notes.ndjson"), "").unwrap();
    write(&site, 0..2_000);
    site.apply_schema();
    let service = site.run();
    expect_orders(&site, 2_000);
    // A build that was cut off leaves an index that serves nothing.
    let mut database = site.database();
    let duplicated = "create unique index concurrently orders_price_idx on orders ((price > 0))";
    assert!(database.try_rows(duplicated).is_err(), "two prices are above 0");
    let invalid = "select count(*) from pg_index where not indisvalid";
    assert_eq!(database.count(invalid), 1);
    end(service);
    let mut orders = before();
    orders["indexes"] = after()["indexes"].clone();
    site.reconfigure(config("index_beside", &orders, true));
    let plan = site.finish(&["schema", "plan"]).expect(0);
    for said in
        ["DROP INDEX CONCURRENTLY IF EXISTS", "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"orders_name_price_idx\""]
    {
        assert!(plan.stdout.contains(said), "{}", plan.stdout);
    }
    let service = site.run();
    write(&site, 2_000..2_100);
    // A transaction that holds a lock which a plain CREATE INDEX would wait for, and everybody behind it.
    let mut writer = site.database();
    writer.run("begin; update orders set name = name where id = 'n:1'");
    let blocked = site.finish(&["schema", "apply"]);
    assert_ne!(blocked.code, Some(0), "an index is not valid before the transactions that began before have ended");
    write(&site, 2_100..2_200);
    expect_orders(&site, 2_200);
    writer.run("commit");
    let _ = site.finish(&["schema", "apply"]).expect(0);
    assert_eq!(database.count(invalid), 0);
    let ours = "select count(*) from pg_indexes where tablename = 'orders' and indexname in ('orders_price_idx', 'orders_name_price_idx')";
    assert_eq!(database.count(ours), 2);
    assert!(site.finish(&["schema", "plan"]).expect(0).output().contains("has all that the streams need"));
    end(service);
}

#[test]
fn what_no_mapping_names_goes_only_when_nothing_needs_it() {
    let mut site = Site::new(config("contract", &before(), true));
    write(&site, 0..50);
    std::fs::write(site.path("notes.ndjson"), "{\"id\":1,\"text\":\"t\"}\n{\"id\":2,\"text\":\"u\"}\n").unwrap();
    site.apply_schema();
    let service = site.run();
    expect_orders(&site, 50);
    let mut database = site.database();
    database.run("alter table orders add column by_hand int");
    assert!(site.finish(&["schema", "contract"]).expect(0).output().contains("everything"), "all is named");

    // The mapping shrinks while the service with the old one goes on.
    site.reconfigure(config("contract", &after(), false));
    let refused = site.finish(&["schema", "contract", "--yes"]);
    assert_eq!(refused.code, Some(4), "{}", refused.output());
    assert!(
        refused.output().contains("it maps stream orders otherwise than this configuration"),
        "{}",
        refused.output()
    );
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    let refused = site.finish(&["schema", "contract", "--yes"]);
    assert_eq!(refused.code, Some(4), "{}", refused.output());
    assert!(refused.output().contains("stream orders was admitted before its mapping changed"), "{}", refused.output());
    assert!(refused.output().contains("it still has stream notes"), "{}", refused.output());
    end(service);

    let service = site.run();
    write(&site, 50..60);
    expect_orders(&site, 60);
    database.run("create view olds as select id, old from orders where old is not null");
    let refused = site.finish(&["schema", "contract", "--yes"]);
    assert_eq!(refused.code, Some(4), "{}", refused.output());
    assert!(refused.output().contains("needed by view public.olds"), "{}", refused.output());
    assert_eq!(database.count("select count(old) from orders"), 50, "nothing is dropped");
    database.run("drop view olds");

    let shown = site.finish(&["schema", "contract"]).expect(0);
    for said in [
        "values that go with it: 50\nALTER TABLE \"public\".\"orders\" DROP COLUMN \"old\"",
        "DROP TABLE \"public\".\"orders_tags\"",
    ] {
        assert!(shown.stdout.contains(said), "{}", shown.stdout);
    }
    assert!(shown.stdout.contains("rows that go with it: 2\nDROP TABLE \"public\".\"notes\""), "{}", shown.stdout);
    assert!(!shown.stdout.contains("by_hand"), "what Landfall did not make is not its to drop");
    let _ = site.finish(&["schema", "contract", "--yes"]).expect(0);
    let columns = "select string_agg(column_name, ' ' order by column_name) from information_schema.columns where table_name = 'orders'";
    assert_eq!(database.value(columns).as_deref(), Some("_lf_version by_hand extra id name price"));
    assert_eq!(
        database.count("select count(*) from information_schema.tables where table_name in ('notes', 'orders_tags')"),
        0
    );
    assert_eq!(database.count("select count(*) from landfall.streams where stream = 'notes'"), 0);
    write(&site, 60..70);
    expect_orders(&site, 70);
    site.expect_stream("orders", "ready", |stream| stream.is_ready());
    end(service);
    assert!(site.finish(&["schema", "contract"]).expect(0).output().contains("everything"));
}
