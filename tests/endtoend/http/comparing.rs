//! A comparison under way is seen from outside of it: by metrics, by status, by its end, and not when it was killed.

use super::{SOON, TOKEN, end, scrape, start, wait_series};
use landfall_tests::config::Config;
use landfall_tests::http::Http;
use landfall_tests::landfall::Landfall;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::proxy::FaultProxy;
use landfall_tests::site::Site;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows that a slow line lets through one by one: a minute of reading, whatever the machine.
const RECORDS: u32 = 20_000;
const ROW: Duration = Duration::from_millis(3);

fn loaded(name: &str) -> (Site, Landfall, Http) {
    let config = Config::new(name).http().lines("log", "log.ndjson").stream("events", "log", json!({ "key": "id" }));
    let site = Site::new(config);
    std::fs::write(site.path("token"), TOKEN).unwrap();
    let lines: String = (0..RECORDS).map(|id| format!("{{\"id\":{id},\"t\":\"some text of {id}\"}}\n")).collect();
    std::fs::write(site.path("log.ndjson"), lines).unwrap();
    site.apply_schema();
    let (service, http) = start(&site);
    let applied = "landfall_stream_settled_events{stream=\"events\",outcome=\"applied\"}";
    let _ = wait_series(&http, applied, |events| events == f64::from(RECORDS));
    // How much there is to read is known by the server's statistics.
    site.database().run("analyze events");
    (site, service, http)
}

/// A comparison over a slow line that is stopped in the midst of its reading, what it said last, and the line.
fn frozen(site: &mut Site) -> (Landfall, Value, FaultProxy) {
    let direct = site.login().clone();
    let line = FaultProxy::start(PostgresServer::shared().port());
    line.delay(ROW);
    site.reach(direct.through(line.port()));
    let verify = site.command(&["verify", "-o", "json"]).start();
    site.reach(direct);
    let file = site.path("state/verify/progress.json");
    let mut last = Value::Null;
    let mut read = || {
        last = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
        last["run"]["ratio"].as_f64().filter(|ratio| *ratio > 0.0).map(drop)
    };
    let found = wait_for(SOON, &mut read);
    verify.freeze();
    let read = found.and_then(|()| read());
    assert!(read.is_some(), "it never said that it has read something: {last}\n{}", verify.stderr());
    (verify, last, line)
}

fn running(http: &Http) -> bool {
    scrape(http).value("landfall_verify_running") == 1.0
}

fn status(http: &Http) -> Value {
    http.get("/api/v1/status").expect(200).json()
}

#[test]
fn a_comparison_is_seen_while_it_runs_and_is_gone_with_its_end() {
    let (mut site, service, http) = loaded("http_comparing");
    assert!(!running(&http), "none runs");
    let (verify, said, line) = frozen(&mut site);
    let ratio = said["streams"]["events"]["ratio"].as_f64().unwrap();
    let _ = wait_series(&http, "landfall_verify_progress_ratio{stream=\"events\"}", |told| told == ratio);
    assert!(running(&http) && ratio < 1.0, "{ratio}");
    let told = status(&http);
    let (run, stream) = (&told["comparison"], &told["streams"][0]["comparing"]);
    assert!(run["started_ms"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{run}");
    assert_eq!(run["ratio"], said["run"]["ratio"], "{run}");
    assert_eq!((&stream["stage"], &stream["expected_records"]), (&json!("reading"), &json!(RECORDS)), "{stream}");
    assert!(stream["records"].as_u64().is_some_and(|records| records > 0), "{stream}");
    let people = site.finish(&["status"]).stdout;
    assert!(people.contains("a comparison is under way, ") && people.contains(" % read"), "{people}");
    line.heal();
    verify.thaw();
    let ended = verify.finish(Duration::from_secs(120)).expect(0);
    wait_until(SOON, "its end is seen", || !running(&http));
    assert!(status(&http)["comparison"].is_null() && status(&http)["streams"][0]["comparing"].is_null());
    assert_eq!(status(&http)["streams"][0]["compared"]["verdict"], "equal", "{}", ended.stdout);
    end(service);
}

#[test]
fn a_comparison_that_was_killed_is_not_under_way() {
    let (mut site, service, http) = loaded("http_compare_kill");
    let (mut verify, _, _line) = frozen(&mut site);
    wait_until(SOON, "it is seen", || running(&http));
    verify.kill();
    wait_until(SOON, "its death is seen", || !running(&http));
    assert!(site.path("state/verify/progress.json").exists(), "what it left still stands there");
    let again = site.finish(&["verify", "-o", "json"]).expect(0);
    assert!(again.stdout.contains("\"verdict\":\"equal\""), "{}", again.stdout);
    assert!(!site.path("state/verify/progress.json").exists());
    end(service);
}
