//! Columns that change what they take: text made uniform, spellings, times, amounts; from JSON and from MongoDB, live.
//!
//! What is expected is written down by hand, value by value: no code that reads rules judges them.

use bson::{DateTime, doc};
use landfall_tests::config::Config;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn columns() -> Value {
    json!({
        "email": { "type": "text", "normalize": ["trim", "lower", "empty_to_null"] },
        "active": { "type": "boolean", "values": { "yes": true, "no": false, "1": true, "0": false } },
        "state": { "type": "text", "values": { "In Progress": "in_progress" }, "otherwise": "pass", "keep": false },
        "born": { "type": "date", "parse": { "pattern": "%d.%m.%Y" } },
        "seen": { "type": "timestamptz", "parse": "epoch_ms" },
        "price": { "type": "numeric(12,2)", "parse": "money" },
        "code": { "type": "text", "parse": "text" },
    })
}

const SHOWN: &str = "select id::text, email, active::text, state, born::text, extract(epoch from seen)::text, price::text, code, \
                     coalesce(extra::text, '') from people order by id";

fn row(cells: &[&str]) -> Vec<Option<String>> {
    cells.iter().map(|cell| (*cell != "NULL").then(|| (*cell).to_owned())).collect()
}

fn write(site: &Site, people: &Value) {
    let next = site.path("next.json");
    std::fs::write(&next, serde_json::to_vec(people).expect("JSON can be written")).expect("a file can be written");
    std::fs::rename(next, site.path("people.json")).expect("a rename needs no room");
}

#[test]
fn a_store_of_many_spellings_becomes_a_table_of_one_and_what_is_not_understood_is_parked() {
    let config = Config::new("rules").document("store", "people.json").stream(
        "people",
        "store",
        json!({ "key": { "from": "id", "type": "integer" }, "rest": "extra", "columns": columns() }),
    );
    let site = Site::new(config);
    let ada = json!({ "id": 1, "email": " Ada@Example.ORG ", "active": "yes", "state": "In Progress", "born": "10.12.1815",
                      "seen": 1_700_000_000_001_u64, "price": "$1,234.50", "code": 7 });
    let bob = json!({ "id": 2, "email": "  ", "active": 0, "state": "done", "seen": "1700000000000", "price": 5, "code": true });
    let eve = json!({ "id": 3, "active": "perhaps" });
    write(&site, &json!([ada, bob, eve]));
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    let rows = |count: usize| {
        wait_until(SOON, "the rows are there", || site.database().rows(SHOWN).len() == count);
        site.database().rows(SHOWN)
    };
    let found = rows(2);
    assert_eq!(
        found[0][..8],
        row(&["1", "ada@example.org", "true", "in_progress", "1815-12-10", "1700000000.001000", "1234.50", "7"])
    );
    assert_eq!(found[1][..8], row(&["2", "NULL", "false", "done", "NULL", "1700000000.000000", "5.00", "true"]));
    let rest: Value = serde_json::from_str(found[0][8].as_deref().expect("a rest")).expect("JSON");
    let mut kept = ada.clone();
    kept.as_object_mut().expect("an object").retain(|name, _| !matches!(name.as_str(), "id" | "state"));
    assert_eq!(rest, kept, "what a rule changed stays as it stood, unless `keep: false`");
    let parked = site.database().rows("select code, path, found from landfall.dead_letters where state = 'parked'");
    assert_eq!(parked, [row(&["value_not_listed", "/active", "another value"])]);

    // Live: mended, changed, and a record that is no longer understood.
    let ada = json!({ "id": 1, "email": "ada@example.org", "active": "no", "price": "(3.10)" });
    let bob = json!({ "id": 2, "price": "1.005" });
    let eve = json!({ "id": 3, "active": 1 });
    write(&site, &json!([ada, bob, eve]));
    let waiting = "select code, path from landfall.dead_letters where state in ('parked', 'behind') order by id";
    wait_until(SOON, "the changes are there", || {
        site.database().rows(SHOWN)[0][6].as_deref() == Some("-3.10") && site.database().rows(waiting).len() == 3
    });
    let found = rows(2);
    assert_eq!(found[0][1..4], row(&["ada@example.org", "false", "NULL"]));
    assert_eq!(found[1][6].as_deref(), Some("5.00"), "the row of a record that is parked stays as it was");
    let waiting = site.database().rows(waiting);
    assert!(waiting.contains(&row(&["number_range", "/price"])), "never rounded: {waiting:?}");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    site.expect_witness("after the service ended");
}

#[test]
fn the_same_rules_hold_for_documents_of_mongodb_and_its_dates_pass() {
    let database = MongoServer::shared().database("rules");
    let moment = DateTime::from_millis(1_700_000_000_001);
    let documents = vec![
        doc! { "_id": 1, "email": " Ada@Example.ORG ", "active": 1.0, "state": "In Progress", "born": "10.12.1815", "seen": moment, "price": "$1,234.50", "code": 7_i64 },
        doc! { "_id": 2, "email": "", "active": "no", "seen": 1_700_000_000_000_i64, "price": 5, "code": true },
        doc! { "_id": 3, "active": 2 },
    ];
    database.run(doc! { "insert": "people", "documents": documents });
    let config = Config::new("mongo_rules").mongo("app", database.name()).stream(
        "people",
        "app",
        json!({ "key": { "type": "integer", "name": "id" }, "rest": "extra", "columns": columns() }),
    );
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    site.catch_up();
    let found = site.database().rows(SHOWN);
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[0][..8],
        row(&["1", "ada@example.org", "true", "in_progress", "1815-12-10", "1700000000.001000", "1234.50", "7"])
    );
    assert_eq!(found[1][..8], row(&["2", "NULL", "false", "NULL", "NULL", "1700000000.000000", "5.00", "true"]));
    let rest = found[0][8].as_deref().expect("a rest");
    assert!(rest.contains(r#"" Ada@Example.ORG ""#) && !rest.contains("In Progress"), "{rest}");
    let parked = site.database().rows("select code, path from landfall.dead_letters");
    assert_eq!(parked, [row(&["value_not_listed", "/active"])]);
}

/// Each array as text, and what stayed in the rest.
const ARRAYS: &str = "select id::text, tags::text, marks::text, coalesce(extra::text, '') from people order by id";

fn arrays() -> Value {
    json!({ "tags": "text[]", "marks": { "type": "numeric(5,2)[]", "default": [] } })
}

#[test]
fn arrays_of_plain_values_are_arrays_of_the_table() {
    let config = Config::new("arrays").document("store", "people.json").stream(
        "people",
        "store",
        json!({ "key": { "from": "id", "type": "integer" }, "rest": "extra", "columns": arrays() }),
    );
    let site = Site::new(config);
    let odd = r#"a,"b\ {c} NULL"#;
    write(
        &site,
        &json!([{ "id": 1, "tags": ["x", odd, null, "NULL"], "marks": [1, 2.5] }, { "id": 2, "tags": [], "marks": null },
                { "id": 3, "tags": [["deep"]] }, { "id": 4 }]),
    );
    site.apply_schema();
    let service = site.run_and_listen();
    let first = row(&["1", r#"{x,"a,\"b\\ {c} NULL",NULL,"NULL"}"#, "{1.00,2.50}", ""]);
    let others = [row(&["2", "{}", "NULL", r#"{"marks": null}"#]), row(&["4", "NULL", "{}", ""])];
    wait_until(SOON, "the rows are there", || site.database().rows(ARRAYS).len() == 3);
    let expected = [first, others[0].clone(), others[1].clone()];
    assert_eq!(site.database().rows(ARRAYS), expected);
    let parked = site.database().rows("select code, path from landfall.dead_letters");
    assert_eq!(parked, [row(&["column_type", "/tags/0"])]);
    write(&site, &json!([{ "id": 1, "tags": ["y"] }, { "id": 2, "tags": [] }, { "id": 4, "marks": [0] }]));
    let live = [row(&["1", "{y}", "{}", ""]), row(&["2", "{}", "{}", ""]), row(&["4", "NULL", "{0.00}", ""])];
    wait_until(SOON, "the changes are there", || site.database().rows(ARRAYS) == live);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn arrays_of_mongodb_stay_in_the_rest_unless_they_come_back_as_they_were() {
    let database = MongoServer::shared().database("arrays");
    let documents = vec![
        doc! { "_id": 1, "tags": ["x", bson::Bson::Null], "marks": [1, 2.5] },
        doc! { "_id": 2, "tags": [], "marks": ["1"] },
    ];
    database.run(doc! { "insert": "people", "documents": documents });
    let config = Config::new("mongo_arrays").mongo("app", database.name()).stream(
        "people",
        "app",
        json!({ "key": { "type": "integer", "name": "id" }, "rest": "extra", "columns": arrays() }),
    );
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    let _ = site.catch_up();
    let rest = r#"{"marks": [{"$numberInt": "1"}, {"$numberDouble": "2.5"}]}"#;
    assert_eq!(site.database().rows(ARRAYS), [row(&["1", "{x,NULL}", "{1.00,2.50}", rest])]);
    assert_eq!(
        site.database().rows("select code, path from landfall.dead_letters"),
        [row(&["column_type", "/marks/0"])]
    );
}
