//! How a MongoDB source is reached, and what befalls the cursors of a copy: compressors, secondaries, hosts that nobody knows, cursors killed
//! anywhere, documents that a server hides.
//!
//! All of it rests on the scripted server: see the table of claims in deploy/docs/source-mongodb.md.

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf, doc};
use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_fake::{MongoFake, Rule, Shape, event};
use landfall_tests::oracle::MONGO_VARIABLE;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// Longer than a copy waits for capture to explain a difference of counts.
const LOSS_IS_SAID: Duration = Duration::from_secs(150);
const USERS: (&str, &str) = ("app", "users");

fn site(name: &str, uri: &str) -> Site {
    let config = Config::new(name).mongo("app", "app").stream("users", "app", json!({}));
    let site = Site::new(config).mongo(uri);
    site.apply_schema_with_audit();
    site
}

fn expect_rows(site: &Site, count: i64) {
    wait_until(SOON, "the rows are there", || site.database().count("select count(*) from public.users") == count);
}

fn end(site: &Site, service: Landfall) {
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.stderr.contains("panic"), "{}", finished.stderr);
    site.expect_witness("after the service ended");
}

/// Documents whose `_id`s are of three kinds, in the order of the server.
fn mixed(each: u32) -> Vec<RawDocumentBuf> {
    let numbers = (0..each).map(|n| Bson::Int32(n as i32));
    let strings = (0..each).map(|n| Bson::String(format!("s{n:06}")));
    let object_ids = (0..each).map(|n| {
        let mut bytes = [0; 12];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Bson::ObjectId(ObjectId::from_bytes(bytes))
    });
    let ids = numbers.chain(strings).chain(object_ids);
    ids.map(|id| event::raw(&doc! { "_id": id, "v": "a value of some length" })).collect()
}

#[test]
fn a_compressor_of_the_uri_is_agreed_on_and_everything_behind_it_goes_compressed() {
    let fake = MongoFake::start(Shape::primary());
    fake.collection("users", mixed(100));
    let site = site("mongo_compressed", &format!("{}&compressors=snappy,zlib", fake.uri()));
    let service = site.run_and_listen();
    expect_rows(&site, 300);
    fake.emit([event::insert(USERS, doc! { "_id": "new" }, 5)]);
    expect_rows(&site, 301);
    for name in ["find", "getMore"] {
        let seen = fake.seen_named(name);
        assert!(!seen.is_empty() && seen.iter().all(|seen| seen.compressed), "{name} goes compressed");
    }
    end(&site, service);
}

#[test]
fn copies_and_changes_are_read_from_a_secondary_that_is_not_behind() {
    let (primary, secondary) = (MongoFake::start(Shape::primary()), MongoFake::start(Shape::secondary()));
    let hosts = [&primary, &secondary].map(|fake| format!("127.0.0.1:{}", fake.port()));
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    primary.become_shape(Shape::primary().hosts(&hosts));
    secondary.become_shape(Shape::secondary().hosts(&hosts));
    for fake in [&primary, &secondary] {
        fake.collection("users", mixed(50));
    }
    let source = json!({
        "kind": "mongodb", "uri": format!("${{{MONGO_VARIABLE}}}"), "database": "app", "read_preference": "secondary",
    });
    let config = Config::new("mongo_secondary").source("app", source).stream("users", "app", json!({}));
    let site = Site::new(config).mongo(&primary.set_uri());
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    expect_rows(&site, 150);
    // Others are of the log.
    let copies = |fake: &MongoFake| {
        let finds = fake.seen_named("find").into_iter();
        finds.filter(|seen| seen.body.get_str("find").is_ok_and(|name| name == "users")).collect::<Vec<_>>()
    };
    assert!(copies(&primary).is_empty(), "the primary is not burdened with the copy");
    let finds = copies(&secondary);
    assert!(!finds.is_empty());
    for find in finds {
        let concern = find.body.get_document("readConcern").expect("a read of a copy says what it may show");
        assert_eq!(concern.get_str("level").ok(), Some("majority"));
        assert!(concern.get_timestamp("afterClusterTime").is_ok(), "not before capture began: {concern}");
    }
    assert!(primary.seen_named("$changeStream").is_empty() && !secondary.seen_named("$changeStream").is_empty());
    secondary.emit([event::insert(USERS, doc! { "_id": "new" }, 5)]);
    expect_rows(&site, 151);
    end(&site, service);
}

#[test]
fn cursors_of_a_copy_killed_in_a_chunk_between_chunks_and_between_kinds_lose_and_double_nothing() {
    let fake = MongoFake::start(Shape::primary());
    fake.collection("users", mixed(1_000));
    fake.reply_with_at_most(97);
    for (skipped, code) in [(0, 43), (3, 43), (9, 11_600), (14, 43), (21, 43), (27, 237)] {
        fake.rule(Rule::on("getMore").holding("users").skip(skipped).fail(code));
    }
    fake.rule(Rule::on("getMore").holding("users").skip(17).cut(50));
    fake.rule(Rule::on("find").holding("users").skip(4).fail(91));
    let site = site("mongo_cursors", &fake.uri());
    let service = site.run_and_listen();
    expect_rows(&site, 3_000);
    // The counts of every kind agree.
    let _ = site.expect_stream("users", "following", |stream| stream.state() == "following");
    assert_eq!(fake.forget_rules(), 0, "every cursor that was to be killed was killed");
    let kinds = site.database().count(
        "select count(*) from (select left(key, 2), count(*) from public.users group by 1 having count(*) = 1000) as whole",
    );
    assert_eq!(kinds, 3, "a thousand of each kind");
    fake.emit([event::insert(USERS, doc! { "_id": "new" }, 5)]);
    expect_rows(&site, 3_001);
    end(&site, service);
}

/// A reply without the documents whose `_id` is a string.
fn without_strings(mut reply: Document) -> Document {
    if let Ok(cursor) = reply.get_document_mut("cursor") {
        for batch in ["firstBatch", "nextBatch"] {
            if let Ok(documents) = cursor.get_array_mut(batch) {
                documents.retain(|found| found.as_document().is_none_or(|found| found.get_str("_id").is_err()));
            }
        }
    }
    reply
}

#[test]
fn a_kind_of_key_that_a_copy_never_saw_is_missed_and_the_copy_is_not_called_complete() {
    let fake = MongoFake::start(Shape::primary());
    fake.collection("users", mixed(40));
    for command in ["find", "getMore"] {
        fake.rule(Rule::on(command).holding("users").change(without_strings).always());
    }
    let site = site("mongo_cohort", &fake.uri());
    let service = site.run_and_listen();
    wait_until(LOSS_IS_SAID, "the loss is said", || {
        let status = site.status().and_then(|status| status.stream("users"));
        status.is_some_and(|stream| stream.state() == "halted")
    });
    let halted = site.status().and_then(|status| status.stream("users")).expect("a running service tells its streams");
    assert_eq!(halted.code(), "snapshot_incomplete", "{}", halted.text());
    assert!(halted.detail().contains("string"), "the kind is named: {}", halted.detail());
    assert_eq!(site.database().count("select count(*) from public.users"), 80, "what was read stays");
    let phase = site.database().value("select phase from landfall.streams where stream = 'users'");
    assert_ne!(phase.as_deref(), Some("live"), "nothing was made live");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn hosts_that_dns_does_not_tell_are_waited_for_while_other_sources_go_on() {
    let config = Config::new("mongo_srv")
        .mongo("app", "app")
        .source("store", json!({ "kind": "json_document", "path": "store.json" }))
        .stream("users", "app", json!({}))
        .stream("tasks", "store", json!({ "select": "/tasks", "key": "id" }));
    let site = Site::new(config).mongo("mongodb+srv://cluster.landfall.invalid/?serverSelectionTimeoutMS=1000");
    std::fs::write(site.path("store.json"), r#"{"tasks":[{"id":1},{"id":2}]}"#).expect("a file can be written");
    site.apply_schema();
    let service = site.run_and_listen();
    let waiting = site.expect_stream("users", "waiting", |stream| stream.code() == "source_unreachable");
    assert!(waiting.detail().contains("DNS"), "{}", waiting.text());
    wait_until(SOON, "the other source goes on", || site.database().count("select count(*) from public.tasks") == 2);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
