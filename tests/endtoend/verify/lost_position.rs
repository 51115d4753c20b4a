//! A place in the source's log is lost: the stream goes on from now, and a repair writes what differs and nothing else.

use super::verify;
use bson::doc;
use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_fake::{MongoFake, Shape, event};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const USERS: (&str, &str) = ("app", "users");
/// Documents that nobody touches are most of them.
const DOCUMENTS: i32 = 200;

fn documents(changed: &[i32], numbers: impl Iterator<Item = i32>) -> Vec<bson::RawDocumentBuf> {
    numbers.map(|n| event::raw(&doc! { "_id": n, "v": if changed.contains(&n) { -1 } else { n } })).collect()
}

/// A followed collection whose log no longer reaches back to where capture stands: 3 and 4 were changed, 5 and 6 deleted, 900 is new.
fn lost(name: &str) -> (MongoFake, Site) {
    let fake = MongoFake::start(Shape::primary());
    fake.collection("users", documents(&[], 0..DOCUMENTS));
    let config = Config::new(name).mongo("app", "app").stream("users", "app", json!({}));
    let site = Site::new(config).mongo(&fake.uri());
    site.apply_schema();
    let service = site.run_and_listen();
    site.expect_stream("users", "copied", |stream| stream.state() == "following");
    fake.emit([event::insert(USERS, doc! { "_id": 500, "v": 0 }, 10)]);
    wait_until(SOON, "the change is there", || rows(&site) == i64::from(DOCUMENTS) + 1);
    end(service);
    fake.emit([event::insert(USERS, doc! { "_id": 501 }, 11)]);
    fake.trim();
    fake.emit([event::insert(("app", "others"), doc! { "_id": 1 }, 12)]);
    let left = (0..DOCUMENTS).filter(|n| ![5, 6].contains(n)).chain([500, 900]);
    let mut there = documents(&[3, 4], left);
    there[DOCUMENTS as usize - 2] = event::raw(&doc! { "_id": 500, "v": 0 });
    fake.collection("users", there);
    (fake, site)
}

fn rows(site: &Site) -> i64 {
    site.database().count("select count(*) from users")
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

/// From here on each row that is written to the table leaves a line.
fn count_writes(site: &Site, key: &str) {
    site.database().run(&format!(
        "create table written (op text, key text); \
         create function note_write() returns trigger language plpgsql as $$ begin \
             insert into public.written values (TG_OP, coalesce(new.{key}, old.{key})); return null; end $$; \
         create trigger note_write after insert or update or delete on users for each row execute function note_write()",
    ));
}

fn written(site: &Site) -> BTreeSet<String> {
    let rows = site.database().rows("select op || ' ' || key from written order by 1");
    let all: Vec<String> = rows.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect();
    let count = all.len();
    let set: BTreeSet<String> = all.into_iter().collect();
    assert_eq!(count, set.len(), "nothing is written twice");
    set
}

#[test]
fn a_repair_brings_the_stream_back_and_writes_only_what_differs() {
    let (fake, site) = lost("v-lost");
    let service = site.run_and_listen();
    let halted = site.expect_stream("users", "halted", |stream| stream.state() == "halted");
    assert!(halted.text().contains("landfall accept users history_lost --compare"), "{}", halted.text());
    count_writes(&site, "key");
    let _ = site.finish(&["accept", "users", "history_lost", "--compare", "--actor", "ada"]).expect(0);
    let waiting = site.expect_stream("users", "in doubt", |stream| stream.code() == "not_compared");
    assert!(waiting.text().contains("landfall verify --repair --stream users"), "{}", waiting.text());
    end(service);
    // The doubt outlives the process, and the new place is kept.
    let service = site.run_and_listen();
    site.expect_stream("users", "still in doubt", |stream| stream.code() == "not_compared");
    let found = verify(&site, &["--stream", "users"]);
    let kinds = (found.number("missing"), found.number("different"), found.number("extra"));
    assert_eq!(kinds, (1, 2, 2), "{}", found.output);
    site.expect_stream("users", "a look settles nothing that differs", |stream| stream.code() == "not_compared");
    assert!(written(&site).is_empty(), "neither going on nor looking writes");
    verify(&site, &["--stream", "users", "--repair"]).expect_equal(u64::try_from(DOCUMENTS).unwrap());
    let expected = ["DELETE n:5", "DELETE n:6", "INSERT n:900", "UPDATE n:3", "UPDATE n:4"];
    assert_eq!(written(&site), expected.map(str::to_owned).into(), "rows written are those that differed");
    site.expect_stream("users", "ready again", |stream| stream.state() == "following");
    fake.emit([event::insert(USERS, doc! { "_id": 901 }, 40)]);
    wait_until(SOON, "it goes on", || rows(&site) == i64::from(DOCUMENTS) + 1);
    end(service);
    let mut database = site.database();
    let who = "select actor from landfall.history where event = 'went_on'";
    assert_eq!(database.value(who).as_deref(), Some("ada"));
    assert_eq!(database.count("select count(*) from landfall.streams where resync"), 0);
}

#[test]
fn a_document_whose_state_is_lost_is_compared_and_only_what_differs_is_written() {
    let config = Config::new("v-lost-state").document("store", "db.json").stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id", "columns": { "v": "integer" } }),
    );
    let site = Site::new(config);
    let write = |records: Vec<serde_json::Value>| {
        std::fs::write(site.path("db.json.new"), json!({ "users": records }).to_string()).unwrap();
        std::fs::rename(site.path("db.json.new"), site.path("db.json")).unwrap();
    };
    let numbered = |n: i32, v: i32| json!({ "id": n, "v": v });
    write((0..DOCUMENTS).map(|n| numbered(n, n)).collect());
    site.apply_schema();
    site.catch_up();
    std::fs::remove_dir_all(site.path("state")).unwrap();
    let changed = |n: i32| if [3, 4].contains(&n) { -1 } else { n };
    write((0..DOCUMENTS).filter(|n| ![5, 6].contains(n)).chain([900]).map(|n| numbered(n, changed(n))).collect());
    count_writes(&site, "id");
    let _ = site.finish(&["accept", "users", "queue_changed"]).expect(0);
    site.catch_up();
    let expected = ["DELETE n:5", "DELETE n:6", "INSERT n:900", "UPDATE n:3", "UPDATE n:4"];
    assert_eq!(written(&site), expected.map(str::to_owned).into(), "rows written are those that differed");
    verify(&site, &[]).expect_equal(u64::try_from(DOCUMENTS).unwrap() - 1);
}

#[test]
fn a_stream_in_doubt_is_never_called_caught_up_and_only_lost_places_can_be_passed() {
    let (_fake, site) = lost("v-doubt");
    let service = site.run_and_listen();
    site.expect_stream("users", "halted", |stream| stream.state() == "halted");
    let refused = site.finish(&["accept", "users", "queue_changed", "--compare"]).expect(1);
    assert!(refused.output().contains("nothing by this name"), "{}", refused.output());
    let _ = site.finish(&["accept", "users", "history_lost", "--compare"]).expect(0);
    site.expect_stream("users", "in doubt", |stream| stream.code() == "not_compared");
    end(service);
    let ended = site.finish(&["run", "--until-caught-up"]).expect(4);
    assert!(ended.output().contains("landfall verify --repair"), "{}", ended.output());
    let refused = site.finish(&["accept", "users", "history_lost", "--compare"]).expect(1);
    assert!(refused.output().contains("no service runs"), "{}", refused.output());
}
