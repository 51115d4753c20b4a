//! Hooks: what happens is told once, to programs and to addresses, and one that hangs or fails slows nothing.

use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::landfall::Landfall;
use landfall_tests::manner::Manner;
use landfall_tests::postgres_server::PASSWORD;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Beyond all tries of a post, on a busy machine too.
const SOON: Duration = Duration::from_secs(90);
/// Stands in rows, in an address and in a token.
const CANARY: &str = "canary-h00k-91ce";

/// Appends what it is told to a file, and the name of the event as its environment has it to another.
const TELLTALE: &str = "cat >> told.ndjson\necho \"$LANDFALL_EVENT\" >> told.names\necho heard >&2";

fn program(site: &Site, name: &str, text: &str) {
    let beside = site.path("hook.new");
    std::fs::write(&beside, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(beside, site.path(name)).unwrap();
}

/// Users of a document, and orders line by line.
fn config(name: &str, hooks: Value) -> Config {
    Config::new(name)
        .section("hooks", hooks)
        .source("store", json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" }))
        .source("log", json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "300ms" }))
        .stream("users", "store", json!({ "select": "/users", "key": "id" }))
        .stream("orders", "log", json!({ "key": "id", "columns": { "n": "integer", "t": "text" } }))
}

fn prepared(site: &Site) -> DocumentStore {
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 40, Seed::new(5));
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    write(site, 1);
    site.apply_schema();
    document
}

fn write(site: &Site, number: u32) {
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    writeln!(log, r#"{{"id":"{number}","n":{number},"t":"{CANARY}"}}"#).unwrap();
}

fn told(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("told.ndjson")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Waits until this was told of a stream; panics with what was told instead.
#[track_caller]
fn expect_told(site: &Site, event: &str, stream: Option<&str>, code: &str) -> Value {
    let is_it = |told: &Value| told["event"] == event && told["stream"] == json!(stream) && told["code"] == code;
    let found = wait_for(SOON, || told(site).into_iter().find(&is_it));
    found.unwrap_or_else(|| panic!("{event} {code} of {stream:?} was never told; told was {:#?}", told(site)))
}

fn hook(site: &Site, at: usize) -> Value {
    site.status().map(|status| status.json()["hooks"][at].clone()).unwrap_or_default()
}

fn end(service: Landfall) -> String {
    service.terminate();
    service.finish(Duration::from_secs(60)).expect(0).stderr
}

#[test]
fn what_happens_is_told_once_and_so_is_its_end() {
    let all = json!(["halted", "held", "parked", "headroom_low", "caught_up", "verified", "phase", "recovered"]);
    let hooks = json!([{ "on": all, "run": ["./telltale.sh"] }]);
    let site = Site::new(config("hooks_told", hooks).section("http", json!({ "listen": "127.0.0.1:0" })));
    program(&site, "telltale.sh", TELLTALE);
    let document = prepared(&site);
    let service = site.run_and_listen();
    let caught_up = expect_told(&site, "caught_up", None, "caught_up");
    assert_eq!(caught_up["pipeline"], "hooks_told");
    // Halted, and well again.
    site.database().run("alter table orders rename column t to u");
    write(&site, 2);
    let halted = expect_told(&site, "halted", Some("orders"), "schema_drift");
    assert!(halted["detail"].as_str().is_some_and(|detail| detail.contains("orders")), "{halted}");
    let url = halted["status_url"].as_str().unwrap();
    let at = std::fs::read_to_string(site.path("state/http.addr")).unwrap();
    assert_eq!(url, format!("http://{}/api/v1/status", at.trim()));
    site.database().run("alter table orders rename column u to t");
    expect_told(&site, "recovered", Some("orders"), "schema_drift");
    // Parked.
    std::fs::OpenOptions::new()
        .append(true)
        .open(site.path("log.ndjson"))
        .and_then(|mut log| writeln!(log, r#"{{"id":"{CANARY}","n":"{CANARY}"}}"#))
        .unwrap();
    expect_told(&site, "parked", Some("orders"), "parked");
    // Held, and accepted.
    std::fs::write(document.path(), r#"{"users":[]}"#).unwrap();
    expect_told(&site, "held", Some("users"), "held");
    let held = site.expect_stream("users", "held", |stream| stream.state().contains("held"));
    let _ = site.finish(&["accept", "users", held.subject()]).expect(0);
    expect_told(&site, "recovered", Some("users"), "held");
    // Compared.
    let _ = site.finish(&["verify", "--stream", "users"]).expect(0);
    expect_told(&site, "verified", Some("users"), "equal");
    for (event, stream) in [("halted", "orders"), ("parked", "orders"), ("held", "users"), ("verified", "users")] {
        let same = |told: &&Value| told["event"] == event && told["stream"] == stream;
        assert_eq!(told(&site).iter().filter(same).count(), 1, "{event}: {:#?}", told(&site));
    }
    let status = site.status().unwrap();
    assert_eq!(status.json()["hooks"][0]["failed"], 0, "{status:?}");
    let users = status.stream("users").unwrap().text();
    assert!(users.contains(r#""verdict":"equal""#), "{users}");
    let log = end(service);
    assert!(log.contains("hook 1 says: heard"), "{log}");
    let names = std::fs::read_to_string(site.path("told.names")).unwrap();
    assert!(names.lines().eq(told(&site).iter().map(|told| told["event"].as_str().unwrap())), "{names}");
    let text = std::fs::read_to_string(site.path("told.ndjson")).unwrap();
    for canary in [CANARY, PASSWORD] {
        assert!(!text.contains(canary) && !log.contains(canary), "{canary}: {text}\n{log}");
    }
}

#[test]
fn what_was_waited_for_is_told_before_the_service_ends() {
    let hooks = json!([{ "on": ["caught_up"], "run": ["telltale/../telltale.sh"] }]);
    let site = Site::new(config("hooks_until", hooks));
    std::fs::create_dir(site.path("telltale")).unwrap();
    program(&site, "telltale.sh", TELLTALE);
    let _document = prepared(&site);
    let _ = site.catch_up();
    let told = told(&site);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0]["event"], &told[0]["status_url"]), (&json!("caught_up"), &Value::Null));
}

#[test]
fn a_program_that_sleeps_for_ever_is_killed_and_slows_nothing() {
    let hooks = json!([{ "on": ["caught_up"], "run": ["./sleeper.sh"], "timeout": "20s" }]);
    let site = Site::new(config("hooks_sleeper", hooks));
    program(&site, "sleeper.sh", "echo $$ > sleeper.pid\nsleep 100000");
    let mut document = prepared(&site);
    let service = site.run_and_listen();
    let pid = wait_for(SOON, || std::fs::read_to_string(site.path("sleeper.pid")).ok().filter(|pid| !pid.is_empty()));
    let pid = pid.unwrap_or_else(|| panic!("it was never started: {:#?}\n{}", site.status(), service.stderr()));
    let process = format!("/proc/{}/cmdline", pid.trim());
    let sleeps = || std::fs::read_to_string(&process).is_ok_and(|line| line.contains("sleeper"));
    for _ in 0..5 {
        let _ = document.insert("users");
        document.write(Manner::Atomic);
        wait_until(SOON, "changes are applied", || {
            site.database().count("select count(*) from users") == document.keys("users").len() as i64
        });
    }
    wait_until(SOON, "it is killed", || !sleeps());
    wait_until(SOON, "it is said", || hook(&site, 0)["trouble"]["code"] == "hook_timed_out");
    let shown = site.finish(&["status"]);
    assert!(shown.stdout.contains("hook 1 (run): hook_timed_out"), "{}", shown.stdout);
    let log = end(service);
    assert!(log.contains("hook_timed_out"), "{log}");
}

/// Answers every POST with a status, for as long as the test lasts.
fn receiver(status: u16) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let (mut text, mut piece) = (String::new(), [0; 1_024]);
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                text.push_str(&String::from_utf8_lossy(&piece[..read]));
                if text.ends_with("}\n") {
                    break;
                }
            }
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, asked)
}

#[test]
fn a_receiver_that_answers_500_is_asked_again_and_then_given_up() {
    let (broken, asked) = receiver(500);
    let (good, heard) = receiver(204);
    let hooks = json!([
        { "on": ["caught_up"], "post": format!("http://{broken}/{CANARY}"), "token": "file:token" },
        { "on": ["caught_up"], "post": format!("http://{good}/{CANARY}"), "token": "file:token" },
    ]);
    let site = Site::new(config("hooks_post", hooks));
    std::fs::write(site.path("token"), format!("{CANARY}-token\n")).unwrap();
    let _document = prepared(&site);
    let service = site.run_and_listen();
    let is_told = wait_for(SOON, || (hook(&site, 1)["told"] == 1).then_some(()));
    assert!(is_told.is_some(), "the good one is never told: {:#?}\n{}", site.status(), service.stderr());
    wait_until(SOON, "the broken one is given up", || hook(&site, 0)["failed"] == 1);
    let status = site.status().unwrap().json().to_string();
    let log = end(service);
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(asked.len(), 5, "{asked:#?}");
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("authorization: Bearer {CANARY}-token")), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["event"], "caught_up");
    assert!(log.contains("answered 500; given up, tried 5 times"), "{log}");
    assert!(!log.contains(CANARY) && !status.contains(CANARY), "{log}\n{status}");
}
