//! The oracle reads MongoDB and finds what is planted in tables made by hand: no product here.

use super::Oracle;
use crate::config::Config;
use crate::database::Database;
use crate::mongo_database::MongoDatabase;
use crate::mongo_server::MongoServer;
use crate::postgres_server::PostgresServer;
use crate::raw_bson::{RawValue, RawWriter, Sign, tag};
use crate::run_dir;
use bson::RawDocumentBuf;
use serde_json::json;

const STATE: &str = "create schema landfall; create table landfall.dead_letters (pipeline text, stream text, code text, state text, \
                     place text, place_at int8, payload bytea);";

struct Bench {
    oracle: Oracle,
    database: Database,
    // Lives as long as the bench.
    _mongo: MongoDatabase,
}

fn id(value: &RawValue) -> RawWriter {
    RawWriter::default().with("_id", value)
}

/// Documents, and the key and `doc` that they should have.
fn landing() -> Vec<(RawDocumentBuf, &'static str, &'static str)> {
    let uuid = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01];
    let inner = RawWriter::default().with("b", &RawValue::double(1.0)).with("a", &RawValue::string("x\n")).finish();
    vec![
        (
            id(&RawValue::double(5.0)).with("v", &RawValue::int64(i64::MAX)).with("w", &RawValue::double(1.5)).finish(),
            "n:5",
            r#"{"_id":5.0,"v":9223372036854775807,"w":1.5}"#,
        ),
        (
            id(&RawValue::string("5")).with("z", &RawValue::double(-0.0)).finish(),
            "s:5",
            r#"{"_id":"5","z":{"$numberDouble":"-0.0"}}"#,
        ),
        (
            id(&RawValue::string("a\0\\b")).with("n", &RawValue::bare(tag::NULL)).finish(),
            r"s:a\0\\b",
            r#"{"_id":{"$landfall":{"bytes":"YQBcYg=="}},"n":null}"#,
        ),
        (
            id(&RawValue::object_id([0xab; 12])).with("d", &RawValue::date(1_353_441_744_386)).finish(),
            "o:abababababababababababab",
            r#"{"_id":{"$oid":"abababababababababababab"},"d":{"$date":"2012-11-20T20:02:24.386Z"}}"#,
        ),
        (
            id(&RawValue::binary(4, &uuid)).with("p", &RawValue::decimal(Sign::Plus, 150, -2)).finish(),
            "u:11223344-5566-4788-99aa-bbccddeeff01",
            r#"{"_id":{"$binary":{"base64":"ESIzRFVmR4iZqrvM3e7/AQ==","subType":"04"}},"p":{"$numberDecimal":"1.50"}}"#,
        ),
        (
            id(&RawValue::document(&inner)).with("m", &RawValue::bare(tag::MIN_KEY)).finish(),
            r#"x:{"b":1,"a":"x\u000a"}"#,
            r#"{"_id":{"b":1.0,"a":"x\n"},"m":{"$minKey":1}}"#,
        ),
        (
            id(&RawValue::date(-1)).with("t", &RawValue::timestamp(7, 9)).with("$oid", &RawValue::yes()).finish(),
            "d:-1",
            r#"{"$landfall":{"document":{"_id":{"$date":{"$numberLong":"-1"}},"t":{"$timestamp":{"t":7,"i":9}},"$oid":true}}}"#,
        ),
        (
            id(&RawValue::bare(tag::NULL)).with("l", &RawValue::array(&[RawValue::int32(1), RawValue::no()])).finish(),
            "z:",
            r#"{"_id":null,"l":[1,false]}"#,
        ),
    ]
}

fn hex(document: &RawDocumentBuf) -> String {
    document.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bench(name: &str, stream: serde_json::Value, documents: &[RawDocumentBuf], tables: &str) -> Bench {
    let mongo = MongoServer::shared().database(name);
    mongo.insert_raw("things", documents);
    let login = PostgresServer::shared().database(name);
    let folder = run_dir::fresh(name);
    let config = Config::new(name).mongo("app", mongo.name()).stream("things", "app", stream);
    std::fs::write(folder.join("landfall.yaml"), config.text()).unwrap();
    let mut database = Database::connect(&login).unwrap();
    database.run(STATE);
    database.run(tables);
    let oracle = Oracle::new(&folder.join("landfall.yaml"), &login).mongo(mongo.uri());
    Bench { oracle, database, _mongo: mongo }
}

fn landed(name: &str) -> Bench {
    let documents: Vec<RawDocumentBuf> = landing().into_iter().map(|(document, _, _)| document).collect();
    let table = "create table things (key text primary key, doc jsonb not null, _lf_raw bytea, _lf_version bigint);";
    let mut bench = bench(name, json!({ "select": "things" }), &documents, table);
    for (document, key, doc) in landing() {
        let insert = format!("insert into things values ($k${key}$k$, $d${doc}$d$, '\\x{}', 1)", hex(&document));
        bench.database.run(&insert);
    }
    bench
}

#[test]
fn a_true_landing_holds() {
    landed("oracle_mongo_true").oracle.equal().expect("nothing is planted");
}

#[test]
fn every_planted_difference_of_a_landing_is_found() {
    let mut bench = landed("oracle_mongo_planted");
    bench.database.run("create table kept as table things");
    for (what, sql) in [
        ("a missing row", "delete from things where key = 'z:'"),
        ("an extra row", "insert into things values ('n:6', '{}', '\\x0500000000', 1)"),
        (
            "one bit of the raw bytes",
            "update things set _lf_raw = set_bit(_lf_raw, 60, 1 - get_bit(_lf_raw, 60)) where key = 'n:5'",
        ),
        ("no raw bytes", "update things set _lf_raw = null where key = 'n:5'"),
        ("a double that became an integer", "update things set doc = jsonb_set(doc, '{_id}', '5') where key = 'n:5'"),
        ("a rounded integer", "update things set doc = jsonb_set(doc, '{v}', '9223372036854775808') where key = 'n:5'"),
        ("a string that became a number", "update things set doc = jsonb_set(doc, '{_id}', '5') where key = 's:5'"),
        ("a lost sign", "update things set doc = jsonb_set(doc, '{z}', '-0.0') where key = 's:5'"),
        (
            "a lost cohort",
            r#"update things set doc = jsonb_set(doc, '{p,$numberDecimal}', '"1.5"') where key like 'u:%'"#,
        ),
        (
            "a lost millisecond",
            r#"update things set doc = jsonb_set(doc, '{d,$date}', '"2012-11-20T20:02:24Z"') where key like 'o:%'"#,
        ),
        ("a lost null", "update things set doc = doc - 'n' where key like 's:a%'"),
        ("a lost wrapping", r#"update things set doc = doc #> '{$landfall,document}' where key = 'd:-1'"#),
        ("a key of another type", "update things set key = 's:6' where key = 's:5'"),
        (
            "a document key in another order",
            r#"update things set key = 'x:{"a":"x\u000a","b":1}' where key like 'x:%'"#,
        ),
        ("an array turned round", "update things set doc = jsonb_set(doc, '{l}', '[false,1]') where key = 'z:'"),
        (
            "a dead letter",
            "insert into landfall.dead_letters values ('oracle_mongo_planted', 'things', 'malformed', 'parked', 'x', 0, '')",
        ),
    ] {
        bench.database.run(sql);
        assert!(!bench.oracle.equal().holds, "not found: {what}");
        bench.database.run("truncate things, landfall.dead_letters; insert into things select * from kept");
    }
    bench.oracle.equal().expect("after everything was mended");
}

#[test]
fn typed_columns_and_rest_are_compared() {
    let documents = [
        id(&RawValue::string("a"))
            .with("amount", &RawValue::decimal(Sign::Plus, 1_999, -2))
            .with("at", &RawValue::date(1_353_441_744_386))
            .with("count", &RawValue::int64(7))
            .with("owner", &RawValue::object_id([1; 12]))
            .with("more", &RawValue::int32(3))
            .finish(),
        id(&RawValue::string("b")).with("count", &RawValue::bare(tag::NULL)).finish(),
        id(&RawValue::string("c")).with("count", &RawValue::string("seven")).finish(),
    ];
    let stream = json!({
        "select": "things",
        "columns": {
            "amount": { "type": "numeric" }, "at": { "type": "timestamptz" }, "count": { "type": "bigint" }, "owner": { "type": "text" },
        },
        "rest": "rest",
    });
    let tables = r#"
        create table things (_id text primary key, amount numeric, at timestamptz, count bigint, owner text, rest jsonb, _lf_version bigint);
        insert into things values
            ('s:a', 19.99, '2012-11-20 20:02:24.386+00', 7, '010101010101010101010101', '{"more":{"$numberInt":"3"}}', 1),
            ('s:b', null, null, null, null, '{"count":null}', 1);
        insert into landfall.dead_letters values ('oracle_mongo_mapped', 'things', 'column_type', 'parked', '', 0, '');
    "#;
    let mut bench = bench("oracle_mongo_mapped", stream, &documents, tables);
    bench.oracle.equal().expect("nothing is planted");
    for (what, sql, mend) in [
        (
            "a value",
            "update things set amount = 19.98 where _id = 's:a'",
            "update things set amount = 19.99 where _id = 's:a'",
        ),
        ("a moment", "update things set at = at + interval '1 ms'", "update things set at = at - interval '1 ms'"),
        (
            "a type in rest",
            r#"update things set rest = '{"more":3}' where _id = 's:a'"#,
            r#"update things set rest = '{"more":{"$numberInt":"3"}}' where _id = 's:a'"#,
        ),
        (
            "a row for what must be parked",
            "insert into things (_id, rest) values ('s:c', '{}')",
            "delete from things where _id = 's:c'",
        ),
        ("a parked document that is not stored", "delete from landfall.dead_letters", ""),
    ] {
        bench.database.run(sql);
        assert!(!bench.oracle.equal().holds, "not found: {what}");
        bench.database.run(mend);
    }
}
