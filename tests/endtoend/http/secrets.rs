//! No page, metric, event or error shows a password, the token, or a row.

use super::{TOKEN, end, ready, start};
use landfall_tests::http::Http;
use landfall_tests::postgres_server::PASSWORD;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;

/// Stands in rows, keys and dead letters.
const VALUE: &str = "canary-row-value-91ce";

fn silent(http: &Http, moment: &str) {
    for path in
        ["/", "/app.js", "/app.css", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/events", "/nothing"]
    {
        let answer = http.get(path);
        for canary in [PASSWORD, TOKEN, VALUE] {
            assert!(!format!("{answer:?}").contains(canary), "{moment}: {canary} in {path}: {answer:?}");
        }
    }
}

#[test]
fn what_is_secret_is_in_no_answer_and_in_no_log() {
    let config = super::config("http_secrets").lines("log", "log.ndjson").stream(
        "events",
        "log",
        json!({ "key": "id", "columns": { "n": { "type": "integer" } }, "rest": "extra" }),
    );
    let mut site = Site::new(config);
    let _document = super::prepared(&site);
    let lines = format!("{{\"id\":\"{VALUE}\",\"n\":\"{VALUE}\"}}\n{{\"id\":\"{VALUE} 2\",\"n\":1}}\n");
    std::fs::write(site.path("log.ndjson"), lines).unwrap();
    let (service, http) = start(&site);
    wait_until(super::SOON, "a letter waits", || http.get("/metrics").body.contains("landfall_parked_events{"));
    silent(&http, "running");
    let wrong = format!("{TOKEN}x");
    let refusals = [
        http.order("/api/v1/pause", &wrong, "{}"),
        http.order("/api/v1/pause", TOKEN, &format!("{{\"{VALUE}\":1}}")),
        http.order("/api/v1/decide", TOKEN, &format!(r#"{{"stream":"{VALUE}","subject":"x","accept":true}}"#)),
        http.ask("GET", &format!("/{VALUE}"), &[("Host", VALUE)], ""),
    ];
    for refusal in refusals {
        let text = format!("{refusal:?}");
        assert!(refusal.status >= 400 && !text.contains(TOKEN) && !text.contains(VALUE), "{text}");
    }
    let log = service.stderr();
    end(service);
    // A target that refuses the password is told of without it.
    let login = site.login().as_role("postgres", &format!("{PASSWORD}-wrong"));
    site.reach(login);
    let (mut service, http) = start(&site);
    wait_until(super::SOON, "the refusal is told", || {
        http.get("/readyz").body.contains("target_unreachable") || !service.is_running()
    });
    if service.is_running() {
        silent(&http, "refused by the target");
    }
    for canary in [PASSWORD, TOKEN, VALUE] {
        assert!(!log.contains(canary) && !service.stderr().contains(canary), "{canary} in the log");
    }
    service.kill();
}

#[test]
fn a_ready_service_shows_nothing_either() {
    let (site, _document) = super::site("http_secrets_ready");
    let (service, http) = start(&site);
    ready(&http);
    silent(&http, "ready");
    end(service);
}
