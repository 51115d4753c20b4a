//! The oracle finds what is planted, and finds nothing where nothing is. Tables are made by hand: no product here.

use super::Oracle;
use crate::audit;
use crate::config::Config;
use crate::database::{Database, Login};
use crate::postgres_server::PostgresServer;
use crate::run_dir;
use serde_json::json;

const STORE: &str = r#"{"items":[
    {"id":1,"price":1.50,"name":"one ","tags":["a","b"],"gone":null},
    {"id":"1","price":100,"name":"ünï\u0007\\","nested":{"deep":[1,{"x":1e2}]}},
    {"id":2.0,"price":123456789012345678901234567890.00001}
]}"#;

const TABLES: &str = r#"
create schema landfall;
create table landfall.checkpoints (pipeline text, stream text, partition int, next_offset int8, applied int8, superseded int8, filtered int8, dead_lettered int8);
create table landfall.ranges (pipeline text, stream text, copy int8, number int, reached bytea, done bool, copied int8, parked int8);
create table landfall.dead_letters (pipeline text, stream text, code text, state text, place text, place_at int8, payload bytea, created_at timestamptz default now());
create table landfall.history (pipeline text, stream text, event text, at timestamptz default now());
create table items (key text primary key, doc jsonb not null, _lf_version bigint);
"#;

const ROWS: &str = r#"
begin;
insert into items values
    ('n:1', '{"id":1,"gone":null,"price":1.50,"name":"one ","tags":["a","b"]}', 10),
    ('s:1', '{"id":"1","price":100,"name":"ünï\u0007\\","nested":{"deep":[1,{"x":100}]}}', 11),
    ('n:2', '{"id":2.0,"price":123456789012345678901234567890.00001}', 12);
update landfall.checkpoints set next_offset = 3, applied = 3;
commit;
"#;

struct Bench {
    oracle: Oracle,
    database: Database,
}

fn bench(name: &str) -> Bench {
    let login: Login = PostgresServer::shared().database(name);
    let folder = run_dir::fresh(name);
    let config = Config::new(name).document("store", "store.json").stream(
        "items",
        "store",
        json!({ "select": "/items", "key": "id" }),
    );
    std::fs::write(folder.join("landfall.yaml"), config.text()).unwrap();
    std::fs::write(folder.join("store.json"), STORE).unwrap();
    let mut database = Database::connect(&login).unwrap();
    database.run(TABLES);
    database.run(&format!("insert into landfall.checkpoints values ('{name}', 'items', 0, 0, 0, 0, 0, 0)"));
    audit::install(&login, &config.tables());
    database.run(ROWS);
    Bench { oracle: Oracle::new(&folder.join("landfall.yaml"), &login), database }
}

#[test]
fn a_true_copy_holds() {
    let bench = bench("oracle_true");
    bench.oracle.equal().expect("nothing is planted");
    bench.oracle.witness().expect("nothing is planted");
}

#[test]
fn every_planted_difference_is_found() {
    let mut bench = bench("oracle_planted");
    let planted = [
        ("a missing row", "delete from items where key = 'n:2'"),
        ("an extra row", r#"insert into items values ('n:3', '{"id":3}', 1)"#),
        ("a changed value", r#"update items set doc = jsonb_set(doc, '{name}', '"two "') where key = 'n:1'"#),
        ("a lost trailing space", r#"update items set doc = jsonb_set(doc, '{name}', '"one"') where key = 'n:1'"#),
        (
            "a number that became text",
            r#"update items set doc = jsonb_set(doc, '{price}', '"1.50"') where key = 'n:1'"#,
        ),
        ("a lost digit", "update items set doc = jsonb_set(doc, '{price}', '1.5') where key = 'n:1'"),
        (
            "a rounded number",
            "update items set doc = jsonb_set(doc, '{price}', '123456789012345678901234567890') where key = 'n:2'",
        ),
        ("an explicit null lost", "update items set doc = doc - 'gone' where key = 'n:1'"),
        ("an array turned round", r#"update items set doc = jsonb_set(doc, '{tags}', '["b","a"]') where key = 'n:1'"#),
        ("a member too many", r#"update items set doc = doc || '{"more":1}' where key = 's:1'"#),
        ("a deep change", "update items set doc = jsonb_set(doc, '{nested,deep,1,x}', '101') where key = 's:1'"),
        ("a key of another type", "update items set key = 's:2' where key = 'n:2'"),
        (
            "two rows swapped",
            "update items set key = case key when 'n:1' then 's:1' else 'n:1' end where key in ('n:1', 's:1')",
        ),
        (
            "a dead letter nobody expects",
            "insert into landfall.dead_letters values ('oracle_planted', 'items', 'malformed', 'parked', 'x', 0, '')",
        ),
    ];
    for (what, sql) in planted {
        bench.database.run("alter table items drop constraint items_pkey; begin");
        bench.database.run(&format!("{sql}; commit"));
        assert!(!bench.oracle.equal().holds, "not found: {what}");
        bench.database.run("truncate items, landfall.dead_letters; alter table items add primary key (key)");
        bench.database.run(ROWS);
    }
    bench.oracle.equal().expect("after everything was mended");
}

#[test]
fn every_planted_breach_of_the_witness_is_found() {
    let planted = [
        ("counts that do not add up", "update landfall.checkpoints set applied = 4"),
        (
            "a dead letter counted but not stored",
            "begin; update landfall.checkpoints set next_offset = 4, dead_lettered = 1; commit",
        ),
        ("rows without their checkpoint", "update items set doc = '{}', _lf_version = 13 where key = 'n:1'"),
        (
            "a version gone back",
            "begin; update items set _lf_version = 5 where key = 'n:1'; update landfall.checkpoints set next_offset = 4, applied = 4; commit",
        ),
        (
            "a version written twice",
            "begin; update items set doc = '{}' where key = 'n:1'; update landfall.checkpoints set next_offset = 4, applied = 4; commit",
        ),
        ("a checkpoint gone back", "update landfall.checkpoints set next_offset = 2, applied = 2"),
        (
            "a step that skips",
            "alter table landfall.checkpoints disable trigger audit_step; update landfall.checkpoints set next_offset = 5, applied = 5; \
             alter table landfall.checkpoints enable trigger audit_step; update landfall.checkpoints set next_offset = 6, applied = 6",
        ),
        (
            "a row that came back from the dead",
            "begin; delete from items where key = 'n:1'; update landfall.checkpoints set next_offset = 4, applied = 4; commit; \
             begin; insert into items values ('n:1', '{}', 9); update landfall.checkpoints set next_offset = 5, applied = 5; commit",
        ),
    ];
    for (number, (what, sql)) in planted.into_iter().enumerate() {
        let mut bench = bench(&format!("oracle_witness_{number}"));
        assert!(bench.oracle.witness().holds);
        bench.database.run(sql);
        assert!(!bench.oracle.witness().holds, "not found: {what}");
    }
}
