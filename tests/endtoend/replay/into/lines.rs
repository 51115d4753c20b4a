//! Lines whose first events the queue no longer holds, replayed into another schema: from the files, in the order in which they were captured.

use super::{end, expect_followed, expect_listening};
use crate::replay::{SOON, result};
use landfall_tests::config::Config;
use landfall_tests::landfall::Landfall;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::ops::Range;

/// Logs by date, in which records are written again, and one that is rotated, whose lines are records by their place. Applied events are dropped at once.
fn config(name: &str, shout: bool) -> Config {
    let text = if shout { json!({ "type": "text", "normalize": ["upper"], "keep": false }) } else { json!("text") };
    // What the first mapping leaves out tells two lines of one key apart.
    let more = if shout { json!({ "t": text, "stage": { "type": "integer" } }) } else { json!({ "t": text }) };
    Config::new(name)
        .source("dated", json!({ "kind": "json_lines", "path": "logs/2026-*.ndjson", "rescan": "1s" }))
        .source("plain", json!({ "kind": "json_lines", "path": "app.log", "rescan": "1s" }))
        .stream("orders", "dated", json!({ "key": { "from": "id", "type": "bigint" }, "columns": more }))
        .stream("entries", "plain", json!({ "key": "position", "columns": { "t": text } }))
        .section("queue", json!({ "max_bytes": "1GiB", "retention": { "bytes": "0B", "age": "0s", "floor": "0s" } }))
}

fn append(site: &Site, file: &str, text: &str) {
    let path = site.path(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

fn orders(site: &Site, day: &str, ids: Range<u64>, stage: u64) {
    let line = |id| format!("{{\"id\":{id},\"t\":\"order {id}\",\"stage\":{stage}}}\n");
    append(site, &format!("logs/2026-{day}.ndjson"), &ids.map(line).collect::<String>());
}

fn entries(site: &Site, numbers: Range<u64>) {
    append(site, "app.log", &numbers.map(|n| format!("{{\"t\":\"entry {n}\"}}\n")).collect::<String>());
}

fn start(site: &Site) -> Landfall {
    let service = site.command(&["run"]).env("LANDFALL_SEGMENT_BYTES", "16384").start();
    expect_listening(site);
    service
}

#[track_caller]
fn expect_applied(site: &Site, orders: &str, entries: i64) {
    wait_until(SOON, "the lines are applied", || {
        let mut database = site.database();
        database.rows("select count(*)::text from orders") == [[Some(orders.to_owned())]]
            && database.count("select count(*) from entries") == entries
    });
}

/// The oldest segment of each queue.
fn oldest(site: &Site) -> [Option<OsString>; 2] {
    ["dated", "plain"].map(|source| {
        let entries = std::fs::read_dir(site.path("state/queue").join(source)).unwrap().flatten();
        entries.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().ends_with(".seg")).min()
    })
}

/// A history in which the later stage of an order stands in a file whose name sorts before the first one's, and a rotated log.
fn history(site: &Site) {
    let first = oldest(site);
    orders(site, "11-20", 0..400, 1);
    entries(site, 0..300);
    expect_applied(site, "400", 300);
    // The day before, written after it: a machine that was late.
    orders(site, "11-19", 100..200, 2);
    std::fs::rename(site.path("app.log"), site.path("app.log.1")).unwrap();
    entries(site, 300..350);
    expect_applied(site, "400", 350);
    orders(site, "11-21", 150..160, 3);
    append(site, "logs/2026-11-21.ndjson", "not json\n");
    orders(site, "11-20", 400..700, 1);
    entries(site, 350..800);
    expect_applied(site, "700", 800);
    wait_until(SOON, "the first events are dropped", || {
        first.iter().zip(oldest(site)).all(|(first, now)| *first != now)
    });
}

fn count(site: &Site, query: &str) -> i64 {
    site.database().count(query)
}

/// Stages of the orders, as the lines say: the last one that was written.
const STAGES: &str = "select count(*) from next.orders where stage = case when id between 150 and 159 then 3 when id between 100 and 199 then 2 \
                      else 1 end and t = 'ORDER ' || id";

fn next(site: &Site, config: &Config) {
    std::fs::write(site.path("next.yaml"), config.text()).unwrap();
}

#[test]
fn a_new_copy_of_lines_has_the_line_of_each_key_that_was_captured_last() {
    let name = "replay_into_lines";
    let mut site = Site::on(config(name, false), PostgresServer::shared().database(name));
    site.apply_schema();
    let service = start(&site);
    history(&site);
    next(&site, &config(name, true));
    let refused = site.finish(&["-c", "next.yaml", "replay", "--into", "next", "--from", "earliest"]);
    assert!(refused.code == Some(1) && refused.output().contains("history_trimmed"), "{}", refused.output());
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    expect_followed(&site, "next");
    assert_eq!((count(&site, "select count(*) from next.orders"), count(&site, STAGES)), (700, 700));
    assert_eq!(count(&site, "select count(*) from next.entries"), 800);
    let same = "select count(*) from next.entries n join public.entries l on n.key = l.key where n.t = upper(l.t)";
    assert_eq!(count(&site, same), 800, "keys by place are those of the live rows");
    let letters =
        "select count(*) from landfall.dead_letters where pipeline = 'replay_into_lines@next' and code = 'malformed'";
    assert_eq!(count(&site, letters), 1);
    // It is followed, compared and put in the place of the live tables.
    orders(&site, "11-21", 0..10, 4);
    entries(&site, 800..810);
    expect_applied(&site, "700", 810);
    expect_followed(&site, "next");
    assert_eq!(count(&site, "select count(*) from next.orders where stage = 4"), 10);
    // Orders stand in several files: capture's word tells which line is the last. The broken line is parked on both sides.
    let result = result(&site, &["replay", "compare", "next"]);
    let of =
        |name: &str| result["streams"].as_array().unwrap().iter().find(|one| one["stream"] == name).unwrap().clone();
    let orders_are = of("orders");
    let counts = [&orders_are["equal"], &orders_are["parked"], &orders_are["not_compared"], &orders_are["suspect"]];
    assert_eq!(counts, [&json!(700), &json!(1), &json!(0), &json!(0)], "{result}");
    assert_eq!(of("entries")["verdict"], "equal", "{result}");
    let _ = site.finish(&["replay", "swap", "next", "--uncompared"]).expect(0);
    site.reconfigure(config(name, true));
    assert_eq!(count(&site, "select count(*) from public.orders where stage = 4"), 10);
    orders(&site, "11-22", 0..5, 5);
    wait_until(SOON, "the swapped tables are followed", || {
        count(&site, "select count(*) from orders where stage = 5") == 5
    });
    end(service);
}

#[test]
fn a_checkpoint_with_a_base_holds_lines_whose_files_are_gone_later() {
    let name = "replay_into_lines_base";
    let site = Site::on(config(name, false), PostgresServer::shared().database(name));
    site.apply_schema();
    let service = start(&site);
    history(&site);
    let _ = site.finish(&["checkpoint", "create", "before", "--with-base"]).expect(0);
    std::fs::remove_file(site.path("logs/2026-11-19.ndjson")).unwrap();
    std::fs::remove_file(site.path("app.log.1")).unwrap();
    orders(&site, "11-21", 690..720, 1);
    expect_applied(&site, "720", 800);
    next(&site, &config(name, true));
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next", "--from", "before"]).expect(0);
    expect_followed(&site, "next");
    let count = |query: &str| site.database().count(query);
    assert_eq!((count("select count(*) from next.orders"), count(STAGES)), (720, 720));
    assert_eq!(count("select count(*) from next.entries"), 800);
    let _ = site.finish(&["replay", "drop", "next"]).expect(0);
    // A new copy has only what is there, and says what is not.
    let told = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    assert!(told.output().contains("2026-11-19.ndjson is gone"), "{}", told.output());
    expect_followed(&site, "next");
    assert_eq!(count("select count(*) from next.orders where stage = 2"), 0);
    assert_eq!(count("select count(*) from next.orders where stage = 3"), 10);
    end(service);
    let _ = site.finish(&["checkpoint", "create", "offline", "--with-base"]).expect(0);
    let listed = site.finish(&["checkpoint", "list"]).expect(0);
    assert!(listed.output().contains("offline") && listed.output().contains("with a base of"), "{}", listed.output());
}
