//! Columns that jq computes, and records that a filter leaves out: in bulk, live, from files and from MongoDB.
//!
//! What is expected is written down by hand, value by value.

use bson::doc;
use landfall_tests::config::Config;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const SHOWN: &str = "select id::text, total::text, label, extra is null from orders order by id";
const LINES: &str = "select order_id::text, position::text, cost::text from lines order by 1, 2";
const COUNTS: &str = "select sum(applied)::text, sum(superseded)::text, sum(filtered)::text, sum(dead_lettered)::text, \
                      sum(next_offset)::text from landfall.checkpoints";

fn stream() -> Value {
    json!({
        "filter": ".status != \"draft\"",
        "rest": "extra",
        "columns": {
            "total": { "type": "numeric(12,2)", "expr": "[.lines[]? | .price * .qty] | add // 0" },
            "label": { "type": "text", "expr": ".name // empty", "default": "NAMELESS", "normalize": "upper" },
        },
        "children": {
            "lines": { "table": "lines", "parent": "order_id", "rest": false,
                       "columns": { "cost": { "type": "numeric", "expr": ".price * .qty" } } }
        }
    })
}

fn with(mut stream: Value, key: Value) -> Value {
    stream["key"] = key;
    stream
}

fn row(cells: &[&str]) -> Vec<Option<String>> {
    cells.iter().map(|cell| (*cell != "NULL").then(|| (*cell).to_owned())).collect()
}

fn write(site: &Site, orders: &Value) {
    let next = site.path("next.json");
    std::fs::write(&next, serde_json::to_vec(orders).expect("JSON can be written")).expect("a file can be written");
    std::fs::rename(next, site.path("orders.json")).expect("a rename needs no room");
}

fn order(id: u64, status: &str, lines: &[(u64, Value)]) -> Value {
    let lines: Vec<_> = lines.iter().map(|(qty, price)| json!({ "qty": qty, "price": price })).collect();
    json!({ "id": id, "status": status, "lines": lines })
}

#[test]
fn orders_are_computed_and_drafts_are_left_out_whenever_they_become_one() {
    let config = Config::new("expressions").document("store", "orders.json").stream(
        "orders",
        "store",
        with(stream(), json!({ "from": "id", "type": "integer" })),
    );
    let site = Site::new(config);
    let paid = |id: u64| order(id, "paid", &[(2, json!(3)), (1, json!(4))]);
    let named = json!({ "id": 4, "name": "Ann", "status": "paid" });
    // A text where a number is needed: jq would repeat it, and the column would not hold it.
    let odd = order(5, "paid", &[(1_000_000_000, json!("12"))]);
    write(&site, &json!([paid(1), order(2, "draft", &[(1, json!(1))]), paid(3), named, odd]));
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    wait_until(SOON, "the first load is there", || site.database().rows(SHOWN).len() == 3);
    let first = row(&["1", "10.00", "NAMELESS", "f"]);
    assert_eq!(
        site.database().rows(SHOWN),
        [first, row(&["3", "10.00", "NAMELESS", "f"]), row(&["4", "0.00", "ANN", "f"])]
    );
    assert_eq!(
        site.database().rows(LINES),
        [row(&["1", "0", "6"]), row(&["1", "1", "4"]), row(&["3", "0", "6"]), row(&["3", "1", "4"])]
    );
    let parked = site.database().rows("select code, path, found from landfall.dead_letters");
    assert_eq!(parked, [row(&["expression_failed", "/total", "an error"])]);

    // One becomes a draft and goes, with its lines; a draft is paid and comes; one is edited while a draft, and deleted.
    write(&site, &json!([order(1, "draft", &[(9, json!(9))]), paid(2), paid(3), { "id": 4, "status": "draft" }]));
    let is = |ids: &[&str]| {
        let rows = site.database().rows("select id::text from orders order by id");
        rows.iter().map(|row| row[0].as_deref().unwrap_or_default()).eq(ids.iter().copied())
    };
    wait_until(SOON, "drafts went and came", || is(&["2", "3"]));
    assert_eq!(
        site.database().rows("select distinct order_id::text from lines order by 1"),
        [row(&["2"]), row(&["3"])]
    );
    write(&site, &json!([paid(1), paid(2), order(3, "draft", &[])]));
    wait_until(SOON, "and back", || is(&["1", "2"]));
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    let counts = site.database().rows(COUNTS);
    let count = |n: usize| counts[0][n].as_deref().and_then(|text| text.parse::<u64>().ok()).expect("a count");
    assert_eq!(count(2), 4, "one draft at first, then 1 and 4, then 3");
    assert_eq!(count(0) + count(1) + count(2) + count(3), count(4), "what was captured is accounted for");
    site.expect_witness("after the service ended");
}

#[test]
fn a_change_left_out_in_the_batch_that_brought_its_record_leaves_nothing() {
    let config = Config::new("expressions_log").lines("log", "orders.ndjson").stream(
        "orders",
        "log",
        with(stream(), json!({ "from": "id", "type": "integer" })),
    );
    let site = Site::new(config);
    let lines = [order(1, "paid", &[]), order(1, "draft", &[]), order(2, "draft", &[]), order(2, "paid", &[])];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(site.path("orders.ndjson"), text).expect("a file can be written");
    site.apply_schema();
    let _ = site.catch_up();
    assert_eq!(site.database().rows("select id::text from orders"), [row(&["2"])]);
    assert_eq!(
        site.database().rows(COUNTS),
        [row(&["1", "1", "2", "0", "4"])],
        "applied, superseded, filtered, parked"
    );
}

#[test]
fn documents_of_mongodb_are_seen_as_relaxed_extended_json() {
    let database = MongoServer::shared().database("expressions");
    let lines = vec![doc! { "qty": 2, "price": 3_i64 }, doc! { "qty": 1, "price": 4.0 }];
    let documents = vec![
        doc! { "_id": 1, "status": "paid", "lines": lines.clone() },
        doc! { "_id": 2, "status": "draft", "lines": lines.clone() },
        doc! { "_id": 3, "status": "paid", "name": "a\u{0}b" },
    ];
    database.run(doc! { "insert": "orders", "documents": documents });
    let config = Config::new("mongo_expressions").mongo("app", database.name()).stream(
        "orders",
        "app",
        with(stream(), json!({ "type": "integer", "name": "id" })),
    );
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    let _ = site.catch_up();
    assert_eq!(site.database().rows(SHOWN), [row(&["1", "10.00", "NAMELESS", "f"])]);
    assert_eq!(site.database().rows(LINES), [row(&["1", "0", "6"]), row(&["1", "1", "4.0"])]);
    let parked = site.database().rows("select code, path from landfall.dead_letters");
    assert_eq!(parked.len(), 1, "text with U+0000 is parked: {parked:?}");
    let copied =
        site.database().rows("select sum(copied)::text, sum(parked)::text, sum(filtered)::text from landfall.ranges");
    assert_eq!(copied, [row(&["1", "1", "1"])]);
    database.run(doc! { "update": "orders", "updates": [
        { "q": { "_id": 1 }, "u": { "$set": { "status": "draft" } } }, { "q": { "_id": 2 }, "u": { "$set": { "status": "paid" } } }
    ] });
    let _ = site.catch_up();
    assert_eq!(site.database().rows(SHOWN), [row(&["2", "10.00", "NAMELESS", "f"])]);
    assert_eq!(site.database().rows("select distinct order_id::text from lines"), [row(&["2"])]);
}
