//! Columns, required fields, defaults and what is left over: document to row loses nothing.

use landfall_tests::config::Config;
use landfall_tests::repository::shared_data;
use landfall_tests::site::Site;
use serde_json::json;

#[test]
fn columns_and_rest_make_the_record_again() {
    let db = shared_data().join("stores/jsonplaceholder/db.json");
    let config = Config::new("mapped")
        .document("store", &db.to_string_lossy())
        .stream(
            "users",
            "store",
            json!({
                "select": "/users", "key": "id", "rest": "extra",
                "columns": {
                    "name": { "from": "name", "type": "text", "required": true },
                    "email": { "type": "text" },
                    "city": { "from": "address.city", "type": "text" },
                    "lat": { "from": "address.geo.lat", "type": "text" },
                    "company": { "type": "jsonb" },
                    "nickname": { "type": "text" },
                },
            }),
        )
        .stream(
            "todos",
            "store",
            json!({
                "select": "/todos", "key": { "from": "id", "type": "bigint" }, "rest": "extra",
                "columns": {
                    "user_id": { "from": "userId", "type": "integer", "required": true },
                    "done": { "from": "completed", "type": "boolean" },
                    "title": { "type": "text" },
                    "points": { "type": "integer", "default": 3 },
                },
            }),
        );
    let site = Site::new(config);
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("mapped tables");
    site.expect_witness("mapped tables");
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from users where city is not null and extra->'address' ? 'street'"), 10);
    assert_eq!(database.count("select count(*) from todos where points = 3 and done is not null"), 200);
    assert_eq!(database.value("select pg_typeof(id)::text from todos limit 1").as_deref(), Some("bigint"));
}

#[test]
fn values_that_do_not_fit_are_parked_and_the_rest_lands() {
    let site = Site::new(Config::new("unfit").lines("log", "log.ndjson").stream(
        "items",
        "log",
        json!({
            "key": "id", "rest": "extra",
            "columns": {
                "price": { "type": "numeric", "required": true },
                "at": { "type": "timestamptz" },
                "small": { "type": "smallint" },
            },
        }),
    ));
    let lines = [
        r#"{"id":1,"price":12345678901234567890.000100,"at":"2024-02-29T23:59:59.123456+02:00","small":-32768,"left":"over"}"#,
        r#"{"id":2,"price":"twelve"}"#,
        r#"{"id":3}"#,
        r#"{"id":4,"price":1,"at":"2023-02-29T00:00:00Z"}"#,
        r#"{"id":5,"price":1,"small":32768}"#,
        r#"{"id":6,"price":-0.5,"at":null,"small":null}"#,
    ];
    std::fs::write(site.path("log.ndjson"), lines.join("\n") + "\n").unwrap();
    site.apply_schema();
    site.catch_up();
    let mut database = site.database();
    let kept = database
        .rows("select price::text, extract(epoch from at)::text, small::text, extra::text from items order by price");
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[1][0].as_deref(), Some("12345678901234567890.000100"), "every digit");
    assert_eq!(kept[1][1].as_deref(), Some("1709243999.123456"));
    assert!(kept[1][3].as_deref().unwrap().contains(r#""left": "over""#));
    assert!(kept[0][3].as_deref().unwrap().contains(r#""small": null"#), "an explicit null is not a missing field");
    let parked = database.rows("select place_at::text, code from landfall.dead_letters order by place_at");
    let codes: Vec<&str> = parked.iter().map(|row| row[1].as_deref().unwrap()).collect();
    assert_eq!(codes.len(), 4, "{codes:?}");
    assert_eq!(codes[..2], ["column_type", "required_missing"]);
    assert_eq!(parked[0][0].as_deref(), Some((lines[0].len() + 1).to_string().as_str()), "the line's byte offset");
}

#[test]
fn a_later_change_of_a_parked_key_waits_behind_it() {
    let site = Site::new(Config::new("behind").lines("log", "log.ndjson").stream(
        "items",
        "log",
        json!({ "key": "id", "columns": { "n": { "type": "integer" } }, "rest": "extra" }),
    ));
    let lines = [r#"{"id":"a","n":1}"#, r#"{"id":"a","n":"bad"}"#, r#"{"id":"a","n":3}"#, r#"{"id":"b","n":4}"#];
    std::fs::write(site.path("log.ndjson"), lines.join("\n") + "\n").unwrap();
    site.apply_schema();
    site.catch_up();
    let mut database = site.database();
    assert_eq!(database.value("select string_agg(n::text, ',' order by n) from items").as_deref(), Some("1,4"));
    let states = database.value("select string_agg(state, ',' order by event_offset) from landfall.dead_letters");
    assert_eq!(states.as_deref(), Some("parked,behind"));
}
