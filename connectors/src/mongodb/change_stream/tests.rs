//! What events become, without a server: the events are written out as MongoDB documents them.

use super::fragments::Fragments;
use super::handing_out::HandingOut;
use super::opening::Standing;
use super::position::{self, Fingerprint, Position};
use super::setbacks::{self, Setback};
use super::tail::Reply;
use super::taking::Taking;
use crate::failure::{Failure, FailureClass};
use crate::mongodb::config::Capture;
use crate::source::{Registrar, SourceStream};
use bson::raw::RawArrayBuf;
use bson::{RawBson, RawDocumentBuf, Timestamp, cstr, rawdoc};
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{KeyFrom, KeySpec, Select};
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

fn time(seconds: u32) -> Timestamp {
    Timestamp { time: seconds, increment: 1 }
}

fn event(kind: &str, at: u32, fields: RawDocumentBuf) -> RawDocumentBuf {
    let mut out = rawdoc! { "_id": { "_data": format!("82{at:08x}") }, "operationType": kind, "clusterTime": time(at) };
    for field in fields.iter_elements() {
        let field = field.unwrap();
        out.append(field.key(), field.value().unwrap());
    }
    out
}

fn of_users(kind: &str, at: u32, id: impl Into<RawBson>, document: Option<RawDocumentBuf>) -> RawDocumentBuf {
    let mut fields = rawdoc! { "ns": { "db": "app", "coll": "users" }, "documentKey": { "_id": id.into() } };
    match document {
        Some(document) => fields.append(cstr!("fullDocument"), document),
        None => fields.append(cstr!("fullDocument"), RawBson::Null),
    }
    event(kind, at, fields)
}

fn reply(events: &[RawDocumentBuf], behind: &str) -> Reply {
    let mut array = RawArrayBuf::new();
    events.iter().for_each(|event| array.push(event.clone()));
    Reply::made(rawdoc! {
        "cursor": { "id": 1_i64, "ns": "app.$cmd.aggregate", "nextBatch": array, "postBatchResumeToken": { "_data": behind } },
        "ok": 1.0,
        "operationTime": time(9_000),
    })
}

/// Makes a stream of every collection whose name begins so, but of those it was asked for before; refuses once when told to.
struct Wanting {
    prefix: &'static str,
    made: Mutex<Vec<String>>,
    refuse: AtomicBool,
}

impl Registrar for Wanting {
    fn register(&self, collections: &[&str]) -> Result<Vec<SourceStream>, Failure> {
        if self.refuse.swap(false, Ordering::Relaxed) {
            return Err(Failure::new(FailureClass::Transient, "queue_full", "no room"));
        }
        let mut made = self.made.lock().unwrap();
        let mut found = Vec::new();
        for name in collections.iter().filter(|name| name.starts_with(self.prefix)) {
            found.push(SourceStream {
                id: StreamId(100 + made.len() as u16),
                name: StreamName::new(name).unwrap(),
                select: Select::Collection((*name).to_owned()),
                key: KeySpec { from: KeyFrom::Id, column: Ident::new("_id").unwrap(), ty: None },
                partitions: PartitionCount::DEFAULT,
            });
            made.push((*name).to_owned());
        }
        Ok(found)
    }
}

/// A source without its server.
struct Rig {
    taking: Taking,
    fragments: Fragments,
    position: Position,
    proof: Option<Timestamp>,
}

impl Rig {
    fn new(capture: Capture) -> Self {
        let streams = [(StreamId(0), "users".to_owned()), (StreamId(1), "orders".to_owned())];
        Self {
            taking: Taking::new("app", capture, streams),
            fragments: Fragments::default(),
            position: Position::start(None, time(1), Fingerprint::default()),
            proof: None,
        }
    }

    fn try_take(&mut self, reply: &mut Reply, batch: &mut ChangeBatch) -> Result<bool, Failure> {
        self.taking.begin_batch();
        let (taking, fragments, position) = (&mut self.taking, &mut self.fragments, &mut self.position);
        let mut hands = HandingOut { taking, fragments, position, proof: &mut self.proof };
        let moved = hands.take(reply, batch)?;
        Ok(if reply.is_spent() { moved | hands.cover(reply) } else { moved })
    }

    fn take(&mut self, events: &[RawDocumentBuf]) -> Vec<(Op, u16, String, Vec<u8>)> {
        let mut batch = ChangeBatch::default();
        self.try_take(&mut reply(events, "behind"), &mut batch).unwrap();
        shown(&batch)
    }

    fn refuse(&mut self, event: RawDocumentBuf) -> &'static str {
        let failure = self.try_take(&mut reply(&[event], "behind"), &mut ChangeBatch::default()).unwrap_err();
        assert_eq!(failure.class, FailureClass::Halt);
        failure.code
    }

    fn token(&self) -> &str {
        self.position.token().unwrap().get_str("_data").unwrap()
    }
}

fn shown(batch: &ChangeBatch) -> Vec<(Op, u16, String, Vec<u8>)> {
    let show = |change: &landfall_schemas::event::Change| {
        let key = String::from_utf8_lossy(batch.bytes(&change.key)).into_owned();
        (change.op, change.stream.0, key, batch.bytes(&change.payload).to_vec())
    };
    batch.changes().iter().map(show).collect()
}

fn kinds(changes: &[(Op, u16, String, Vec<u8>)]) -> Vec<(Op, u16)> {
    changes.iter().map(|change| (change.0, change.1)).collect()
}

#[test]
fn documents_go_through_byte_for_byte_under_the_key_of_their_id() {
    // A repeated field, and a string that is not UTF-8.
    let mut bytes = rawdoc! { "_id": 5, "a": 1, "a": 2, "s": "xy" }.into_bytes();
    let at = bytes.windows(2).position(|pair| pair == b"xy").unwrap();
    bytes[at] = 0xff;
    let document = RawDocumentBuf::from_bytes(bytes.clone()).unwrap();
    let mut rig = Rig::new(Capture::Lookup);
    let changes = rig.take(&[
        of_users("insert", 10, 5, Some(document.clone())),
        of_users("update", 11, 5.0, Some(document.clone())),
        of_users("replace", 12, 5_i64, Some(document)),
        of_users("delete", 13, 5, None),
    ]);
    let upsert = (Op::Upsert, 0, "n:5".to_owned(), bytes);
    assert_eq!(changes, [upsert.clone(), upsert.clone(), upsert, (Op::Delete, 0, "n:5".to_owned(), vec![])]);
}

#[test]
fn an_update_whose_document_is_gone_again_is_touched_and_with_images_a_halt() {
    let mut without = rawdoc! { "ns": { "db": "app", "coll": "users" }, "documentKey": { "_id": "a" } };
    without.append(cstr!("updateDescription"), rawdoc! { "updatedFields": { "x": 1 } });
    let both = [of_users("update", 10, "a", None), event("update", 11, without)];
    let changes = Rig::new(Capture::Lookup).take(&both);
    assert_eq!(changes, vec![(Op::Touched, 0, "s:a".to_owned(), vec![]); 2]);
    for update in both {
        assert_eq!(Rig::new(Capture::Images).refuse(update), "images_missing");
    }
}

#[test]
fn events_that_lack_what_they_must_have_halt_and_are_not_passed() {
    let mut rig = Rig::new(Capture::Lookup);
    let ns = rawdoc! { "db": "app", "coll": "users" };
    assert_eq!(rig.refuse(of_users("insert", 10, 1, None)), "malformed_event");
    assert_eq!(rig.refuse(event("insert", 10, rawdoc! { "ns": ns.clone(), "fullDocument": {} })), "malformed_event");
    assert_eq!(rig.refuse(event("insert", 10, rawdoc! { "documentKey": { "_id": 1 } })), "malformed_event");
    assert_eq!(rig.refuse(rawdoc! { "_id": { "_data": "82" }, "clusterTime": time(1) }), "malformed_event");
    assert_eq!(rig.refuse(rawdoc! { "_id": { "_data": "82" }, "operationType": "delete" }), "malformed_event");
    assert_eq!(rig.refuse(event("rename", 10, rawdoc! { "ns": ns })), "malformed_event");
    assert!(rig.position.token().is_none());
}

#[test]
fn what_came_before_a_malformed_event_is_handed_out_and_the_position_stands_between() {
    let mut rig = Rig::new(Capture::Lookup);
    let mut batch = ChangeBatch::default();
    let events = [of_users("delete", 10, 1, None), of_users("insert", 11, 1, None)];
    assert!(rig.try_take(&mut reply(&events, "behind"), &mut batch).is_err());
    assert_eq!(kinds(&shown(&batch)), [(Op::Delete, 0)]);
    assert_eq!(rig.token(), "820000000a");
}

#[test]
fn unknown_kinds_and_foreign_collections_are_counted_and_passed() {
    let mut rig = Rig::new(Capture::Lookup);
    let foreign = rawdoc! { "ns": { "db": "app", "coll": "other" }, "documentKey": { "_id": 1 } };
    let changes = rig.take(&[
        event("delete", 10, foreign),
        event("teleport", 11, rawdoc! {}),
        event("createIndexes", 12, rawdoc! {}),
    ]);
    assert!(changes.is_empty());
    assert_eq!((rig.taking.ignored, rig.taking.unknown.get("teleport")), (1, Some(&1)));
    assert_eq!(rig.taking.unknown.len(), 1);
    assert_eq!(rig.token(), "behind");
}

#[test]
fn a_document_named_by_more_than_its_id_goes_by_all_of_it() {
    let mut rig = Rig::new(Capture::Lookup);
    let delete = |at, key: RawDocumentBuf| {
        event("delete", at, rawdoc! { "ns": { "db": "app", "coll": "users" }, "documentKey": key })
    };
    let changes = rig.take(&[
        delete(10, rawdoc! { "region": "eu", "_id": 1 }),
        delete(11, rawdoc! { "region": "us", "_id": 1 }),
        delete(12, rawdoc! { "_id.part": 7, "_id": { "part": 7 } }),
        delete(13, rawdoc! { "_id": { "part": 7 } }),
        delete(14, rawdoc! { "_id": "a.b" }),
    ]);
    let keys: Vec<_> = changes.iter().map(|change| change.2.as_str()).collect();
    assert_eq!(
        keys,
        [
            r#"x:{"region":"eu","_id":1}"#,
            r#"x:{"region":"us","_id":1}"#,
            r#"x:{"_id.part":7,"_id":{"part":7}}"#,
            r#"x:{"part":7}"#,
            "s:a.b"
        ]
    );
}

#[test]
fn dropped_and_renamed_collections_are_gone_and_what_takes_their_name_is_copied() {
    let ns = |coll: &str| rawdoc! { "db": "app", "coll": coll };
    let mut rig = Rig::new(Capture::Lookup);
    let changes = rig.take(&[
        event("drop", 10, rawdoc! { "ns": ns("users") }),
        of_users("insert", 11, 1, Some(rawdoc! { "_id": 1 })),
        event("rename", 12, rawdoc! { "ns": ns("users"), "to": ns("orders") }),
        event("rename", 13, rawdoc! { "ns": { "db": "elsewhere", "coll": "users" }, "to": ns("users") }),
        event("drop", 14, rawdoc! { "ns": ns("users") }),
        event("dropDatabase", 15, rawdoc! { "ns": { "db": "app" } }),
        event("invalidate", 16, rawdoc! {}),
    ]);
    assert_eq!(
        kinds(&changes),
        [
            (Op::Gone, 0),
            (Op::Upsert, 0),
            (Op::Gone, 0),
            (Op::Gone, 1),
            (Op::SnapshotBegin, 1),
            (Op::SnapshotBegin, 0),
            (Op::Gone, 0),
            (Op::Gone, 1),
        ]
    );
    assert!(rig.position.invalidated);
    assert_eq!(rig.token(), "8200000010", "nothing comes behind an invalidation, and its own token is needed to go on");
}

#[test]
fn a_new_shard_key_begins_a_new_copy_unless_it_is_the_id() {
    let ns = rawdoc! { "db": "app", "coll": "users" };
    let sharded = |key: RawDocumentBuf| rawdoc! { "ns": ns.clone(), "operationDescription": { "shardKey": key } };
    let mut rig = Rig::new(Capture::Lookup);
    assert!(rig.take(&[event("shardCollection", 10, sharded(rawdoc! { "_id": "hashed" }))]).is_empty());
    let changes = rig.take(&[event("reshardCollection", 11, sharded(rawdoc! { "region": 1 }))]);
    assert_eq!(kinds(&changes), [(Op::Gone, 0), (Op::SnapshotBegin, 0)]);
}

#[test]
fn a_split_event_counts_when_its_last_fragment_is_there() {
    let part = |number: i32, fields: RawDocumentBuf| {
        let mut out =
            rawdoc! { "_id": { "_data": format!("part{number}") }, "splitEvent": { "fragment": number, "of": 3 } };
        for field in fields.iter_elements() {
            let field = field.unwrap();
            out.append(field.key(), field.value().unwrap());
        }
        out
    };
    let first =
        part(1, rawdoc! { "operationType": "update", "clusterTime": time(20), "ns": { "db": "app", "coll": "users" } });
    let second = part(2, rawdoc! { "documentKey": { "_id": 1 }, "fullDocument": { "_id": 1, "x": "large" } });
    let third = part(3, rawdoc! { "updateDescription": {} });
    let mut rig = Rig::new(Capture::Lookup);
    assert_eq!(rig.take(&[of_users("delete", 10, 2, None), first.clone()]).len(), 1);
    assert_eq!(rig.token(), "820000000a", "in the middle of an event the position stays before it");
    assert!(rig.take(std::slice::from_ref(&second)).is_empty());
    assert_eq!(rig.token(), "820000000a");
    let changes = rig.take(&[third]);
    assert_eq!(changes, [(Op::Upsert, 0, "n:1".to_owned(), rawdoc! { "_id": 1, "x": "large" }.into_bytes())]);
    assert_eq!(rig.token(), "behind");
    assert_eq!(rig.refuse(second), "malformed_event", "a fragment without the one before it");
    let whole = {
        let mut whole = of_users("insert", 30, 3, Some(rawdoc! { "_id": 3 }));
        whole.append(cstr!("splitEvent"), rawdoc! { "fragment": 1, "of": 1 });
        whole
    };
    assert_eq!(kinds(&Rig::new(Capture::Lookup).take(&[whole])), [(Op::Upsert, 0)]);
}

#[test]
fn a_reply_larger_than_a_batch_is_handed_out_in_several_with_positions_between() {
    let events: Vec<_> = (0..2_500).map(|n| of_users("delete", 100 + n, n as i32, None)).collect();
    let mut reply = reply(&events, "behind");
    let mut rig = Rig::new(Capture::Lookup);
    let mut sizes = Vec::new();
    let mut tokens = Vec::new();
    while !reply.is_spent() {
        let mut batch = ChangeBatch::default();
        assert!(rig.try_take(&mut reply, &mut batch).unwrap());
        sizes.push(batch.changes().len());
        tokens.push(rig.token().to_owned());
    }
    assert_eq!(sizes, [1_000, 1_000, 500]);
    assert_eq!(tokens, [format!("82{:08x}", 1_099), format!("82{:08x}", 2_099), "behind".to_owned()]);
}

#[test]
fn a_stream_opened_by_time_must_begin_with_the_event_seen_last() {
    let mut rig = Rig::new(Capture::Lookup);
    rig.proof = Some(time(10));
    assert!(rig.take(&[]).is_empty());
    assert!(rig.position.token().is_none(), "nothing is known of this log yet");
    assert_eq!(rig.take(&[of_users("delete", 10, 1, None)]).len(), 1);
    let mut rig = Rig::new(Capture::Lookup);
    rig.proof = Some(time(10));
    assert_eq!(rig.refuse(of_users("delete", 11, 1, None)), "token_not_matched");
}

#[test]
fn a_position_is_read_back_as_it_was_written() {
    let fingerprint = Fingerprint { database: "app".into(), set: Some("rs".into()), options: "lookup+split".into() };
    let mut rig = Rig::new(Capture::Lookup);
    rig.position = Position::start(None, time(1), fingerprint);
    let mut table = PositionTable::default();
    for step in 0..3 {
        table.apply(&rig.position.update().unwrap());
        assert_eq!(Position::find(&table).unwrap().as_ref(), Some(&rig.position), "step {step}");
        rig.take(&[of_users("delete", 10 + step, 1, None), event("invalidate", 11 + step, rawdoc! {})]);
    }
    table.0.insert(b"stream"[..].into(), b"nonsense"[..].into());
    assert_eq!(Position::find(&table).unwrap_err().code, "position_unreadable");
}

#[test]
fn a_token_that_the_queue_cannot_keep_is_a_named_halt() {
    let token = rawdoc! { "_data": "8".repeat(70_000) };
    let position = Position::start(Some(&token), time(1), Fingerprint::default());
    assert_eq!(position.update().unwrap_err().code, "position_too_large");
}

#[test]
fn marks_of_begun_copies_are_per_stream_and_collection() {
    let mut table = PositionTable::default();
    table.apply(&position::begun(StreamId(3), "app.users"));
    table.apply(&position::begun(StreamId(4), "app.orders"));
    assert!(position::is_begun(&table, StreamId(3), "app.users"));
    assert!(!position::is_begun(&table, StreamId(3), "app.people"));
    for update in position::abandoned(&table, |stream| stream == StreamId(4)) {
        table.apply(&update);
    }
    assert!(!position::is_begun(&table, StreamId(3), "app.users"));
    assert!(position::is_begun(&table, StreamId(4), "app.orders"));
}

#[test]
fn a_source_that_went_back_or_is_another_one_halts_and_a_lagging_secondary_is_waited_for() {
    let kept = Fingerprint { database: "app".into(), set: Some("rs".into()), options: String::new() };
    let position = Position::start(None, time(100), kept.clone());
    let standing = |seconds, primary, router| Standing {
        set: Some("rs".into()),
        primary,
        router,
        operation_time: Some(time(seconds)),
    };
    let code = |result: Result<(), Setback>| match result {
        Ok(()) => "fine",
        Err(Setback::Final(failure) | Setback::Passing(failure)) => failure.code,
        Err(_) => "other",
    };
    assert_eq!(code(setbacks::check(&position, &standing(100, true, false), &kept)), "fine");
    assert_eq!(code(setbacks::check(&position, &standing(99, true, false), &kept)), "token_ahead");
    assert_eq!(code(setbacks::check(&position, &standing(99, false, false), &kept)), "source_behind");
    assert_eq!(code(setbacks::check(&position, &standing(99, false, true), &kept)), "fine");
    let other = Fingerprint { set: Some("other".into()), ..kept.clone() };
    assert_eq!(code(setbacks::check(&position, &standing(100, true, false), &other)), "source_changed");
    let other = Fingerprint { database: "else".into(), ..kept };
    assert_eq!(code(setbacks::check(&position, &standing(100, true, false), &other)), "source_changed");
}

fn growing() -> (Arc<Wanting>, Rig) {
    let wanting = Wanting { prefix: "logs_", made: Mutex::default(), refuse: AtomicBool::new(false) };
    let (wanting, mut rig) = (Arc::new(wanting), Rig::new(Capture::Lookup));
    rig.taking = rig.taking.growing(Some(wanting.clone()));
    (wanting, rig)
}

fn of(collection: &str, kind: &str, at: u32, document: Option<RawDocumentBuf>) -> RawDocumentBuf {
    let mut fields = rawdoc! { "ns": { "db": "app", "coll": collection }, "documentKey": { "_id": 1 } };
    if let Some(document) = document {
        fields.append(cstr!("fullDocument"), document);
    }
    event(kind, at, fields)
}

#[test]
fn the_first_event_of_a_wanted_collection_makes_a_stream_that_is_begun_and_marked_before_it() {
    let (_, mut rig) = growing();
    let mut batch = ChangeBatch::default();
    let events = [
        of("logs_b", "insert", 10, Some(rawdoc! { "_id": 1 })),
        of("logs_a", "delete", 11, None),
        of("logs_b", "delete", 12, None),
        of("other", "delete", 13, None),
        of_users("delete", 14, 1, None),
    ];
    let _ = rig.try_take(&mut reply(&events, "behind"), &mut batch).unwrap();
    let expected = [
        (Op::SnapshotBegin, 100),
        (Op::Upsert, 100),
        (Op::SnapshotBegin, 101),
        (Op::Delete, 101),
        (Op::Delete, 100),
        (Op::Delete, 0),
    ];
    assert_eq!(kinds(&shown(&batch)), expected);
    let mut table = PositionTable::default();
    batch.positions().iter().for_each(|update| table.apply(update));
    assert!(position::is_begun(&table, StreamId(100), "app.logs_b"));
    assert!(position::is_begun(&table, StreamId(101), "app.logs_a"));
    assert_eq!(rig.taking.ignored, 1);
}

#[test]
fn made_and_renamed_collections_are_met_and_views_and_other_databases_are_not() {
    let (wanting, mut rig) = growing();
    let ns = |database: &str, coll: &str| rawdoc! { "db": database, "coll": coll };
    let made = |name: &str, how: RawDocumentBuf| {
        event("create", 10, rawdoc! { "ns": ns("app", name), "operationDescription": how })
    };
    let changes = rig.take(&[
        made("logs_view", rawdoc! { "viewOn": "users", "pipeline": [] }),
        made("logs_series", rawdoc! { "timeseries": { "timeField": "t" } }),
        made("logs_plain", rawdoc! { "idIndex": { "v": 2 } }),
        event("rename", 11, rawdoc! { "ns": ns("app", "staging"), "to": ns("app", "logs_moved") }),
        event("rename", 12, rawdoc! { "ns": ns("app", "logs_plain"), "to": ns("elsewhere", "logs_away") }),
        event("drop", 13, rawdoc! { "ns": ns("app", "logs_unknown") }),
    ]);
    assert_eq!(kinds(&changes), [(Op::SnapshotBegin, 100), (Op::SnapshotBegin, 101), (Op::Gone, 100)]);
    assert_eq!(*wanting.made.lock().unwrap(), ["logs_plain", "logs_moved"]);
}

#[test]
fn an_event_whose_stream_cannot_be_registered_now_is_not_passed() {
    let (wanting, mut rig) = growing();
    wanting.refuse.store(true, Ordering::Relaxed);
    let insert = of("logs_a", "insert", 11, Some(rawdoc! { "_id": 1 }));
    let events = [of_users("delete", 10, 1, None), insert.clone()];
    let mut batch = ChangeBatch::default();
    let failure = rig.try_take(&mut reply(&events, "behind"), &mut batch).unwrap_err();
    assert_eq!((failure.class, batch.changes().len()), (FailureClass::Transient, 1));
    assert_eq!(rig.token(), "820000000a", "it stands before the event");
    assert_eq!(kinds(&rig.take(&[insert])), [(Op::SnapshotBegin, 100), (Op::Upsert, 100)]);
}
