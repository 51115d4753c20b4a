//! Metrics are well formed, tell what `status` tells and what stands in PostgreSQL, and their number does not depend on what stores hold.

use super::{ROWS, end, found, prepared, ready, scrape, site, start, wait_series};
use landfall_tests::config::Config;
use landfall_tests::http::Exposition;
use landfall_tests::manner::Manner;
use landfall_tests::metric_book::{self, Family};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Every number of a stream that a report and the metrics both have.
fn agree(metrics: &Exposition, status: &Value, stream: &str) {
    let report = status["streams"].as_array().unwrap().iter().find(|one| one["name"] == stream).unwrap();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("a number: {value}"));
    let of = |family: &str| metrics.value(&format!("landfall_{family}{{stream=\"{stream}\"}}"));
    assert_eq!(of("stream_captured_events_total"), number(&report["captured"]));
    assert_eq!(of("stream_queued_events"), number(&report["queued"]));
    assert_eq!(of("accounting_difference_events"), 0.0);
    assert_eq!(of("stream_ready") == 1.0, report["ready"] == true);
    let mut settled = 0.0;
    for outcome in ["applied", "superseded", "filtered", "dead_lettered", "discarded"] {
        let series = format!("landfall_stream_settled_events{{stream=\"{stream}\",outcome=\"{outcome}\"}}");
        assert_eq!(metrics.value(&series), number(&report[outcome]), "{outcome}");
        settled += metrics.value(&series);
    }
    assert_eq!(of("stream_captured_events_total"), settled + of("stream_queued_events"));
    for source in status["sources"].as_array().unwrap() {
        let of = |family: &str| metrics.value(&format!("landfall_{family}{{source={}}}", source["name"]));
        assert_eq!(of("queue_bytes"), number(&source["queue"]["bytes"]));
        assert_eq!(of("queue_events"), number(&source["queue"]["events"]));
        assert_eq!(of("queue_segments"), number(&source["queue"]["segments"]));
    }
}

#[test]
fn metrics_tell_what_status_tells_and_what_stands_in_the_table() {
    let (site, mut document) = site("http_metrics");
    let (service, http) = start(&site);
    ready(&http);
    let written =
        |operation: &str| format!("landfall_rows_written_total{{stream=\"users\",operation=\"{operation}\"}}");
    let _ = wait_series(&http, &written("upsert"), |rows| rows == ROWS as f64);
    let metrics = wait_series(&http, "landfall_stream_queued_events{stream=\"users\"}", |events| events == 0.0);
    assert_eq!(site.database().count("select count(*) from users"), ROWS);
    agree(&metrics, site.status().unwrap().json(), "users");
    let listed = metric_book::families();
    let missing: Vec<&Family> =
        listed.iter().filter(|one| one.always && !metrics.families.contains_key(&one.name)).collect();
    assert!(missing.is_empty(), "the book says that these are always there: {missing:?}");
    let unlisted: Vec<_> =
        metrics.families.keys().filter(|name| !listed.iter().any(|one| one.name == **name)).collect();
    assert!(unlisted.is_empty(), "not in the book: {unlisted:?}");
    assert_eq!(metrics.value("landfall_ready"), 1.0);
    let _ = wait_series(&http, "landfall_queue_lag_seconds{stream=\"users\"}", |seconds| seconds == 0.0);
    let batches = metrics.value("landfall_batch_events_count");
    assert!(batches >= 1.0 && batches == metrics.value("landfall_commit_duration_seconds_count"));
    assert!(metrics.value("landfall_event_latency_seconds_count{stream=\"users\"}") >= ROWS as f64);
    assert!(metrics.value("landfall_queue_sync_duration_seconds_count{source=\"store\"}") >= 1.0);
    assert!(metrics.value("process_resident_memory_bytes") > 1e6);

    let gone = document.keys("users");
    gone.iter().take(3).for_each(|key| document.remove("users", *key));
    let _ = document.insert("users");
    document.write(Manner::Atomic);
    let metrics = wait_series(&http, &written("delete"), |rows| rows == 3.0);
    assert_eq!(metrics.value(&written("upsert")), ROWS as f64 + 1.0);
    let metrics = wait_series(&http, "landfall_stream_queued_events{stream=\"users\"}", |events| events == 0.0);
    agree(&metrics, site.status().unwrap().json(), "users");
    end(service);
}

#[test]
fn a_service_that_is_asked_and_looks_at_its_target_opens_no_connection_for_it() {
    let (site, _document) = site("http_sessions");
    let (service, http) = start(&site);
    ready(&http);
    let mut database = site.database();
    let mut sessions = || -> i64 {
        let asked = "select sessions from pg_stat_database where datname = current_database()";
        database.value(asked).and_then(|text| text.parse().ok()).expect("the server counts sessions")
    };
    // What began with the service has begun.
    std::thread::sleep(Duration::from_secs(6));
    let before = sessions();
    for _ in 0..12 {
        let _ = scrape(&http);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(sessions() - before <= 1, "{} new in twelve seconds", sessions() - before);
    end(service);
}

#[test]
fn both_texts_say_the_same() {
    let (site, _document) = site("http_openmetrics");
    let (service, http) = start(&site);
    ready(&http);
    let _ = wait_series(&http, "landfall_stream_queued_events{stream=\"users\"}", |events| events == 0.0);
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = http.ask("GET", "/metrics", &[("Accept", accept)], "").expect(200);
    assert!(open.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.body.ends_with("\n# EOF\n") && open.body.matches("# EOF").count() == 1);
    let captured = "landfall_stream_captured_events_total{stream=\"users\"} ";
    let value = open.body.lines().find_map(|line| line.strip_prefix(captured)).unwrap();
    assert!(open.body.contains("# TYPE landfall_stream_captured_events counter\n"));
    let old = scrape(&http);
    assert_eq!(old.value(captured.trim()), value.parse::<f64>().unwrap());
    end(service);
}

#[test]
fn no_key_and_no_document_makes_a_series() {
    let config = super::config("http_series").lines("log", "log.ndjson").stream(
        "events",
        "log",
        json!({ "key": "id", "columns": { "n": { "type": "integer" } }, "rest": "extra" }),
    );
    let site = Site::new(config);
    let _document = prepared(&site);
    std::fs::write(site.path("log.ndjson"), "{\"id\":\"a\",\"n\":1}\n{\"id\":\"b\",\"n\":\"x\"}\n").unwrap();
    let (service, http) = start(&site);
    let letters = "landfall_parked_events{stream=\"events\",reason=\"column_type\"}";
    let _ =
        wait_series(&http, "landfall_stream_settled_events{stream=\"events\",outcome=\"applied\"}", |rows| rows == 1.0);
    let parked = |metrics: &Exposition| -> f64 {
        let ours = |(series, value): (&String, &f64)| series.starts_with("landfall_parked_events{").then_some(*value);
        metrics.samples.iter().filter_map(ours).sum()
    };
    wait_until(super::SOON, "the first letter is seen", || parked(&scrape(&http)) == 1.0);
    let series = |metrics: &Exposition| -> BTreeSet<String> { metrics.samples.keys().cloned().collect() };
    let before = series(&scrape(&http));
    let hostile = [r#"\"} evil{x=\"1"#, r"\\", r"\n# TYPE evil gauge\nevil 1", "{}", "landfall_ready", "<script>"];
    let mut lines = String::new();
    for (round, key) in hostile.iter().cycle().take(3_000).enumerate() {
        let value = if round % 5 == 0 { json!({ "x": key }) } else { json!(round) };
        lines += &format!("{{\"id\":\"{key} {round}\",\"n\":{value}}}\n");
    }
    let mut log = std::fs::OpenOptions::new().append(true).open(site.path("log.ndjson")).unwrap();
    std::io::Write::write_all(&mut log, lines.as_bytes()).unwrap();
    wait_until(super::SOON, "the hostile lines are parked", || parked(&scrape(&http)) == 601.0);
    let metrics = scrape(&http);
    let new: Vec<_> = series(&metrics).difference(&before).cloned().collect();
    assert_eq!(new, Vec::<String>::new(), "{letters}");
    agree(&metrics, site.status().unwrap().json(), "events");
    end(service);
}

#[test]
fn a_queue_lag_is_the_age_of_what_waits_and_outlives_a_restart() {
    let (site, mut document) = site("http_lag");
    let (service, http) = start(&site);
    ready(&http);
    let lag = "landfall_queue_lag_seconds{stream=\"users\"}";
    let _ = site.finish(&["pause"]).expect(0);
    let _ = document.insert("users");
    document.write(Manner::Atomic);
    let _ = wait_series(&http, lag, |seconds| seconds >= 3.0);
    end(service);
    let (service, http) = start(&site);
    let _ = wait_series(&http, lag, |seconds| seconds >= 4.0);
    let _ = site.finish(&["resume"]).expect(0);
    let _ = wait_series(&http, lag, |seconds| seconds == 0.0);
    end(service);
}

/// The first look of a start may come before the stream is admitted, and takes whatever is retained for waiting. It must not stand until the next one, a
/// second later: with events older than a minute the service would not be ready for as long. The quickest of some starts, since a busy machine is slow.
#[test]
fn what_is_retained_is_no_lag_once_a_stream_is_admitted() {
    let (site, _document) = site("http_lag_start");
    let (service, http) = start(&site);
    ready(&http);
    end(service);
    let after_ready = (0..4).map(|_| {
        let (service, http) = start(&site);
        ready(&http);
        let since = Instant::now();
        let _ = wait_series(&http, "landfall_queue_lag_seconds{stream=\"users\"}", |seconds| seconds == 0.0);
        let took = since.elapsed();
        end(service);
        took
    });
    let quickest = after_ready.min().expect("some starts");
    assert!(quickest < Duration::from_millis(250), "what is applied counted as waiting for {quickest:?}");
}

#[test]
fn a_comparison_is_told_by_the_service_that_runs() {
    let (site, _document) = site("http_verified");
    let (service, http) = start(&site);
    ready(&http);
    site.database().run("update users set doc = '{}' where key = (select min(key) from users)");
    let _ = site.finish(&["verify"]).expect(3);
    let metrics = wait_series(&http, "landfall_verify_differences{stream=\"users\"}", |differences| differences == 1.0);
    let through = metrics.value("landfall_verified_timestamp_seconds{stream=\"users\"}");
    let lag = metrics.value("landfall_verify_lag_seconds{stream=\"users\"}");
    assert!(through > 1.7e9 && (0.0..600.0).contains(&lag), "{through} {lag}");
    end(service);
}

#[test]
fn an_address_that_is_taken_holds_up_no_row_and_is_opened_when_it_is_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config: Config = super::config("http_taken").section("http", json!({ "listen": address }));
    let site = Site::new(config);
    let _document = prepared(&site);
    let service = site.run();
    site.expect_soon_equal("with a door that stays shut");
    let status = site.status().unwrap();
    assert_eq!(status.json()["http"]["trouble"]["code"], "http_address_taken", "{}", status.json()["http"]);
    assert_eq!(service.stderr().matches("http is not answered").count(), 1, "{}", service.stderr());
    let told = site.finish(&["status"]).stdout;
    assert!(told.contains("http_address_taken"), "{told}");
    drop(taken);
    let http = found(&site, &service);
    assert_eq!(http.address().to_string(), address);
    ready(&http);
    end(service);
}
