//! Whom the service answers: strangers' pages, callers without the token, and what is no order are refused before anything is done.

use super::{TOKEN, config, end, prepared, ready, site, start};
use landfall_tests::http::Answer;
use landfall_tests::site::Site;
use serde_json::json;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// Every answer of ours carries these.
#[track_caller]
fn guarded(answer: &Answer) {
    assert_eq!(answer.headers["content-security-policy"], POLICY, "{answer:?}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) {
    let answer = answer.expect(status);
    guarded(&answer);
    assert_eq!(answer.json()["code"], code, "{answer:?}");
}

#[test]
fn what_is_not_for_us_or_not_allowed_is_refused() {
    let (site, _document) = site("http_guard");
    let (service, http) = start(&site);
    ready(&http);
    let bearer = format!("Bearer {TOKEN}");
    let json = ("Content-Type", "application/json");
    let token = ("Authorization", bearer.as_str());
    let pause = |headers: &[(&str, &str)], body: &str| http.ask("POST", "/api/v1/pause", headers, body);
    refused(pause(&[json], "{}"), 401, "token_missing");
    refused(pause(&[json, ("Authorization", "Bearer canary-t0ken-d0-n0t-loh")], "{}"), 401, "token_wrong");
    refused(pause(&[json, ("Authorization", "Bearer ")], "{}"), 401, "token_missing");
    refused(pause(&[json, token, ("Host", "evil.example")], "{}"), 403, "foreign_host");
    refused(pause(&[json, token, ("Origin", "http://evil.example")], "{}"), 403, "foreign_origin");
    refused(pause(&[json, token, ("Origin", "null")], "{}"), 403, "foreign_origin");
    refused(pause(&[token, ("Content-Type", "text/plain")], "{}"), 415, "not_json");
    refused(pause(&[token], "{}"), 415, "not_json");
    let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(20_000));
    refused(pause(&[json, token], &large), 413, "too_large");
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let head = format!(
        "POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\n{}: {}\r\nAuthorization: {bearer}\r\n",
        json.0, json.1
    );
    refused(
        http.send(&format!("{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        413,
        "too_large",
    );
    for path in ["/metrics", "/api/v1/status", "/healthz", "/", "/nothing"] {
        refused(http.ask("GET", path, &[("Host", "evil.example:8650")], ""), 403, "foreign_host");
        refused(http.ask("GET", path, &[("Origin", "https://evil.example")], ""), 403, "foreign_origin");
    }
    refused(http.ask("GET", "/nothing", &[], ""), 404, "unknown_path");
    refused(http.ask("GET", "/api/v1/pause", &[token], ""), 405, "wrong_method");
    refused(http.ask("POST", "/metrics", &[token, json], "{}"), 405, "wrong_method");
    assert_eq!(http.send("nonsense\r\n\r\n").status, 400);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert!([431, 0].contains(&http.send(&long).status));
    let own = format!("http://{}", http.address());
    let _ = pause(&[json, token, ("Origin", &own)], "{}").expect(200);
    assert_eq!(
        site.database().count("select count(*) from landfall.history where event = 'paused'"),
        1,
        "that one alone"
    );
    end(service);
}

#[test]
fn everything_that_is_shown_carries_the_headers_of_a_page_that_trusts_nobody() {
    let (site, _document) = site("http_headers");
    let (service, http) = start(&site);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/api/v1/status", "application/json"),
        ("/api/v1/events", "application/json"),
    ] {
        let answer = http.get(path).expect(200);
        guarded(&answer);
        assert_eq!(answer.headers["content-type"], kind);
    }
    // The one address in it is the name of a language.
    let page = http.get("/").body.replace("http://www.w3.org/2000/svg", "");
    assert!(!page.contains("http://") && !page.contains("https://"), "the page needs no other machine");
    end(service);
}

#[test]
fn without_a_token_in_the_configuration_nothing_is_changed() {
    let site = Site::new(config("http_no_token").section("http", json!({ "listen": "127.0.0.1:0" })));
    let _document = prepared(&site);
    let (service, http) = start(&site);
    ready(&http);
    for path in ["pause", "resume", "throttle", "decide", "log-level"] {
        refused(http.order(&format!("/api/v1/{path}"), TOKEN, "{}"), 403, "no_token_configured");
    }
    end(service);
}
