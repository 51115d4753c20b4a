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
