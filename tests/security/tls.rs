//! TLS against a real server: what is checked, what is refused, and that no refusal says a secret.

use landfall_tests::certificates::Certificates;
use landfall_tests::config::Config;
use landfall_tests::landfall::Finished;
use landfall_tests::postgres_server::{PASSWORD, PostgresServer};
use landfall_tests::site::Site;
use serde_json::json;
use std::path::Path;

const AUTHORITY: &str = "test-authority";

fn server(name: &str, certificates: &Certificates, names: &str) -> PostgresServer {
    let (certificate, key) = certificates.server(&format!("{name}-server"), AUTHORITY, names);
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    PostgresServer::start_with(name, &settings.each_ref().map(String::as_str))
}

fn site(name: &str, server: &PostgresServer) -> Site {
    let config = Config::new(name).source("store", json!({ "kind": "json_document", "path": "store.json" })).stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    );
    let site = Site::on(config, server.database(name));
    std::fs::write(site.path("store.json"), r#"{"users":[{"id":1},{"id":2}]}"#).unwrap();
    site
}

/// `schema plan` over a connection with these parameters.
fn plan(site: &Site, parameters: &str) -> Finished {
    let url = format!("{}?{parameters}", site.login().url());
    let finished =
        site.command(&["schema", "plan"]).env("DATABASE_URL", &url).finish(std::time::Duration::from_secs(60));
    assert!(!finished.output().contains(PASSWORD), "a password in the output");
    finished
}

/// Refused before anything was said to the server, in words that name the reason.
fn refused(site: &Site, parameters: &str, reason: &str) {
    let finished = plan(site, parameters);
    assert_ne!(finished.code, Some(0), "{parameters}: {}", finished.output());
    assert!(finished.stderr.contains(reason), "{parameters}: {reason} is not said in: {}", finished.output());
}

fn trusting(mode: &str, root: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", root.display())
}

#[test]
fn a_server_with_the_right_certificate_is_spoken_to_in_every_mode_and_carries_rows() {
    let certificates = Certificates::new("tls-good-certificates");
    let authority = certificates.authority(AUTHORITY);
    let server = server("tls-good", &certificates, "IP:127.0.0.1,DNS:localhost");
    let site = site("tls_good", &server);
    for parameters in
        ["sslmode=require".to_owned(), trusting("verify-ca", &authority), trusting("verify-full", &authority)]
    {
        let _ = plan(&site, &parameters).expect(0);
    }
    let url = format!("{}?{}", site.login().url(), trusting("verify-full", &authority));
    for words in [&["schema", "apply"][..], &["run", "--until-caught-up"][..]] {
        let _ = site.command(words).env("DATABASE_URL", &url).finish(std::time::Duration::from_secs(90)).expect(0);
    }
    assert_eq!(site.database().count("select count(*) from users"), 2);
}

#[test]
fn what_goes_over_the_wire_is_encrypted() {
    let certificates = Certificates::new("tls-only-certificates");
    let authority = certificates.authority(AUTHORITY);
    let server = server("tls-only", &certificates, "IP:127.0.0.1");
    let site = site("tls_only", &server);
    // The server itself refuses clear text from now on, so what is answered came encrypted.
    let rules = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    site.database().run("select pg_reload_conf()");
    landfall_tests::wait::wait_until(std::time::Duration::from_secs(20), "clear text to be refused", || {
        plan(&site, "sslmode=disable").code != Some(0)
    });
    let _ = plan(&site, "sslmode=require").expect(0);
    let _ = plan(&site, &trusting("verify-full", &authority)).expect(0);
}

#[test]
fn a_certificate_of_another_authority_is_refused_where_it_is_checked() {
    let certificates = Certificates::new("tls-authority-certificates");
    let _ = certificates.authority(AUTHORITY);
    let other = certificates.authority("another-authority");
    let server = server("tls-authority", &certificates, "IP:127.0.0.1");
    let site = site("tls_authority", &server);
    refused(&site, &trusting("verify-ca", &other), "tls_refused");
    refused(&site, &trusting("verify-full", &other), "tls_refused");
    // Mozilla's authorities do not know it either.
    refused(&site, "sslmode=verify-full", "tls_refused");
    let _ = plan(&site, "sslmode=require").expect(0);
}

#[test]
fn a_certificate_for_another_host_is_refused_by_verify_full_alone() {
    let certificates = Certificates::new("tls-host-certificates");
    let authority = certificates.authority(AUTHORITY);
    let server = server("tls-host", &certificates, "DNS:db.example.org");
    let site = site("tls_host", &server);
    refused(&site, &trusting("verify-full", &authority), "tls_refused");
    let _ = plan(&site, &trusting("verify-ca", &authority)).expect(0);
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    let certificates = Certificates::new("tls-none-certificates");
    let authority = certificates.authority(AUTHORITY);
    let site = site("tls_none", PostgresServer::shared());
    for parameters in
        ["sslmode=require".to_owned(), trusting("verify-ca", &authority), trusting("verify-full", &authority)]
    {
        refused(&site, &parameters, "the server offers no TLS");
    }
    for fallback in ["prefer", "allow"] {
        refused(&site, &format!("sslmode={fallback}"), "verify-full");
    }
}
