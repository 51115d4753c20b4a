//! Dead letters of collections: whole documents with their tables below, and those that a copy parked.

use super::redress;
use bson::{Bson, doc};
use landfall_tests::config::Config;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use serde_json::json;

#[test]
fn documents_of_a_collection_with_tables_below_are_retried_whole() {
    let store = MongoServer::shared().database("redress");
    let team = |id: i32, size: Bson, members: i32| {
        let members: Vec<bson::Document> = (0..members).map(|n| doc! { "name": format!("m{n}") }).collect();
        doc! { "_id": id, "size": size, "members": members }
    };
    let config = |size: &str| {
        let children = json!({ "members": { "from": "members", "columns": { "name": "text" } } });
        let stream = json!({ "columns": { "size": size }, "children": children });
        Config::new("redress_mongo").mongo("app", store.name()).stream("teams", "app", stream)
    };
    let mut site = Site::on(config("integer"), PostgresServer::shared().database("redress_mongo")).mongo(store.uri());
    site.apply_schema();
    let _ = site.catch_up();
    store.run(doc! { "insert": "teams", "documents": [team(1, Bson::Int32(3), 2), team(2, Bson::Double(2.5), 3)] });
    store.run(doc! { "update": "teams", "updates": [{ "q": { "_id": 2 }, "u": { "$push": { "members": { "name": "late" } } } }] });
    let _ = site.catch_up();
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from teams"), 1);
    database.run("alter table teams alter column size type numeric");
    site.reconfigure(config("numeric"));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    let done = redress(&site, &["retry", "--all"]);
    assert_eq!(
        (&done["applied"], &done["superseded"], &done["still_parked"]),
        (&json!(1), &json!(1), &json!(0)),
        "{done}"
    );
    assert_eq!(database.value("select size::text from teams where key = 'n:2'").as_deref(), Some("2.5"));
    assert_eq!(
        database.count("select count(*) from teams_members where teams_key = 'n:2'"),
        4,
        "with all its rows below"
    );
    let terms = "select sum(next_offset) - sum(applied + superseded + filtered + dead_lettered + discarded), sum(dead_lettered) from landfall.checkpoints";
    assert_eq!(
        database.rows(&format!("select a::text, b::text from ({terms}) as t (a, b)")),
        [[Some("0".to_owned()), Some("0".to_owned())]]
    );
}

#[test]
fn what_a_copy_parked_is_retried_and_given_up_like_any_other_and_stands_in_no_count() {
    let store = MongoServer::shared().database("redress_copy");
    let config = |size: &str| {
        let stream = json!({ "columns": { "size": size }, "partitions": 1 });
        Config::new("redress_copy").mongo("app", store.name()).stream("teams", "app", stream)
    };
    let team = |id: i32, size: Bson| doc! { "_id": id, "size": size };
    let bad = [team(2, Bson::Double(2.5)), team(3, Bson::Double(7.5)), team(4, "x".into()), team(5, Bson::Double(0.5))];
    store.run(doc! { "insert": "teams", "documents": [team(1, Bson::Int32(3))] });
    store.run(doc! { "insert": "teams", "documents": bad.to_vec() });
    let login = PostgresServer::shared().database("redress_copy");
    let mut site = Site::on(config("integer"), login).mongo(store.uri());
    site.apply_schema();
    site.catch_up();
    // A change behind a letter of the copy: that one is an event.
    store.run(doc! { "update": "teams", "updates": [{ "q": { "_id": 2 }, "u": { "$set": { "size": 2.75 } } }] });
    site.catch_up();
    let mut database = site.database();
    let counted = "select sum(dead_lettered)::text, sum(next_offset - applied - superseded - filtered - dead_lettered - discarded)::text \
        from landfall.checkpoints";
    let terms = |n: &str| [[Some(n.to_owned()), Some("0".to_owned())]];
    assert_eq!(database.rows(counted), terms("1"), "the one behind");
    database.run(
        "alter table teams alter column size type numeric; alter table teams add constraint small check (size < 7)",
    );
    site.reconfigure(config("numeric"));
    let _ = site.finish(&["schema", "apply", "--accept-mapping-change"]).expect(0);
    let done = redress(&site, &["retry", "--all"]);
    let came = (&done["applied"], &done["superseded"], &done["still_parked"]);
    assert_eq!(came, (&json!(2), &json!(1), &json!(2)), "{done}");
    assert_eq!(database.rows(counted), terms("0"));
    let refused = "select encode(key, 'escape') from landfall.dead_letters where code = 'refused' and state = 'parked'";
    assert_eq!(
        database.value(refused).as_deref(),
        Some("n:3"),
        "the letter whose row was refused, of all that stand at the barrier"
    );
    database.run("alter table teams drop constraint small");
    assert_eq!(redress(&site, &["retry", "--code", "refused"])["applied"], 1);
    assert_eq!(redress(&site, &["discard", "--all", "--yes"])["discarded"], 1);
    let rows = database.rows("select key, size::text from teams order by key");
    let expected = [("n:1", "3"), ("n:2", "2.75"), ("n:3", "7.5"), ("n:5", "0.5")];
    assert_eq!(rows, expected.map(|(key, size)| vec![Some(key.to_owned()), Some(size.to_owned())]));
    assert_eq!(database.rows(counted), terms("0"), "what was no event moves no count");
    store.run(doc! { "update": "teams", "updates": [{ "q": { "_id": 4 }, "u": { "$set": { "size": 4 } } }] });
    site.catch_up();
    assert_eq!(database.count("select count(*) from teams where size = 4"), 1, "the key is free");
}
