//! `/readyz` follows what happens within seconds, and says why in fixed words.

use super::{SOON, config, end, prepared, ready, reasons, site, start};
use landfall_tests::http::{Answer, Http};
use landfall_tests::manner::Manner;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_for;
use std::time::{Duration, Instant};

/// Readiness follows the target within this time.
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
