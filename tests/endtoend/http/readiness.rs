//! `/readyz` follows what happens within seconds, and says why in fixed words.

use super::{SOON, config, end, prepared, ready, ready_within, reasons, site, start};
use landfall_tests::http::{Answer, Http};
use landfall_tests::manner::Manner;
use landfall_tests::mongo_ids::document_with;
use landfall_tests::mongo_server::{MongoServer, MongoSettings};
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::proxy::FaultProxy;
use landfall_tests::raw_bson::RawValue;
use landfall_tests::site::Site;
use landfall_tests::small_disk::SmallDisk;
use landfall_tests::wait::wait_for;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Readiness follows what the service needs within this time, when it goes and when it is there again.
const FOLLOWS: Duration = Duration::from_secs(5);

/// Waits until the service is not ready for this reason.
#[track_caller]
fn not_ready(http: &Http, code: &str, stream: Option<&str>, within: Duration) -> Answer {
    let wanted = (code.to_owned(), stream.map(str::to_owned));
    let mut last = String::new();
    let found = wait_for(within, || {
        let answer = http.get("/readyz");
        last.clone_from(&answer.body);
        (answer.status == 503 && reasons(&answer.json()).contains(&wanted)).then_some(answer)
    });
    let answer = found.unwrap_or_else(|| panic!("never {wanted:?}; last: {last}"));
    assert_eq!(answer.json()["ready"], false);
    answer
}

/// What the service needs goes and comes back: it is alive throughout, and its readiness follows both ways.
#[track_caller]
fn follows(http: &Http, (code, stream): (&str, Option<&str>), go: impl FnOnce(), come: impl FnOnce()) {
    ready(http);
    go();
    let _ = not_ready(http, code, stream, FOLLOWS);
    assert_eq!(http.get("/healthz").expect(200).body, "ok");
    assert_eq!(super::scrape(http).value("landfall_ready"), 0.0);
    come();
    ready_within(http, FOLLOWS);
}

#[test]
fn a_target_that_answers_nothing_any_more_is_told_within_seconds() {
    let (mut site, _document) = site("http_hung");
    let proxy = FaultProxy::start(PostgresServer::shared().port());
    let direct = site.login().clone();
    site.reach(direct.through(proxy.port()));
    let (service, http) = start(&site);
    follows(&http, ("target_unreachable", None), || proxy.swallow(), || proxy.heal());
    follows(&http, ("target_unreachable", None), || proxy.refuse(), || proxy.heal());
    end(service);
    site.reach(direct);
}

#[test]
fn a_source_that_is_killed_or_gone_is_told_within_seconds() {
    let Some(server) = MongoServer::start_own("ready", MongoSettings::default().synced()) else { return };
    let database = server.database("ready");
    database.insert_raw("things", &[document_with(&RawValue::int64(1), &RawValue::string("one"))]);
    let config = config("http_sources").mongo("app", database.name()).collection("things", "app", "things");
    let site = Site::new(config).mongo(database.uri());
    let _document = prepared(&site);
    let (service, http) = start(&site);
    let things = ("waiting", Some("things"));
    follows(&http, things, || server.kill(), || server.resume());
    // For so long that looking for a member has failed, and is tried again ever more rarely.
    let come = || {
        std::thread::sleep(Duration::from_secs(20));
        server.resume();
    };
    follows(&http, things, || server.kill(), come);
    let (store, elsewhere) = (site.path("store.json"), site.path("elsewhere"));
    let moved = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    follows(&http, ("waiting", Some("users")), || moved(&store, &elsewhere), || moved(&elsewhere, &store));
    end(service);
}

#[test]
fn a_disk_with_nothing_but_its_reserve_is_told_though_nothing_is_captured() {
    let site = Site::new(config("http_disk").section("queue", json!({ "disk_reserve": "8MiB" })));
    let disk = SmallDisk::mount(&site.path("state"), "24m");
    let mut document = prepared(&site);
    let ballast = disk.ballast(18 << 20);
    let said = site.finish(&["check"]).expect(1).stdout;
    assert!(said.contains("FAIL  state: ") && said.contains("8.0 MiB of them stay so"), "{said}");
    std::fs::remove_file(&ballast).unwrap();
    assert!(!site.finish(&["check"]).expect(0).stdout.contains("FAIL"));
    let (service, http) = start(&site);
    let go = || drop(disk.ballast(18 << 20));
    let come = || {
        let metrics = super::scrape(&http);
        let of = |name: &str| metrics.value(&format!("landfall_queue_disk_{name}_bytes{{source=\"store\"}}"));
        assert!(of("reserve") == f64::from(8 << 20) && of("free") < of("reserve"), "{}", of("free"));
        assert!(site.finish(&["status"]).stdout.contains("FULL (disk)"));
        // What changes meanwhile waits.
        document.add("users", 5);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(site.database().count("select count(*) from users"), super::ROWS);
        std::fs::remove_file(&ballast).unwrap();
    };
    follows(&http, ("disk_reserve", None), go, come);
    site.expect_soon_equal("after there is room again");
    end(service);
}

#[test]
fn a_target_that_stops_is_told_within_seconds_though_nothing_is_written() {
    let server = PostgresServer::start("http-ready");
    let site = Site::on(config("http_ready"), server.database("http_ready"));
    let _document = prepared(&site);
    let (mut service, http) = start(&site);
    ready(&http);
    let yes = http.get("/readyz").expect(200).json();
    assert_eq!((yes["ready"].as_bool(), reasons(&yes).len()), (Some(true), 0));
    server.stop_immediate();
    let stopped = Instant::now();
    let _ = not_ready(&http, "target_unreachable", None, FOLLOWS);
    let took = stopped.elapsed();
    assert!(took <= FOLLOWS + Duration::from_millis(500), "{took:?}");
    assert_eq!(http.get("/healthz").expect(200).body, "ok");
    let metrics = super::scrape(&http);
    assert_eq!(metrics.value("landfall_ready"), 0.0);
    let status = http.get("/api/v1/status").expect(200).json();
    assert_eq!(status["target"]["reachable"], false, "status says the same");
    server.resume();
    ready(&http);
    let events = http.get("/api/v1/events").expect(200).json();
    let codes: Vec<_> = events.as_array().unwrap().iter().filter_map(|event| event["code"].as_str()).collect();
    let at = |code: &str| codes.iter().position(|known| *known == code);
    assert!(at("started") < at("target_unreachable") && at("target_unreachable") < at("target_reachable"), "{codes:?}");
    assert!(codes.contains(&"caught_up"), "{codes:?}");
    assert!(service.is_running());
    end(service);
}

#[test]
fn a_halted_stream_is_named_with_the_state_it_halted_in() {
    let (site, _document) = site("http_halted");
    let (service, http) = start(&site);
    ready(&http);
    end(service);
    site.database().run("alter table users rename column doc to other");
    let (service, http) = start(&site);
    let answer = not_ready(&http, "halted", Some("users"), SOON);
    assert!(answer.body.contains("schema_drift"), "{}", answer.body);
    assert_eq!(super::scrape(&http).value("landfall_stream_halted{stream=\"users\"}"), 1.0);
    end(service);
}

#[test]
fn a_held_revision_and_a_pause_are_told_and_both_end() {
    let (site, mut document) = site("http_held");
    let (service, http) = start(&site);
    ready(&http);
    let _ = site.finish(&["pause", "users", "--actor", "ada"]).expect(0);
    let _ = not_ready(&http, "paused", Some("users"), SOON);
    let _ = site.finish(&["resume"]).expect(0);
    ready(&http);
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    let _ = not_ready(&http, "held", Some("users"), SOON);
    assert_eq!(super::scrape(&http).value("landfall_stream_held{stream=\"users\"}"), 1.0);
    document.write(Manner::Atomic);
    ready(&http);
    std::fs::rename(site.path("store.json"), site.path("elsewhere")).unwrap();
    let _ = not_ready(&http, "waiting", Some("users"), SOON);
    end(service);
}
