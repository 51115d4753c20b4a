//! A real Prometheus over a running service: it reads every metric, and alerts fire on their fault and are silent before it.
//!
//! The rules are those of deploy/prometheus, with `for:` and windows of a second or two: how long a fault must last is shown by promtool.

use crate::files::{folder, needed, none, text};
use crate::metrics::is_known;
use landfall_tests::config::Config;
use landfall_tests::http::Http;
use landfall_tests::postgres_server::free_port;
use landfall_tests::site::Site;
use landfall_tests::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A Prometheus of this test's own.
struct Prometheus {
    process: Child,
    http: Http,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Watches the service at this address under the rules of deploy/.
    fn start(at: &Path, service: &str) -> Self {
        for file in ["recording.yaml", "alerts.yaml"] {
            let rules = text(&format!("prometheus/{file}"));
            let quick: String = rules.lines().map(|line| format!("{}\n", quickened(line))).collect();
            std::fs::write(at.join(file), quick).expect("rules can be written");
        }
        let config = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "rule_files": ["recording.yaml", "alerts.yaml"],
            "scrape_configs": [{ "job_name": "landfall", "static_configs": [{ "targets": [service] }] }],
        });
        std::fs::write(at.join("prometheus.yml"), config.to_string()).expect("a configuration can be written");
        let port = free_port();
        let log = std::fs::File::create(at.join("log")).expect("a log can be written");
        let process = Command::new(needed("prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(at)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Prometheus can be started");
        let this = Self { process, http: Http::at(&format!("127.0.0.1:{port}")) };
        wait_until(SOON, "Prometheus is ready", || {
            this.http.connect().is_ok() && this.http.get("/-/ready").status == 200
        });
        this
    }

    fn ask(&self, path: &str) -> Value {
        self.http.get(path).expect(200).json()["data"].clone()
    }

    /// Names of the alerts that fire now.
    fn firing(&self) -> Vec<String> {
        let alerts = self.ask("/api/v1/alerts")["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect()
    }

    /// The one value of a query.
    fn value(&self, query: &str) -> Option<f64> {
        let answer = self.ask(&format!("/api/v1/query?query={query}"));
        answer.pointer("/result/0/value/1")?.as_str()?.parse().ok()
    }
}

/// A rule's line with shorter patience.
fn quickened(line: &str) -> String {
    match line.trim_start().strip_prefix("for: ") {
        Some(_) => format!("{}for: 1s", &line[..line.len() - line.trim_start().len()]),
        None => line.to_owned(),
    }
}

fn append(site: &Site, line: &str) {
    use std::io::Write;
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(site.path("log.ndjson")).expect("a log");
    writeln!(log, "{line}").expect("a line");
}

#[test]
fn a_real_prometheus_reads_every_metric_and_alerts_fire_on_a_halt_on_what_is_parked_and_on_a_death() {
    let source = json!({ "kind": "json_lines", "path": "log.ndjson", "rescan": "1s" });
    let stream = json!({ "key": "id", "columns": { "n": "integer" } });
    let config = Config::new("prometheus_live")
        .source("log", source)
        .stream("things", "log", stream)
        .section("http", json!({ "listen": "127.0.0.1:0" }));
    let site = Site::new(config);
    append(&site, r#"{"id":1,"n":1}"#);
    site.apply_schema();
    let mut service = site.run_and_listen();
    let address = || std::fs::read_to_string(site.path("state/http.addr")).ok().filter(|text| text.ends_with('\n'));
    let address = wait_for(SOON, address).expect("the service says where it answers");
    let http = Http::at(&address);
    wait_until(SOON, "the service is ready", || http.get("/readyz").status == 200);
    let prometheus = Prometheus::start(&folder("prometheus-live"), address.trim());
    wait_until(SOON, "it was read", || prometheus.value("landfall_ready") == Some(1.0));
    let target = prometheus.ask("/api/v1/targets")["activeTargets"][0].clone();
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")), "{target}");
    let shown = http.get("/metrics").body;
    let named = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let strange: Vec<String> =
        named.filter(|name| !is_known(name) && !is_known(&format!("{name}_bucket"))).map(str::to_owned).collect();
    none("metrics.rs knows every metric of the product", &strange);
    let series = http.get("/metrics").body.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    let read = prometheus.value("scrape_samples_scraped").unwrap_or_default();
    assert!((read - series as f64).abs() <= 12.0, "every sample is read: {read} of {series}");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(prometheus.firing(), Vec::<String>::new(), "nothing is wrong");
    append(&site, r#"{"id":2,"n":"no number"}"#);
    wait_until(SOON, "what is parked is told", || prometheus.firing().contains(&"LandfallParked".to_owned()));
    assert!(!prometheus.firing().contains(&"LandfallStreamHalted".to_owned()), "and nothing else of it");
    site.database().run("alter table things drop column n");
    append(&site, r#"{"id":3,"n":3}"#);
    wait_until(SOON, "a halt is told", || prometheus.firing().contains(&"LandfallStreamHalted".to_owned()));
    site.database().run("alter table things add column n integer");
    wait_until(SOON, "and its end", || !prometheus.firing().contains(&"LandfallStreamHalted".to_owned()));
    service.kill();
    wait_until(SOON, "a death is told", || prometheus.firing().contains(&"LandfallDown".to_owned()));
}
