//! TLS: what is shown, to whom, and what a caller from elsewhere must know.

use super::{TOKEN, config, end, found, prepared};
use landfall_tests::certificates::Certificates;
use landfall_tests::http::Http;
use landfall_tests::site::Site;
use landfall_tests::tls_http::ask;
use serde_json::json;

#[test]
fn beyond_this_machine_everything_but_a_sign_of_life_needs_tls_and_the_token() {
    let certificates = Certificates::new("http-tls");
    let authority = certificates.authority("http-authority");
    let (cert, key) = certificates.server("http-server", "http-authority", "DNS:landfall.internal,IP:127.0.0.1");
    let tls = json!({ "cert": cert, "key": key });
    let site = Site::new(
        config("http_tls").section("http", json!({ "listen": "0.0.0.0:0", "token": "file:token", "tls": tls })),
    );
    let _document = prepared(&site);
    let service = site.run();
    let anywhere = found(&site, &service);
    let http = Http::at(&format!("127.0.0.1:{}", anywhere.address().port()));
    let get = |path: &str, more: &str| {
        ask(
            &http,
            &authority,
            "landfall.internal",
            &format!("GET {path} HTTP/1.1\r\nHost: landfall.internal\r\n{more}"),
        )
    };
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(get("/healthz", "").expect(200).body, "ok");
    for path in ["/metrics", "/api/v1/status", "/api/v1/events"] {
        assert_eq!(get(path, "").expect(401).json()["code"], "token_missing");
    }
    // A probe has no token either, and hears no more than whether.
    assert_eq!(get("/readyz", "").json()["reasons"], serde_json::json!([]));
    // Its files hold no data, and a browser has no token for them.
    assert!(get("/", "").expect(200).body.contains("<title>"));
    assert!(get("/metrics", &token).expect(200).body.contains("landfall_build_info"));
    let foreign = format!("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n{token}");
    assert_eq!(ask(&http, &authority, "landfall.internal", &foreign).expect(403).json()["code"], "foreign_host");
    let clear = http.get("/healthz");
    assert_eq!(clear.status, 0, "nobody is answered in clear text: {clear:?}");
    end(service);
}

#[test]
fn a_certificate_that_cannot_be_read_is_told_and_holds_up_no_row() {
    let tls = json!({ "cert": "nowhere.pem", "key": "token" });
    let site = Site::new(config("http_bad_tls").section("http", json!({ "listen": "127.0.0.1:0", "tls": tls })));
    let _document = prepared(&site);
    let service = site.run();
    site.expect_soon_equal("without a certificate");
    let status = site.status().unwrap();
    assert_eq!(status.json()["http"]["trouble"]["code"], "http_tls_unusable", "{}", status.json()["http"]);
    end(service);
}
