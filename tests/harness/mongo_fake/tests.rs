//! The official driver talks to the fake, and sees every fault that is scripted.

use super::event::{self, EPOCH};
use super::{Entry, MongoFake, Rule, Shape};
use crate::mongo_database::{MongoDatabase, code};
use bson::{Bson, Document, RawDocumentBuf, Timestamp, doc, rawdoc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::{Error, ErrorKind};
use std::time::Duration;

const NAMESPACE: (&str, &str) = ("app", "users");
const SOON: Duration = Duration::from_secs(20);
const RESUMABLE: &str = "ResumableChangeStreamError";

type Raw = ChangeStream<RawDocumentBuf>;

fn client(fake: &MongoFake) -> MongoDatabase {
    MongoDatabase::new(&fake.uri(), NAMESPACE.0)
}

fn primary() -> (MongoFake, MongoDatabase) {
    let fake = MongoFake::start(Shape::primary());
    let database = client(&fake);
    (fake, database)
}

fn watch(database: &MongoDatabase) -> Result<Raw, Error> {
    database.wait(async {
        let stream = database.driver().watch().max_await_time(Duration::from_millis(50)).await?;
        Ok(stream.with_type())
    })
}

fn watch_behind(database: &MongoDatabase, token: ResumeToken) -> Result<Raw, Error> {
    database.wait(async { Ok(database.driver().watch().resume_after(token).await?.with_type()) })
}

fn token(document: &Document) -> ResumeToken {
    bson::deserialize_from_bson(Bson::Document(document.clone())).unwrap()
}

fn held(stream: &Raw) -> Document {
    let Bson::Document(held) = bson::serialize_to_bson(&stream.resume_token().unwrap()).unwrap() else {
        panic!("a token is a document")
    };
    held
}

/// The next event, or the error in its place; asks until there is one.
fn next(database: &MongoDatabase, stream: &mut Raw) -> Result<RawDocumentBuf, Error> {
    database.wait(async {
        loop {
            if let Some(event) = stream.next_if_any().await? {
                return Ok(event);
            }
            assert!(stream.is_alive(), "the stream ended without an event");
        }
    })
}

fn operation(event: &RawDocumentBuf) -> &str {
    event.get_str("operationType").unwrap()
}

fn insert(id: i32, at: u32) -> RawDocumentBuf {
    event::insert(NAMESPACE, doc! { "_id": id }, at)
}

#[test]
fn a_client_reads_collections_batch_by_batch() {
    let (fake, database) = primary();
    fake.collection("users", (0..250_i32).map(|id| rawdoc! { "_id": id, "v": "x" }).collect());
    let names = database.wait(database.driver().list_collection_names().into_future()).unwrap();
    assert_eq!(names, ["users"]);
    assert_eq!(database.count("users"), 250);
    let read = database.raw("users");
    assert_eq!(read.len(), 250);
    assert_eq!(read[249], rawdoc! { "_id": 249, "v": "x" });
    assert_eq!(fake.seen_named("getMore").len(), 1, "101 documents, then the rest");
    assert!(database.try_run(doc! { "ping": 1 }).unwrap().get_timestamp("operationTime").is_ok());
}

#[test]
fn events_come_as_the_bytes_they_were_scripted_as() {
    use crate::raw_bson::{RawValue, RawWriter, tag};
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    let id = RawValue::document(&event::raw(&event::token(EPOCH + 5, 1)));
    let odd = RawWriter::default()
        .with("_id", &id)
        .with("operationType", &RawValue::string("spring"))
        .with("twice", &RawValue::int32(1))
        .with("twice", &RawValue::text(tag::STRING, b"\xff\xfe"))
        .finish();
    fake.emit([odd.clone(), insert(1, 6)]);
    assert_eq!(next(&database, &mut stream).unwrap(), odd);
    assert_eq!(next(&database, &mut stream).unwrap(), insert(1, 6));
}

#[test]
fn a_token_leads_to_what_follows_it() {
    let (fake, database) = primary();
    fake.emit([insert(1, 1), insert(2, 2), insert(3, 3)]);
    let mut stream = watch_behind(&database, token(&event::token(EPOCH + 1, 1))).unwrap();
    assert_eq!(next(&database, &mut stream).unwrap(), insert(2, 2));
    assert_eq!(held(&stream), event::token(EPOCH + 2, 1));
    let unknown = watch_behind(&database, token(&event::token(1, 1))).unwrap_err();
    assert_eq!(code(&unknown), Some(280));
    let start = Timestamp { time: EPOCH + 3, increment: 1 };
    let mut since = database.wait(async {
        let stream = database.driver().watch().start_at_operation_time(start).await.unwrap();
        stream.with_type::<RawDocumentBuf>()
    });
    assert_eq!(next(&database, &mut since).unwrap(), insert(3, 3));
    fake.trim();
    let lost = watch_behind(&database, token(&event::token(EPOCH + 1, 1))).unwrap_err();
    assert_eq!(code(&lost), Some(286));
    assert!(lost.contains_label("NonResumableChangeStreamError"));
}

#[test]
fn an_idle_stream_gets_the_tokens_of_empty_batches() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    assert_eq!(held(&stream), event::mark(EPOCH, 0));
    fake.log([Entry::Token(event::mark(EPOCH + 40, 1))]);
    let empty = database.wait(async { stream.next_if_any().await.unwrap() });
    assert_eq!(empty, None);
    let waited = database.wait(async {
        while held(&stream) != event::mark(EPOCH + 40, 1) {
            assert!(stream.next_if_any().await.unwrap().is_none());
        }
        held(&stream)
    });
    assert_eq!(waited, event::mark(EPOCH + 40, 1));
    assert!(watch_behind(&database, token(&waited)).is_ok());
}

#[test]
fn every_error_of_a_stream_reaches_the_client_with_its_code() {
    for (code_sent, labels) in [
        (286, &["NonResumableChangeStreamError"][..]),
        (286, &[]),
        (280, &["NonResumableChangeStreamError"]),
        (10_334, &[]),
        (222, &[]),
        (136, &[]),
        (237, &[]),
        (175, &[]),
        (47, &[]),
        (43, &[RESUMABLE]),
        (11_600, &[RESUMABLE]),
        (91, &[RESUMABLE]),
        (10_107, &[RESUMABLE]),
        (189, &[RESUMABLE]),
        (433, &["SystemOverloadedError"]),
        // With the label RetryableError as well, the driver tries the opening again and again, for minutes.
        (462, &["SystemOverloadedError"]),
        (13, &[]),
        (18, &[]),
    ] {
        let (fake, database) = primary();
        let mut stream = watch(&database).unwrap();
        fake.rule(Rule::on("getMore").fail_labelled(code_sent, labels));
        // A driver that resumes begins anew with each stream that it could open, so the opening must fail as well.
        fake.rule(Rule::on("$changeStream").fail_labelled(code_sent, labels).always());
        let error = next(&database, &mut stream).unwrap_err();
        assert_eq!(code(&error), Some(code_sent), "{error:?}");
        assert!(labels.iter().all(|label| error.contains_label(label)), "{code_sent}: {:?}", error.labels());
        let resumed = labels.contains(&RESUMABLE);
        assert_eq!(fake.seen_named("$changeStream").len() > 1, resumed, "{code_sent}");
    }
}

#[test]
fn an_error_at_the_opening_is_not_resumed() {
    for code_sent in [286, 40_573, 13, 18, 260] {
        let (fake, database) = primary();
        fake.rule(Rule::on("$changeStream").fail(code_sent));
        assert_eq!(code(&watch(&database).unwrap_err()), Some(code_sent));
        assert_eq!(fake.seen_named("$changeStream").len(), 1);
        assert!(watch(&database).is_ok(), "the rule happened once");
    }
}

#[test]
fn a_reply_cut_in_the_middle_is_got_over_once_and_then_an_error() {
    for bytes in [0, 10, 16, 40] {
        let (fake, database) = primary();
        let mut stream = watch(&database).unwrap();
        fake.emit([insert(1, 1)]);
        fake.rule(Rule::on("getMore").cut(bytes));
        assert_eq!(next(&database, &mut stream).unwrap(), insert(1, 1), "the fake delivers it to the resumed stream");
        let opened = fake.seen_named("$changeStream");
        assert_eq!(opened.len(), 2);
        assert!(opened[1].change_stream().unwrap().contains_key("resumeAfter"));
        fake.rule(Rule::on("getMore").cut(bytes));
        fake.rule(Rule::on("$changeStream").cut(bytes).always());
        let error = next(&database, &mut stream).unwrap_err();
        assert!(matches!(error.kind.as_ref(), ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }), "{error:?}");
    }
}

#[test]
fn a_closed_connection_and_a_forgotten_cursor_are_resumed() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    fake.rule(Rule::on("getMore").close());
    fake.emit([insert(1, 1)]);
    assert_eq!(next(&database, &mut stream).unwrap(), insert(1, 1));
    fake.forget_cursors();
    fake.emit([insert(2, 2)]);
    assert_eq!(next(&database, &mut stream).unwrap(), insert(2, 2));
    assert_eq!(fake.seen_named("$changeStream").len(), 3);
    assert_eq!(fake.forget_rules(), 0);
}

#[test]
fn a_client_gets_no_answer_and_others_do() {
    let (fake, database) = primary();
    fake.rule(Rule::on("find").stall(20));
    let hung = database.wait(async {
        let users = database.collection("users");
        tokio::time::timeout(Duration::from_millis(400), users.find_one(doc! {}).into_future()).await
    });
    assert!(hung.is_err(), "it was answered: {hung:?}");
    assert!(client(&fake).try_run(doc! { "ping": 1 }).is_ok());
    fake.rule(Rule::on("ping").delay(Duration::from_millis(300)));
    let started = std::time::Instant::now();
    database.run(doc! { "ping": 1 });
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn bytes_that_are_no_message_are_an_error() {
    let (fake, database) = primary();
    fake.rule(Rule::on("ping").garble().always());
    let error = database.try_run(doc! { "ping": 1 }).unwrap_err();
    assert_eq!(code(&error), None, "{error:?}");
}

#[test]
fn a_closing_cursor_brings_all_its_events() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    let events = [insert(1, 1), event::drop_collection(NAMESPACE, 2), event::invalidate(3)];
    fake.emit(events.clone());
    fake.log([Entry::End]);
    for event in &events {
        assert_eq!(next(&database, &mut stream).unwrap(), *event);
    }
    let after = database.wait(async { stream.next_if_any().await.unwrap() });
    assert_eq!(after, None);
    assert!(!stream.is_alive());
}

#[test]
fn fragments_of_one_event_come_in_two_batches() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    let whole = event::bare("update", NAMESPACE, 9);
    let fragments = event::split(&whole, &[whole.clone(), doc! { "fullDocument": { "_id": 1 } }]);
    fake.log([Entry::Event(fragments[0].clone()), Entry::Break, Entry::Event(fragments[1].clone())]);
    let first = next(&database, &mut stream).unwrap();
    assert_eq!(first.get_document("splitEvent").unwrap().get_i32("of").ok(), Some(2));
    let between = held(&stream);
    assert_eq!(next(&database, &mut stream).unwrap(), fragments[1]);
    let mut resumed = watch_behind(&database, token(&between)).unwrap();
    assert_eq!(next(&database, &mut resumed).unwrap(), fragments[1]);
}

#[test]
fn fields_can_be_missing_and_more_than_expected() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    let mut strange = event::bare("insert", NAMESPACE, 1);
    strange.remove("clusterTime");
    strange.remove("ns");
    strange.insert("later", doc! { "a": 1 });
    fake.emit([
        event::raw(&strange),
        event::update(NAMESPACE, 4, None, 2),
        event::raw(&event::bare("later", NAMESPACE, 3)),
    ]);
    assert_eq!(next(&database, &mut stream).unwrap(), event::raw(&strange));
    let gone = next(&database, &mut stream).unwrap();
    assert!(matches!(gone.get("fullDocument"), Ok(Some(bson::RawBsonRef::Null))));
    assert_eq!(operation(&next(&database, &mut stream).unwrap()), "later");
}

#[test]
fn an_event_without_its_token_is_refused_by_the_driver() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    let mut bare = event::bare("insert", NAMESPACE, 1);
    bare.remove("_id");
    fake.emit([event::raw(&bare)]);
    assert!(next(&database, &mut stream).is_err());
}

#[test]
fn every_shape_says_what_it_is() {
    for (shape, key, value) in [
        (Shape::primary(), "isWritablePrimary", Bson::Boolean(true)),
        (Shape::secondary(), "secondary", Bson::Boolean(true)),
        (Shape::arbiter(), "arbiterOnly", Bson::Boolean(true)),
        (Shape::mongos(), "msg", Bson::String("isdbgrid".to_owned())),
    ] {
        let fake = MongoFake::start(shape);
        assert_eq!(client(&fake).run(doc! { "hello": 1 }).get(key), Some(&value));
    }
    let standalone = MongoFake::start(Shape::standalone());
    let database = client(&standalone);
    assert_eq!(database.run(doc! { "hello": 1 }).get("setName"), None);
    assert_eq!(code(&watch(&database).unwrap_err()), Some(40_573));
}

#[test]
fn members_that_are_not_there_do_not_hide_the_one_that_is() {
    let fake = MongoFake::start(Shape::primary());
    let me = format!("127.0.0.1:{}", fake.port());
    fake.become_shape(Shape::primary().hosts(&[&me, "127.0.0.1:1"]));
    let database = MongoDatabase::new(&fake.set_uri(), NAMESPACE.0);
    assert!(database.try_run(doc! { "ping": 1 }).is_ok());
    fake.become_shape(Shape::secondary().hosts(&[&me, "127.0.0.1:1"]));
    let impatient = fake.set_uri().replace("serverSelectionTimeoutMS=5000", "serverSelectionTimeoutMS=500");
    let lost = MongoDatabase::new(&impatient, NAMESPACE.0).try_run(doc! { "ping": 1 }).unwrap_err();
    assert!(matches!(lost.kind.as_ref(), ErrorKind::ServerSelection { .. }), "{lost:?}");
}

#[test]
fn a_server_that_is_down_is_found_again() {
    let (fake, database) = primary();
    let mut stream = watch(&database).unwrap();
    fake.refuse();
    assert!(next(&database, &mut stream).is_err());
    fake.heal();
    fake.emit([insert(1, 1)]);
    let mut again = watch_behind(&database, stream.resume_token().unwrap()).unwrap();
    assert_eq!(next(&database, &mut again).unwrap(), insert(1, 1));
    fake.expect_seen("$changeStream", 2, SOON);
}

#[test]
fn rules_look_at_place_and_content() {
    let (fake, database) = primary();
    fake.rule(Rule::on("count").holding("special").fail(13));
    fake.rule(Rule::on("count").skip(1).change(|mut usual| {
        usual.insert("n", 42_i64);
        usual
    }));
    let count = |name: &str| database.try_run(doc! { "count": name }).map(|answer| answer.get_i64("n").unwrap());
    assert_eq!(count("plain").unwrap(), 0);
    assert_eq!(code(&count("special").unwrap_err()), Some(13));
    assert_eq!(count("plain").unwrap(), 42);
    assert_eq!(count("plain").unwrap(), 0);
    fake.rule(Rule::on("*").connection(9_999).close());
    assert_eq!(count("plain").unwrap(), 0);
    assert_eq!(fake.forget_rules(), 1);
}
