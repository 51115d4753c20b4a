//! Orders over HTTP do what the commands do, and are remembered with who gave them.

use super::{ROWS, SOON, TOKEN, end, ready, site, start};
use landfall_tests::http::Http;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::Value;
use std::time::{Duration, Instant};

fn rows(site: &Site) -> i64 {
    site.database().count("select count(*) from users")
}

/// It is among what happened. A state that lasts for less than a report is not seen.
#[track_caller]
fn told(http: &Http, what: &str) {
    wait_until(SOON, what, || http.get("/api/v1/events").expect(200).body.contains(what));
}

fn history(site: &Site, event: &str) -> Vec<String> {
    let sql = format!("select actor from landfall.history where event = '{event}' order by id");
    site.database().rows(&sql).into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
}

#[test]
fn pause_resume_and_throttle_hold_what_the_commands_hold() {
    let (site, mut document) = site("http_orders");
    let (service, http) = start(&site);
    ready(&http);
    let said = http.order("/api/v1/pause", TOKEN, r#"{"streams":["users"],"reason":"a long vacuum"}"#).expect(200);
    assert_eq!(said.json()["streams"][0], "users");
    document.add("users", 5);
    site.expect_stream("users", "queued behind the pause", |stream| {
        serde_json::from_str::<Value>(&stream.text()).unwrap()["queued"].as_u64() >= Some(5)
    });
    assert_eq!(rows(&site), ROWS);
    let shown = site.finish(&["status"]).expect(0).stdout;
    assert!(shown.contains("paused by http: a long vacuum"), "{shown}");
    told(&http, "paused by http");

    let bearer = format!("Bearer {TOKEN}");
    let named =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/json; charset=utf-8"), ("X-Actor", "ada")];
    let _ = http.ask("POST", "/api/v1/resume", &named, "{}").expect(200);
    wait_until(SOON, "the resumed rows arrive", || rows(&site) == ROWS + 5);
    told(&http, "resumed");
    let _ = http.ask("POST", "/api/v1/throttle", &named, r#"{"streams":[],"rows_per_second":20}"#).expect(200);
    let began = Instant::now();
    document.add("users", 100);
    wait_until(SOON, "the throttled rows arrive", || rows(&site) == ROWS + 105);
    assert!(began.elapsed() >= Duration::from_secs(3), "100 rows at 20 a second came in {:?}", began.elapsed());
    let _ = http.ask("POST", "/api/v1/throttle", &named, r#"{"rows_per_second":null}"#).expect(200);
    ready(&http);
    assert_eq!(history(&site, "paused"), ["http"]);
    assert_eq!(history(&site, "resumed"), ["ada"]);
    assert_eq!(history(&site, "throttled"), ["ada", "ada"]);
    told(&http, "throttled");
    told(&http, "not_throttled");
    end(service);
}

#[test]
fn a_held_revision_is_accepted() {
    let (site, _document) = site("http_decide");
    let (service, http) = start(&site);
    ready(&http);
    std::fs::write(site.path("store.json"), r#"{"users":[]}"#).unwrap();
    let held = site.expect_stream("users", "held", |stream| stream.state() == "held");
    let nothing = http.order("/api/v1/decide", TOKEN, r#"{"stream":"users","subject":"ff","accept":true}"#).expect(409);
    assert_eq!(nothing.json()["code"], "nothing_held");
    assert_eq!(rows(&site), ROWS);
    let body = format!(r#"{{"stream":"users","subject":"{}","accept":true}}"#, held.subject());
    let _ = http.order("/api/v1/decide", TOKEN, &body).expect(200);
    wait_until(SOON, "the accepted revision is applied", || rows(&site) == 0);
    let decided = site.database().value("select actor from landfall.history where actor = 'http' limit 1");
    assert_eq!(decided.as_deref(), Some("http"));
    end(service);
}

#[test]
fn the_log_is_turned_up_and_down_while_the_service_runs() {
    let (site, _document) = site("http_log");
    let (service, http) = start(&site);
    ready(&http);
    assert!(!service.stderr().contains("DEBUG"));
    let level = |level: &str| http.order("/api/v1/log-level", TOKEN, &format!(r#"{{"level":"{level}"}}"#));
    let _ = level("debug").expect(200);
    // A caller that ends within a request is told at this level alone.
    let half = || std::io::Write::write_all(&mut http.connect().unwrap(), b"GET / HTTP/1.1\r\nHo").unwrap();
    wait_until(SOON, "the log says more", || {
        half();
        service.stderr().contains("DEBUG")
    });
    let _ = level("error").expect(200);
    assert!(service.stderr().contains("the log is at Debug"));
    assert_eq!(level("loud").expect(400).json()["code"], "bad_request");
    end(service);
}

#[test]
fn what_cannot_be_done_is_refused_in_words_and_changes_nothing() {
    let (site, _document) = site("http_refused");
    let (service, http) = start(&site);
    ready(&http);
    let code = |path: &str, body: &str, status: u16| {
        http.order(path, TOKEN, body).expect(status).json()["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code("/api/v1/pause", r#"{"streams":["nobody"]}"#, 404), "unknown_stream");
    for bad in ["", "[]", "{\"stream\":\"users\"}", "{\"streams\":\"users\"}", "{}{}"] {
        assert_eq!(code("/api/v1/pause", bad, 400), "bad_request", "{bad}");
    }
    assert_eq!(code("/api/v1/throttle", "{}", 400), "bad_request");
    assert_eq!(code("/api/v1/throttle", r#"{"rows_per_second":0}"#, 400), "bad_request");
    assert_eq!(code("/api/v1/decide", r#"{"stream":"nobody","subject":"x","accept":true}"#, 404), "unknown_stream");
    assert_eq!(history(&site, "paused"), Vec::<String>::new());
    ready(&http);
    end(service);
}
