//! A canary in every secret of the configuration, a whole life at the loudest log, and no canary anywhere but where its owner put it.
//!
//! The log is at `trace` for every crate: what libraries say of connections counts as well.

use crate::mongo::{Guarded, READER};
use bson::doc;
use landfall_tests::certificates::Certificates;
use landfall_tests::collector::Collector;
use landfall_tests::config::Config;
use landfall_tests::database::Database;
use landfall_tests::http::Http;
use landfall_tests::landfall::{Finished, Landfall, Launch};
use landfall_tests::mongo_server::MongoSettings;
use landfall_tests::postgres_server::PASSWORD;
use landfall_tests::site::Site;
use landfall_tests::tls_http;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);
/// In a variable.
const TOKEN: &str = "canary-http-t0ken-41d7";
/// In a file.
const HOOK_ADDRESS: &str = "canary-hook-addre55-5e02";
/// Written into the configuration itself.
const HOOK_TOKEN: &str = "canary-hook-t0ken-c3b8";
/// In a file, and in the address that is posted to while the service runs.
const TRACES_ADDRESS: &str = "canary-traces-addre55-90aa";
/// Written into the configuration itself, and shown to the collector.
const TRACES_TOKEN: &str = "canary-traces-t0ken-6f13";
/// Says all that a program that is told can see.
const SPY: &str =
    "{ cat; tr '\\0' '\\n' < /proc/$$/cmdline; tr '\\0' '\\n' < /proc/$$/environ; } >> spied.txt\necho heard >&2";

struct Stage {
    site: Site,
    collector: Collector,
    authority: PathBuf,
    secrets: Vec<String>,
}

fn secret_file(site: &Site, name: &str, text: &str) {
    let folder = site.path("secrets");
    std::fs::create_dir_all(&folder).unwrap();
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(folder.join(name))
        .unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// A line of a private key that stands in no other PEM file.
fn line_of(key: &Path) -> String {
    let text = std::fs::read_to_string(key).unwrap();
    text.lines().nth(1).unwrap().to_owned()
}

fn stage(name: &str, mongo: Option<&Guarded>) -> Stage {
    let certificates = Certificates::new(&format!("{name}-certificates"));
    let authority = certificates.authority("canary-authority");
    let (cert, key) = certificates.server("canary-server", "canary-authority", "DNS:landfall.internal,IP:127.0.0.1");
    let hooks = json!([
        { "on": ["caught_up", "parked", "verified", "phase"], "run": ["./spy.sh", "an argument"] },
        { "on": ["caught_up"], "post": "file:secrets/hook", "token": HOOK_TOKEN, "timeout": "2s" },
    ]);
    let lines = json!({ "key": "id", "columns": { "n": { "type": "integer" } }, "rest": "extra" });
    let mut config = Config::new(name)
        .section("target", json!({ "url": "file:secrets/target", "max_connections": 2 }))
        .section(
            "http",
            json!({ "listen": "127.0.0.1:0", "token": "${CANARY_TOKEN}", "tls": { "cert": cert, "key": key } }),
        )
        .section("hooks", hooks)
        .section("traces", json!({ "endpoint": "file:secrets/traces", "token": TRACES_TOKEN }))
        .lines("log", "log.ndjson")
        .document("store", "store.json")
        .stream("events", "log", lines)
        .stream("users", "store", json!({ "select": "/users", "key": "id" }));
    if mongo.is_some() {
        let source = json!({ "kind": "mongodb", "uri": "file:secrets/mongo", "database": "app" });
        config = config.source("app", source).collection("people", "app", "users");
    }
    let site = Site::new(config);
    std::fs::set_permissions(site.config_file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    secret_file(&site, "target", &site.login().url());
    // Nobody listens there: what cannot be told is said in the log.
    secret_file(&site, "hook", &format!("http://127.0.0.1:1/{HOOK_ADDRESS}"));
    let collector = Collector::start(200);
    secret_file(&site, "traces", &format!("{}/{TRACES_ADDRESS}", collector.endpoint()));
    if let Some(guarded) = mongo {
        secret_file(&site, "mongo", &guarded.uri(Some(("reader", READER))));
    }
    std::fs::write(site.path("spy.new"), format!("#!/bin/sh\n{SPY}\n")).unwrap();
    std::fs::set_permissions(site.path("spy.new"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(site.path("spy.new"), site.path("spy.sh")).unwrap();
    std::fs::write(site.path("log.ndjson"), "{\"id\":1,\"n\":1}\n{\"id\":2,\"n\":\"odd\"}\n").unwrap();
    std::fs::write(site.path("store.json"), r#"{"users":[{"id":1},{"id":2},{"id":3}]}"#).unwrap();
    let secrets = [PASSWORD, TOKEN, HOOK_ADDRESS, HOOK_TOKEN, TRACES_ADDRESS, TRACES_TOKEN, READER].map(str::to_owned);
    let secrets = secrets.into_iter().chain([line_of(&key)]).collect();
    Stage { site, collector, authority, secrets }
}

impl Stage {
    /// A command, at the loudest. The target is known by a file alone.
    fn command(&self, words: &[&str]) -> Launch {
        Launch::new(self.site.directory(), words)
            .env("LANDFALL_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .env("CANARY_TOKEN", TOKEN)
    }

    fn finish(&self, words: &[&str]) -> Finished {
        self.command(words).finish(SOON)
    }

    fn get(&self, http: &Http, path: &str, token: &str) -> String {
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let head = format!("GET {path} HTTP/1.1\r\nHost: landfall.internal\r\n{authorization}");
        format!("{:?}", tls_http::ask(http, &self.authority, "landfall.internal", &head))
    }

    /// Panics when a secret stands in a text.
    #[track_caller]
    fn expect_silent(&self, what: &str, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {what}: {text}");
        }
    }

    /// Everything that is answered over HTTP, to whoever knows the token, does not, or is wrong.
    fn silent_over_http(&self, http: &Http, moment: &str) {
        let paths = ["/", "/app.js", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/events", "/nothing"];
        for path in paths {
            for token in [TOKEN, "", "canary-http-t0ken-41dX"] {
                self.expect_silent(&format!("{path}, {moment}"), &self.get(http, path, token));
            }
        }
    }

    /// What the kernel tells everybody of this user about a process.
    fn silent_process(&self, service: &Landfall) {
        let of = |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", service.id())).unwrap();
        self.expect_silent("its arguments", &of("cmdline"));
        let environ = of("environ");
        let names: BTreeSet<&str> = environ.split('\0').filter_map(|one| Some(one.split_once('=')?.0)).collect();
        let given = BTreeSet::from(["PATH", "LANDFALL_LOG", "RUST_BACKTRACE", "CANARY_TOKEN"]);
        assert_eq!(names, given, "its environment is what it was given");
        let others: String = environ.split('\0').filter(|one| !one.starts_with("CANARY_TOKEN=")).collect();
        self.expect_silent("its environment", &others);
    }
}

/// Files below `folder` that hold one of these words, but for the owner's own.
fn holding(folder: &Path, words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let own = path.ends_with("secrets") || path.ends_with("landfall.yaml");
        if path.is_dir() && !own {
            found.extend(holding(&path, words));
        } else if path.is_file() && !own {
            let bytes = std::fs::read(&path).unwrap();
            let held = |word: &&String| bytes.windows(word.len()).any(|window| window == word.as_bytes());
            found.extend(words.iter().filter(held).map(|word| format!("{word} in {}", path.display())));
        }
    }
    found
}

/// Everything that can be asked while the service runs.
fn live(stage: &Stage, database: &mut Database, service: &Landfall) {
    let address = stage.site.path("state/http.addr");
    let found = wait_for(SOON, || std::fs::read_to_string(&address).ok().filter(|text| text.ends_with('\n')));
    let http = Http::at(&found.unwrap_or_else(|| panic!("no address: {}", service.stderr())));
    wait_until(SOON, "a letter waits", || stage.get(&http, "/metrics", TOKEN).contains("landfall_parked_events{"));
    wait_until(SOON, "the address is given up", || {
        stage.get(&http, "/metrics", TOKEN).contains(r#"landfall_hook_events_total{hook=\"2\",outcome=\"failed\"} 1"#)
    });
    stage.silent_over_http(&http, "running");
    stage.silent_process(service);
    for words in [
        &["status"][..],
        &["status", "-o", "json"],
        &["verify", "--html", "report.html", "-o", "json"],
        &["deadletter", "list"],
        &["deadletter", "list", "-o", "json"],
        &["checkpoint", "create", "cut", "--with-base"],
        &["replay", "--from", "cut"],
        &["pause"],
        &["resume"],
        &["log-level", "trace"],
    ] {
        let finished = stage.finish(words);
        assert!(!finished.stderr.contains("panicked"), "{words:?}: {}", finished.output());
    }
    // Ended connections make errors, and new connections, with all that is known of them.
    database.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()",
    );
    std::fs::write(stage.site.path("store.json"), r#"{"users":[{"id":1},{"id":9}]}"#).unwrap();
    wait_until(SOON, "it goes on", || {
        database.count("select count(*) from users where key = '9' or doc->>'id' = '9'") == 1
    });
    stage.silent_over_http(&http, "after its connections were ended");
}

#[test]
fn no_secret_of_the_configuration_is_anywhere_in_a_whole_life_at_trace() {
    let guarded = Guarded::start("canary", MongoSettings::default(), String::new());
    let stage = stage("canary", guarded.as_ref());
    for words in [&["check"][..], &["check", "-o", "json"], &["schema", "plan"], &["schema", "apply"]] {
        let _ = stage.finish(words);
    }
    let service = stage.command(&["run"]).start();
    let mut database = stage.site.database();
    live(&stage, &mut database, &service);
    if let Some(guarded) = &guarded {
        guarded.data().run(doc! { "insert": "users", "documents": [{ "_id": "live" }] });
        wait_until(SOON, "a live document", || database.count("select count(*) from people") == 21);
    }
    service.terminate();
    let finished = service.finish(SOON);
    for said in ["DEBUG", "hook 1 says: heard", "hook 2: the receiver", "log_level"] {
        assert!(
            finished.stderr.contains(said),
            "the log was loud enough to prove something, {said}: {}",
            finished.stderr
        );
    }
    let sent = stage.collector.sent();
    assert!(!sent.is_empty() && !stage.collector.spans().is_empty(), "spans were sent: {}", finished.stderr);
    for one in sent {
        assert!(one.head.contains(TRACES_ADDRESS) && one.head.contains(TRACES_TOKEN), "their owner was shown them");
        stage.expect_silent("a request to the collector", &one.body);
    }
    // A target that refuses the password, and a configuration that is refused, are told of without them.
    let wrong = format!("{PASSWORD}-wrong");
    secret_file(&stage.site, "target", &stage.site.login().as_role("postgres", &wrong).url());
    assert_ne!(stage.finish(&["check"]).code, Some(0));
    let broken = stage.site.config().text().replace("\"timeout\"", "\"timeoutt\"");
    std::fs::write(
        stage.site.path("broken.yaml"),
        broken.replace(HOOK_TOKEN, "file:secrets/nothing").replace(TRACES_TOKEN, "file:secrets/nothing"),
    )
    .unwrap();
    assert_eq!(stage.finish(&["-c", "broken.yaml", "check"]).code, Some(2));

    let spied = std::fs::read_to_string(stage.site.path("spied.txt")).unwrap();
    assert!(spied.contains("LANDFALL_EVENT=") && spied.contains("an argument"), "the spy saw: {spied}");
    assert!(stage.site.path("report.html").exists() && stage.site.path("state").is_dir());
    assert_eq!(holding(stage.site.directory(), &stage.secrets), Vec::<String>::new(), "files that hold a secret");
}
