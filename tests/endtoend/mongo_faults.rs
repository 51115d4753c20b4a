//! What befalls a change stream: history that is lost, tokens that do not match, cursors and connections that end, servers that step down.
//!
//! A scripted server says what no test server says; where a test server can be brought to it, it is. What each stands for is in the
//! table of claims in deploy/docs/source-mongodb.md.

use bson::{Document, doc};
use landfall_tests::config::Config;
use landfall_tests::mongo_fake::{Entry, MongoFake, Rule, Shape, event};
use landfall_tests::mongo_server::{MongoServer, MongoSettings};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const USERS: (&str, &str) = ("app", "users");

/// A fake with some documents, followed by a service.
struct Followed {
    fake: MongoFake,
    site: Site,
}

impl Followed {
    fn new(name: &str) -> Self {
        let fake = MongoFake::start(Shape::primary());
        fake.collection("users", (0..5).map(|n| event::raw(&doc! { "_id": n, "n": n })).collect());
        let config = Config::new(name).mongo("app", "app").stream("users", "app", json!({}));
        let site = Site::new(config).mongo(&fake.uri());
        site.apply_schema_with_audit();
        Self { fake, site }
    }

    fn rows(&self) -> i64 {
        self.site.database().count("select count(*) from public.users")
    }

    fn expect_rows(&self, count: i64) {
        wait_until(SOON, "the rows are there", || self.rows() == count);
    }

    fn insert(&self, id: i32, at: u32) {
        self.fake.emit([event::insert(USERS, doc! { "_id": id }, at)]);
    }

    fn value(&self, key: &str) -> Option<String> {
        self.site.database().value(&format!("select doc::text from public.users where key = '{key}'"))
    }
}

fn end(followed: &Followed, service: landfall_tests::landfall::Landfall) {
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.stderr.contains("panic"), "{}", finished.stderr);
    followed.site.expect_witness("after the service ended");
}

#[test]
fn every_passing_error_is_waited_out_and_no_change_is_skipped() {
    let followed = Followed::new("mongo_passing");
    let service = followed.site.run_and_listen();
    followed.expect_rows(5);
    let mut id = 100;
    for (code, labels) in [
        (43, &["ResumableChangeStreamError"][..]),
        (43, &[]),
        (11_600, &["ResumableChangeStreamError"]),
        (91, &[]),
        (10_107, &["ResumableChangeStreamError"]),
        (189, &["ResumableChangeStreamError"]),
        (136, &[]),
        (237, &[]),
        (175, &[]),
        (222, &[]),
        (433, &["SystemOverloadedError"]),
        (462, &["SystemOverloadedError", "RetryableError"]),
    ] {
        followed.fake.rule(Rule::on("getMore").fail_labelled(code, labels).times(2));
        followed.insert(id, id as u32);
        id += 1;
        followed.expect_rows(i64::from(5 + id - 100));
    }
    assert!(followed.site.status().unwrap().json()["sources"][0]["log"]["reopened"].as_u64() > Some(0));
    end(&followed, service);
}

#[test]
fn connections_cut_in_the_middle_of_a_reply_and_cursors_closed_early_lose_nothing() {
    let followed = Followed::new("mongo_cut");
    let service = followed.site.run_and_listen();
    followed.expect_rows(5);
    followed.fake.rule(Rule::on("getMore").cut(60).times(2));
    followed.insert(10, 10);
    followed.expect_rows(6);
    followed.fake.rule(Rule::on("getMore").close().times(3));
    followed.insert(11, 11);
    followed.expect_rows(7);
    // A closed cursor that still holds changes: all of them count.
    followed
        .fake
        .log((20..25).map(|n| Entry::Event(event::insert(USERS, doc! { "_id": n as i32 }, n))).chain([Entry::End]));
    followed.expect_rows(12);
    followed.fake.forget_cursors();
    followed.insert(30, 30);
    followed.expect_rows(13);
    followed.fake.refuse();
    followed.fake.cut_all();
    let waiting = followed.site.expect_stream("users", "waiting", |stream| stream.state() == "waiting");
    assert_eq!(waiting.code(), "source_unreachable");
    followed.fake.heal();
    followed.insert(31, 31);
    followed.expect_rows(14);
    end(&followed, service);
}

#[test]
fn lost_history_halts_and_goes_on_with_a_new_copy_when_an_operator_says_so() {
    let followed = Followed::new("mongo_lost");
    let service = followed.site.run_and_listen();
    followed.expect_rows(5);
    followed.insert(10, 10);
    followed.expect_rows(6);
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    // Meanwhile the log moves on and is trimmed: a change in between is lost to the stream, but not to the collection.
    followed.insert(11, 11);
    followed.insert(12, 12);
    followed.fake.trim();
    followed.fake.collection("users", [0, 1, 2, 11, 12].map(|n| event::raw(&doc! { "_id": n, "n": "now" })).to_vec());
    let service = followed.site.run_and_listen();
    let halted = followed.site.expect_stream("users", "halted", |stream| stream.state() == "halted");
    assert_eq!(halted.code(), "history_lost", "{}", halted.text());
    assert!(halted.text().contains("landfall accept users history_lost"), "the choices are there: {}", halted.text());
    assert_eq!(followed.rows(), 6, "nothing is read or deleted without a word");
    let _ = followed.site.finish(&["accept", "users", "history_lost"]).expect(0);
    followed.expect_rows(5);
    wait_until(SOON, "what changed in between is there", || {
        followed.value("n:0").is_some_and(|doc| doc.contains("now"))
    });
    assert!(followed.value("n:10").is_none(), "what went in between is gone");
    followed.insert(13, 40);
    followed.expect_rows(6);
    end(&followed, service);
}

#[test]
fn an_unknown_token_is_rescued_by_the_time_beside_it() {
    let followed = Followed::new("mongo_token");
    let service = followed.site.run_and_listen();
    followed.expect_rows(5);
    followed.insert(10, 10);
    followed.expect_rows(6);
    followed.fake.rule(
        Rule::on("aggregate").holding("resumeAfter").fail_labelled(280, &["NonResumableChangeStreamError"]).times(1),
    );
    followed.fake.rule(
        Rule::on("aggregate").holding("startAfter").fail_labelled(280, &["NonResumableChangeStreamError"]).times(1),
    );
    followed.fake.cut_all();
    followed.insert(11, 11);
    followed.expect_rows(7);
    end(&followed, service);
}

#[test]
fn fragments_unknown_operations_and_null_states_are_taken_as_they_are_meant() {
    let followed = Followed::new("mongo_odd");
    let service = followed.site.run_and_listen();
    followed.expect_rows(5);
    let mut whole: Document = event::bare("insert", USERS, 20);
    whole.insert("documentKey", doc! { "_id": "large" });
    whole.remove("_id");
    let parts = [whole.clone(), doc! { "fullDocument": { "_id": "large", "whole": true } }];
    let fragments = event::split(&whole, &parts);
    followed.fake.log(fragments.into_iter().flat_map(|fragment| [Entry::Event(fragment), Entry::Break]));
    followed.expect_rows(6);
    followed.fake.emit([event::raw(&event::bare("tomorrowsOperation", USERS, 30))]);
    followed.fake.emit([event::update(USERS, 3, None, 31), event::delete(USERS, 3, 32)]);
    followed.expect_rows(5);
    let status = followed.site.status().unwrap();
    assert_eq!(status.json()["sources"][0]["log"]["unknown"], 1, "{}", status.json());
    end(&followed, service);
}

#[test]
fn a_standalone_server_and_a_refused_user_are_said_in_plain_words() {
    let Some(server) = MongoServer::start_own("standalone", MongoSettings::default().standalone()) else { return };
    let database = server.database("standalone");
    let config = Config::new("mongo_standalone").mongo("app", database.name()).stream("users", "app", json!({}));
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    let service = site.run_and_listen();
    let state = site.expect_stream("users", "said", |stream| stream.code() == "not_a_replica_set");
    assert!(state.detail().contains("replica set"), "{}", state.text());
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    let check = site.finish(&["check", "-o", "json"]);
    assert_ne!(check.code, Some(0), "{}", check.output());
    assert!(check.stdout.contains("not_a_replica_set"), "{}", check.output());
}

#[test]
fn a_trimmed_oplog_of_a_real_server_is_lost_history() {
    let Some(server) = MongoServer::start_own("trimmed", MongoSettings::default().small_oplog(50)) else { return };
    let database = server.database("trimmed");
    let config = Config::new("mongo_trimmed").mongo("app", database.name()).stream("users", "app", json!({}));
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema_with_audit();
    site.catch_up();
    let many = |range: std::ops::Range<i32>| {
        for n in range {
            database.run(doc! { "insert": "users", "documents": [{ "_id": n }] });
        }
    };
    many(0..1_200);
    std::thread::sleep(Duration::from_secs(11));
    many(1_200..2_400);
    let service = site.run_and_listen();
    let halted = site.expect_stream("users", "halted", |stream| stream.state() == "halted");
    assert_eq!(halted.code(), "history_lost", "{}", halted.text());
    let _ = site.finish(&["accept", "users", "history_lost"]).expect(0);
    site.expect_soon_equal("after the new copy");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
    site.expect_witness("after the service ended");
}
