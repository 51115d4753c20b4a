//! Alerts fire on their fault, are silent otherwise, use metrics that exist, and lead to a page.

use crate::files::{folder, needed, none, place, run, text, yaml};
use crate::metrics;
use serde_json::Value;
use std::collections::BTreeSet;

/// All rules of a file.
fn rules(path: &str) -> Vec<Value> {
    let groups = yaml(path)["groups"].as_array().cloned().unwrap_or_default();
    groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
}

fn alerts() -> Vec<Value> {
    let alerts = rules("prometheus/alerts.yaml");
    assert!(alerts.len() > 20, "the file has its alerts");
    alerts
}

/// A text member of a rule.
fn word<'a>(rule: &'a Value, path: &str) -> &'a str {
    rule.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn rules_are_valid_and_every_alert_fires_on_its_fault_alone() {
    let promtool = needed("promtool");
    let at = place("prometheus");
    run(&promtool, &["check", "rules", "recording.yaml", "alerts.yaml"], &at);
    run(&promtool, &["test", "rules", "alerts_test.yaml"], &at);
}

#[test]
fn every_alert_is_tested() {
    let tests = yaml("prometheus/alerts_test.yaml")["tests"].as_array().cloned().unwrap_or_default();
    let tested: BTreeSet<&str> = tests.iter().map(|test| word(test, "/name")).collect();
    let alerts = alerts();
    let untested = alerts.iter().map(|alert| word(alert, "/alert")).filter(|name| !tested.contains(name));
    none("alerts_test.yaml has a test for each alert", &untested.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn every_alert_has_a_severity_a_summary_and_a_page() {
    let mut broken = Vec::new();
    for alert in &alerts() {
        let name = word(alert, "/alert");
        if !["critical", "warning"].contains(&word(alert, "/labels/severity")) {
            broken.push(format!("{name}: severity"));
        }
        if word(alert, "/annotations/summary").is_empty() {
            broken.push(format!("{name}: summary"));
        }
        let page = word(alert, "/annotations/runbook");
        let below = page.strip_prefix("deploy/").filter(|below| below.starts_with("runbooks/"));
        if !below.is_some_and(|below| place(below).is_file()) {
            broken.push(format!("{name}: no page {page}"));
        }
    }
    none("an alert says how bad it is, what is the matter and what to do", &broken);
}

#[test]
fn every_metric_of_a_rule_exists() {
    let recording = rules("prometheus/recording.yaml");
    let recorded: BTreeSet<&str> = recording.iter().map(|rule| word(rule, "/record")).collect();
    let mut unknown = Vec::new();
    for rule in recording.iter().chain(&alerts()) {
        let names = metrics::of(word(rule, "/expr"));
        assert!(!names.is_empty(), "{rule} asks for something");
        let strangers = names.into_iter().filter(|name| !metrics::is_known(name) && !recorded.contains(name.as_str()));
        unknown.extend(strangers.map(|name| format!("{}{}: {name}", word(rule, "/alert"), word(rule, "/record"))));
    }
    none("rules use metrics that the product exports", &unknown);
}

#[test]
fn the_compose_projects_prometheus_loads_the_rules() {
    let promtool = needed("promtool");
    let at = folder("prometheus");
    for rules in ["alerts.yaml", "recording.yaml"] {
        std::fs::write(at.join(rules), text(&format!("prometheus/{rules}"))).expect("a copy can be written");
    }
    for secret in ["tls_cert", "http_token"] {
        std::fs::write(at.join(secret), "").expect("a copy can be written");
    }
    let config = text("container/prometheus.yml").replace("/etc/prometheus/", "").replace("/run/secrets/", "");
    std::fs::write(at.join("prometheus.yml"), config).expect("a copy can be written");
    let said = run(&promtool, &["check", "config", "prometheus.yml"], &at);
    assert!(said.contains("SUCCESS"), "{said}");
    let jobs = yaml("container/prometheus.yml")["scrape_configs"].clone();
    assert_eq!(word(&jobs, "/0/job_name"), "landfall", "the alerts know the job by this name");
}
