//! Callers are bounded: a thousand of them that dawdle slow no commit, and each is dropped.

use super::{SOON, TOKEN, config, end, prepared, ready, start};
use landfall_tests::http::{Answer, Http};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Lines that are carried over in one measurement.
const LINES: u64 = 40_000;
/// Callers that send half a head.
const CALLERS: usize = 1_000;

/// Appends lines and waits until their rows are there.
fn carry(site: &Site, from: u64) -> Duration {
    let mut lines = String::new();
    for number in from..from + LINES {
        let _ = writeln!(lines, "{{\"id\":{number},\"text\":\"some words of a line that is not very short\"}}");
    }
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(site.path("log.ndjson")).unwrap();
    let began = Instant::now();
    log.write_all(lines.as_bytes()).unwrap();
    let mut database = site.database();
    wait_until(Duration::from_secs(120), "the lines are rows", || {
        database.count("select count(*) from events") == (from + LINES) as i64
    });
    began.elapsed()
}

/// A caller that sends half a head and waits.
fn dawdler(http: &Http) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&http.address(), Duration::from_secs(1)).ok()?;
    (&stream).write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: ").ok()?;
    Some(stream)
}

#[test]
fn a_thousand_callers_that_dawdle_slow_no_commit_and_are_dropped() {
    let landing = json!({ "key": "id" });
    let site = Site::new(config("http_dawdlers").lines("log", "log.ndjson").stream("events", "log", landing));
    let _document = prepared(&site);
    std::fs::write(site.path("log.ndjson"), "").unwrap();
    let (service, http) = start(&site);
    ready(&http);
    let _ = carry(&site, 0);
    let alone = carry(&site, LINES);
    let callers: Vec<TcpStream> = (0..CALLERS).filter_map(|_| dawdler(&http)).collect();
    assert!(callers.len() > 500, "{} callers", callers.len());
    let among = carry(&site, LINES * 2);
    // They give way to whoever really asks.
    let more: Vec<TcpStream> = (0..300).filter_map(|_| dawdler(&http)).collect();
    let asked = Instant::now();
    assert_eq!(http.get("/healthz").status, 200);
    assert!(asked.elapsed() < Duration::from_secs(25), "answered after {:?}", asked.elapsed());
    assert!(among < alone * 3 + Duration::from_secs(2), "{alone:?} alone, {among:?} among {} callers", callers.len());
    // The first ones were taken in and are dropped within the time they have for a head.
    let mut first = &callers[0];
    first.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let answer = Answer::read(&mut first);
    assert!([0, 408].contains(&answer.status), "{answer:?}");
    drop((callers, more));
    wait_until(SOON, "a caller is answered again", || http.get("/healthz").status == 200);
    end(service);
}

#[test]
fn a_head_that_does_not_come_ends_the_connection_though_nobody_else_asks() {
    let site = Site::new(config("http_slow_head"));
    let _document = prepared(&site);
    let (service, http) = start(&site);
    let mut dawdler = dawdler(&http).unwrap();
    dawdler.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    let ended = dawdler.read_to_end(&mut answer);
    assert!(ended.is_ok(), "still connected after {:?}: {ended:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_secs(3), "dropped after {:?}", began.elapsed());
    end(service);
}

#[test]
fn a_body_that_does_not_come_and_an_answer_that_is_not_taken_end_the_connection() {
    let site = Site::new(config("http_slow_body"));
    let _document = prepared(&site);
    let (service, http) = start(&site);
    ready(&http);
    let mut stream = http.connect().unwrap();
    let head = format!(
        "POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nConnection: close\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let began = Instant::now();
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.json()["code"], "too_slow");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    // Asks on and on, and takes nothing: the answers fill what the kernel holds.
    let mut greedy = http.connect().unwrap();
    greedy.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let began = Instant::now();
    let mut ended = false;
    while began.elapsed() < Duration::from_secs(60) && !ended {
        ended = match greedy.write(&ask) {
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        };
    }
    assert!(ended, "still connected after {:?}", began.elapsed());
    let mut rest = Vec::new();
    let _ = greedy.read_to_end(&mut rest);
    end(service);
}
