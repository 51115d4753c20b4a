//! Records made to hurt: each is parked or landed in bounded memory and time, and the lines around them land.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use serde_json::json;
use std::time::{Duration, Instant};

/// The largest record is 16 MiB; a few copies of it may be on their way at once.
const MEMORY_KIB: u64 = 400 * 1024;

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn bombs_are_parked_one_by_one_in_bounded_memory() {
    let members: Vec<String> = (0..1_000_000).map(|number| format!("\"k{number}\":1")).collect();
    let bombs = [
        ("members", format!("{{\"id\":\"members\",\"a\":{{{}}}}}", members.join(",")), Some("too_complex")),
        ("digits", format!("{{\"id\":\"digits\",\"a\":{}}}", "7".repeat(10_000_000)), Some("too_complex")),
        ("exponent", r#"{"id":"exponent","a":1e131073}"#.to_owned(), Some("number_range")),
        ("deep", format!("{{\"id\":\"deep\",\"a\":{}}}", nested(1_000)), Some("too_deep")),
        ("long key", format!("{{\"id\":\"{}\",\"a\":1}}", "k".repeat(100_000)), None),
        ("long text", format!("{{\"id\":\"long text\",\"a\":\"{}\"}}", "x".repeat(15 << 20)), None),
        ("one too long", format!("{{\"id\":\"one too long\",\"a\":\"{}\"}}", "x".repeat(17 << 20)), Some("too_large")),
        ("nested enough", format!("{{\"id\":\"nested enough\",\"a\":{}}}", nested(60)), None),
        ("wide", format!("{{\"id\":\"wide\",\"a\":[{}1]}}", "0,".repeat(2_000_000)), None),
    ];
    let site =
        Site::new(Config::new("bombs").lines("log", "log.ndjson").stream("items", "log", json!({ "key": "id" })));
    let lines: Vec<&str> = bombs.iter().map(|(_, line, _)| line.as_str()).collect();
    std::fs::write(site.path("log.ndjson"), format!("{}\n{{\"id\":\"last\"}}\n", lines.join("\n"))).unwrap();
    site.apply_schema_with_audit();
    let started = Instant::now();
    let service = site.run_and_listen();
    let mut database = site.database();
    landfall_tests::wait::wait_until(Duration::from_secs(90), "the line behind all bombs is a row", || {
        database.count("select count(*) from items where key = 's:last'") == 1
    });
    let landed = bombs.iter().filter(|(_, _, code)| code.is_none()).count() as i64;
    landfall_tests::wait::wait_until(Duration::from_secs(60), "every harmless one is a row", || {
        database.count("select count(*) from items") == landed + 1
    });
    let mut codes: Vec<String> =
        database.rows("select code from landfall.dead_letters").into_iter().filter_map(|row| row[0].clone()).collect();
    let mut wanted: Vec<&str> = bombs.iter().filter_map(|(_, _, code)| *code).collect();
    codes.sort();
    wanted.sort_unstable();
    assert_eq!(codes, wanted, "{:?}", started.elapsed());
    assert_eq!(database.count("select count(*) from items where key like 'h:%'"), 1, "a key too long for an index");
    let peak = service.peak_kib();
    assert!(peak.is_some_and(|peak| peak < MEMORY_KIB), "peak memory {peak:?} KiB");
    site.expect_witness("after the bombs");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
