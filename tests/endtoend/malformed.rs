//! Malformed input: bounded memory, no crash, parked with its byte offset, and everything else goes on.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

/// Above what a small pipeline needs, far below what any of these inputs would take whole.
const MEMORY_KIB: u64 = 256 * 1024;

/// One line each; keys are different, so that nothing waits behind another.
fn broken_lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = [
        r#"{"id":101"#,
        r#"{"id":102,}"#,
        r#"{"id":103,"a":[1,2}"#,
        r#"{"id":104,"a":01}"#,
        r#"{"id":105,"a":.5}"#,
        r#"{"id":106,"a":1.}"#,
        r#"{"id":107,"a":+1}"#,
        r#"{"id":108,"a":NaN}"#,
        r#"{"id":109,"a":Infinity}"#,
        r#"{"id":110,'a':1}"#,
        r#"{"id":111,"a":tru}"#,
        r#"{"id":112,"a":"\x"}"#,
        r#"{"id":113,"a":"\u12"}"#,
        r#"{"id":114} trailing"#,
        r#"{"id":115}{"id":116}"#,
        r#"{id:117}"#,
        r#"{"id":118,"a":1 /* comment */}"#,
        "{\"id\":119,\"a\":\"tab\there\"}",
        r#"{"id":120,"a""b"}"#,
        r#"{"id":121 "a":1}"#,
        "]",
        "\"unterminated",
        // Well-formed, but not a record or without a key.
        "[1,2]",
        "null",
        "42",
        r#"{"no":"key"}"#,
        r#"{"id":null}"#,
        // Cannot be stored exactly.
        r#"{"id":201,"a":"nul \u0000 inside"}"#,
        r#"{"id":202,"nul\u0000name":1}"#,
        r#"{"id":203,"a":"\ud800"}"#,
        r#"{"id":204,"a":"\udc00\ud800"}"#,
        r#"{"id":205,"a":1,"a":2}"#,
        r#"{"id":206,"deep":{"x":[{"b":1,"b":1}]}}"#,
        r#"{"id":207,"a":1e999999999}"#,
        r#"{"id":208,"a":1e-999999999}"#,
        r#"{"id":209,"a":-0}"#,
        r#"{"id":210,"a":[{"b":-0.00}]}"#,
    ]
    .iter()
    .map(|line| line.as_bytes().to_vec())
    .collect();
    lines.push(b"{\"id\":301,\"a\":\"\xff\xfe\"}".to_vec());
    lines.push(b"{\"id\":302,\"a\":\"\xc0\xaf\"}".to_vec());
    lines.push(b"{\"id\":303,\"a\":\"\xed\xa0\x80\"}".to_vec());
    lines.push(b"{\"id\":304,\"a\":\"raw nul \0\"}".to_vec());
    lines.push([b"{\"id\":305,\"a\":".as_slice(), &vec![b'['; 1_000_000], b"}"].concat());
    lines.push([b"{\"id\":306,\"a\":".as_slice(), &vec![b'['; 500_000], &vec![b']'; 500_000], b"}"].concat());
    lines.push([b"{\"id\":307,\"a\":".as_slice(), &b"{\"a\":".repeat(200_000), b"}"].concat());
    lines
}

/// Lines that look odd and are fine.
const FINE_LINES: &[&str] = &[
    r#"{"id":5,"what":"a number"}"#,
    r#"{"id":"5","what":"a string"}"#,
    r#"{"id":5.0,"what":"the same number, so the same record"}"#,
    r#"{"id":18446744073709551616,"a":123456789012345678901234567890}"#,
    r#"{"id":-9223372036854775809,"a":-0.000000000000000000000000000001}"#,
    r#"{"id":"","a":"an empty key is a key"}"#,
    r#"{"id":true}"#,
    r#"{"id":false}"#,
    r#"{"id":[1,"a"],"a":1.10}"#,
    r#"{"id":{"b":1,"a":2}}"#,
    "{\"id\":\"crlf\",\"a\":1}\r",
    "   {\"id\" : \"spaces\" }  ",
    r#"{"id":"tab\tnewline\nquote\"","a":"\\N \\. \t"}"#,
    r#"{"id":"ünïcödé🚀","a":"e\u0301 \ud83d\ude80"}"#,
];

#[test]
fn every_kind_of_broken_line_is_parked_and_the_rest_goes_on() {
    let site = Site::new(Config::new("broken_lines").lines("log", "log.ndjson").stream(
        "items",
        "log",
        json!({ "key": "id" }),
    ));
    let mut bytes = Vec::new();
    let broken = broken_lines();
    for (number, line) in broken.iter().enumerate() {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        bytes.extend_from_slice(FINE_LINES[number % FINE_LINES.len()].as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"\n  \n{\"id\":\"not a line yet\"}");
    std::fs::write(site.path("log.ndjson"), bytes).unwrap();
    site.apply_schema_with_audit();
    let mut service = site.run_and_listen();
    site.expect_soon_equal("broken lines parked, fine lines landed");
    site.expect_witness("broken lines");
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from landfall.dead_letters"), broken.len() as i64);
    assert_eq!(
        database.count("select count(*) from items where key in ('n:5', 's:5')"),
        2,
        "5 and \"5\" are two records"
    );
    let peak = service.peak_kib();
    assert!(peak.is_some_and(|peak| peak < MEMORY_KIB), "peak memory {peak:?} KiB");
    assert!(service.is_running());
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_line_of_a_gibibyte_is_parked_in_bounded_memory() {
    let site =
        Site::new(Config::new("huge_line").lines("log", "log.ndjson").stream("items", "log", json!({ "key": "id" })));
    let path = site.path("log.ndjson");
    let mut file = OpenOptions::new().create(true).append(false).write(true).truncate(true).open(&path).unwrap();
    file.write_all(b"{\"id\":1}\n{\"id\":2,\"a\":\"").unwrap();
    // A hole reads as zeros and takes no disk.
    file.seek(SeekFrom::Current(1 << 30)).unwrap();
    file.write_all(b"\"}\n{\"id\":3}\n").unwrap();
    drop(file);
    site.apply_schema_with_audit();
    let service = site.run_and_listen();
    site.expect_soon_equal("the huge line is parked");
    let mut database = site.database();
    assert_eq!(database.value("select string_agg(key, ',' order by key) from items").as_deref(), Some("n:1,n:3"));
    assert_eq!(
        database.value("select code || '@' || place_at from landfall.dead_letters").as_deref(),
        Some("too_large@9")
    );
    assert!(
        database.count("select max(length(payload)) from landfall.dead_letters") < 1 << 20,
        "its head, not all of it"
    );
    let peak = service.peak_kib();
    assert!(peak.is_some_and(|peak| peak < MEMORY_KIB), "peak memory {peak:?} KiB");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_gibibyte_without_any_newline_is_not_a_line_and_takes_no_memory() {
    let site =
        Site::new(Config::new("no_newline").lines("log", "log.ndjson").stream("items", "log", json!({ "key": "id" })));
    let mut file = std::fs::File::create(site.path("log.ndjson")).unwrap();
    file.write_all(b"{\"id\":1}\n{\"id\":2").unwrap();
    file.set_len(1 << 30).unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    let mut database = site.database();
    landfall_tests::wait::wait_until(Duration::from_secs(60), "the line before it is a row", || {
        database.count("select count(*) from items") == 1
    });
    assert_eq!(database.count("select count(*) from landfall.dead_letters"), 0, "it may still be completed");
    let peak = service.peak_kib();
    assert!(peak.is_some_and(|peak| peak < MEMORY_KIB), "peak memory {peak:?} KiB");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn damaged_records_of_a_document_are_parked_one_by_one() {
    let site = Site::new(Config::new("broken_records").document("store", "store.json").stream(
        "items",
        "store",
        json!({ "key": "id" }),
    ));
    let records = [
        r#"{"id":1,"a":1}"#,
        r#"{"id":2,"a":1,"a":2}"#,
        r#"{"id":3,"a":"\u0000"}"#,
        r#"{"id":4,"a":"\ud800"}"#,
        r#"{"id":5,"a":1e999999999}"#,
        r#"{"a":"no key"}"#,
        r#"{"id":1,"a":"the first one stands"}"#,
        r#"{"id":"1","a":"another record"}"#,
        r#"{"id":7,"a":123456789012345678901234567890.5}"#,
    ];
    std::fs::write(site.path("store.json"), format!("[{}]", records.join(",\n"))).unwrap();
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("damaged records parked");
    site.expect_witness("damaged records parked");
    assert_eq!(site.database().count("select count(*) from items"), 3);
}

#[test]
fn a_document_of_brackets_a_million_deep_waits_without_a_crash() {
    let source = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let site =
        Site::new(Config::new("brackets").source("store", source).stream("items", "store", json!({ "key": "id" })));
    let deep = format!("[{{\"id\":1,\"a\":{}{}}}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
    std::fs::write(site.path("store.json"), deep).unwrap();
    site.apply_schema();
    let mut service = site.run_and_listen();
    // Either the record is parked (it is whole) or the document is waited for: both are told, and neither is a crash.
    let mut database = site.database();
    landfall_tests::wait::wait_until(Duration::from_secs(60), "the depth is told", || {
        database.count("select count(*) from landfall.dead_letters where code = 'too_deep'") == 1
            || site
                .status()
                .and_then(|status| status.stream("items"))
                .is_some_and(|stream| stream.state().contains("wait"))
    });
    assert!(service.is_running(), "{}", service.stderr());
    // Its key stays parked until somebody retries the dead letter; the others go on.
    std::fs::write(site.path("store.json"), r#"[{"id":1,"a":2},{"id":2}]"#).unwrap();
    landfall_tests::wait::wait_until(Duration::from_secs(45), "a reasonable record arrives", || {
        database.count("select count(*) from items where key = 'n:2'") == 1
    });
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
