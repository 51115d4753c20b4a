//! Hostile names: in the mapping, in JSON members, in keys and in file names. A canary table stands by.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use serde_json::{Map, Value, json};

const HOSTILE: &[&str] = &[
    "a\"b",
    "x\"; drop table canary; --",
    "'; drop table canary; --",
    "select",
    "user",
    "Ünïcödé ☃",
    "tab\there",
    "new\nline",
    "$1",
    "%s%n",
    "a.b",
    "back\\slash",
    "pg_catalog",
    "ｓｅｌｅｃｔ",
    "--",
    "/*",
    " leading and trailing ",
];

const TABLE: &str = "t\"; drop table canary; --";
const CHILD: &str = "c'); drop table canary; --";
const COLUMN: &str = "x\" int); drop table canary; --";
const RIGHT_TO_LEFT: &str = "\u{202e}eman";
/// Looks like `name`, and is not: its `a` is Cyrillic.
const LOOKALIKE: &str = "n\u{430}me";

fn canary(site: &Site) {
    site.database().run("create table canary (v int); insert into canary values (1)");
}

fn canary_lives(site: &Site) {
    assert_eq!(site.database().count("select v from canary"), 1, "the canary is untouched");
}

#[test]
fn hostile_names_in_the_mapping_are_only_names() {
    let mut columns = Map::new();
    for (number, name) in HOSTILE.iter().enumerate() {
        columns.insert((*name).to_owned(), json!({ "from": format!("/f{number}"), "type": "text" }));
    }
    let site = Site::new(Config::new("hostile_mapping").lines("log", "log.ndjson").stream(
        "events",
        "log",
        json!({ "key": "id", "table": "t\"; drop table canary; --", "columns": columns, "rest": "re\"st" }),
    ));
    canary(&site);
    let mut record = Map::new();
    record.insert("id".to_owned(), json!(1));
    for (number, name) in HOSTILE.iter().enumerate() {
        record.insert(format!("f{number}"), json!(name));
    }
    std::fs::write(site.path("log.ndjson"), Value::Object(record).to_string() + "\n").unwrap();
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("hostile names in the mapping");
    canary_lives(&site);
}

#[test]
fn hostile_members_keys_and_values_are_only_data() {
    let site = Site::new(Config::new("hostile_data").lines("log", "log.ndjson").stream(
        "events",
        "log",
        json!({ "key": "id" }),
    ));
    canary(&site);
    let mut lines = String::new();
    for name in HOSTILE {
        let mut record = Map::new();
        record.insert("id".to_owned(), json!(name));
        record.insert((*name).to_owned(), json!({ (*name).to_owned(): [name, name] }));
        lines.push_str(&Value::Object(record).to_string());
        lines.push('\n');
    }
    std::fs::write(site.path("log.ndjson"), lines).unwrap();
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("hostile data");
    assert_eq!(site.database().count("select count(*) from events"), HOSTILE.len() as i64);
    canary_lives(&site);
}

#[test]
fn hostile_file_names_are_only_keys() {
    let site = Site::new(Config::new("hostile_files").directory("files", "files", "**/*.json").stream(
        "records",
        "files",
        json!({}),
    ));
    canary(&site);
    std::fs::create_dir(site.path("files")).unwrap();
    for name in HOSTILE.iter().filter(|name| !name.contains('/')) {
        std::fs::write(site.path("files").join(format!("{name}.json")), json!({ "name": name }).to_string()).unwrap();
    }
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("hostile file names");
    canary_lives(&site);
}

#[test]
fn functions_of_a_hostile_public_schema_never_run() {
    let site = Site::new(Config::new("hostile_public").lines("log", "log.ndjson").stream(
        "events",
        "log",
        json!({ "key": "id" }),
    ));
    canary(&site);
    // Same names and closer arguments than pg_catalog's: whoever relies on the search path runs these.
    site.database().run(
        "create function public.now() returns timestamptz language plpgsql as $$ begin drop table canary; return null; end $$;
         create function public.unnest(bigint[]) returns setof bigint language plpgsql as $$ begin drop table canary; end $$;
         create function public.unnest(text[]) returns setof text language plpgsql as $$ begin drop table canary; end $$;
         create function public.length(text) returns int language plpgsql as $$ begin drop table canary; return 1; end $$;
         alter database hostile_public set search_path = public, pg_catalog;",
    );
    std::fs::write(site.path("log.ndjson"), "{\"id\":1}\n{\"id\":1,\"a\":2}\n").unwrap();
    site.apply_schema();
    site.catch_up();
    let count = site.database().value("select count(*) from public.canary");
    assert_eq!(count.as_deref(), Some("1"));
}

#[test]
fn hostile_names_of_tables_below_and_of_a_thousand_members_are_only_names_and_data() {
    let mut columns = Map::new();
    for name in [COLUMN, RIGHT_TO_LEFT, LOOKALIKE, "name"] {
        columns.insert(name.to_owned(), json!({ "from": format!("/{name}"), "type": "text" }));
    }
    let child = json!({ "shape": "map", "table": CHILD, "key": { "name": "k\"; drop table canary; --" }, "parent": "p'--",
                        "columns": { "v'; --": { "from": "v", "type": "text" } } });
    let config = Config::new("hostile").document("store", "store.json").stream(
        "things",
        "store",
        json!({ "table": TABLE, "key": { "type": "text", "name": "id" }, "columns": columns, "children": { "members": child } }),
    );
    let site = Site::new(config);
    canary(&site);
    // More members than PostgreSQL has columns: those that no column takes stay in the rest.
    let mut thing: Map<String, Value> = (0..1_700).map(|n| (format!("field {n}"), json!(n))).collect();
    for name in [COLUMN, RIGHT_TO_LEFT, LOOKALIKE, "name"] {
        thing.insert(name.to_owned(), json!(format!("value of {name}")));
    }
    let member = "'; drop table canary; --\\\"";
    thing.insert("members".to_owned(), json!({ member: { "v": "$1); drop table canary; --" } }));
    let write = |store: Value| std::fs::write(site.path("store.json"), store.to_string()).unwrap();
    let id = "'; delete from canary; --";
    write(json!({ id: thing.clone(), "second": { "members": { "\u{202e}": { "v": "x" } } } }));
    site.apply_schema();
    site.catch_up();
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (table, child) = (quote(TABLE), quote(CHILD));
    let names = [COLUMN, RIGHT_TO_LEFT, LOOKALIKE, "name"].map(quote).join(", ");
    let rows = site.database().rows(&format!("select id, {names} from {table} where {} is not null", quote(COLUMN)));
    let expected = [
        id.to_owned(),
        format!("value of {COLUMN}"),
        format!("value of {RIGHT_TO_LEFT}"),
        format!("value of {LOOKALIKE}"),
        "value of name".to_owned(),
    ];
    assert_eq!(rows, [expected.map(Some)]);
    let left = format!("select count(*) from {table}, jsonb_object_keys(rest) where id <> 'second'");
    assert_eq!(site.database().count(&left), 1_700, "nothing is lost beside the columns");
    let key = quote("k\"; drop table canary; --");
    let below = site.database().rows(&format!("select {key}, {} from {child} order by 2", quote("v'; --")));
    assert_eq!(below[0], [member, "$1); drop table canary; --"].map(|text| Some(text.to_owned())));
    assert_eq!(below[1], ["\u{202e}", "x"].map(|text| Some(text.to_owned())));
    // The same through the statements of live changes and deletes.
    thing.insert("name".to_owned(), json!("changed"));
    write(json!({ id: thing }));
    site.catch_up();
    assert_eq!(site.database().count(&format!("select count(*) from {table} where name = 'changed'")), 1);
    assert_eq!(site.database().count(&format!("select count(*) from {child}")), 1);
    canary_lives(&site);
    let tables = "select count(*) from pg_catalog.pg_tables where schemaname = 'public'";
    assert_eq!(site.database().count(tables), 3);
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0);
}
