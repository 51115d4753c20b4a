//! The dashboard: its queries are valid, name metrics that exist, and nothing of it needs a plugin.

use crate::files::{folder, needed, none, run, text};
use crate::metrics;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Panels that Grafana brings along.
const PANELS: &[&str] = &["row", "stat", "table", "timeseries", "heatmap", "state-timeline"];

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/landfall.json")).expect("the dashboard is JSON")
}

fn panels() -> Vec<Value> {
    let panels = dashboard()["panels"].as_array().cloned().unwrap_or_default();
    assert!(panels.len() > 30, "the dashboard has its panels");
    panels
}

/// Title and expression of every query, those of variables and annotations too.
fn queries() -> Vec<(String, String)> {
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut queries = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push((said(&panel["title"]), said(&target["expr"])));
        }
    }
    let dashboard = dashboard();
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        queries.push((said(&annotation["name"]), said(&annotation["expr"])));
    }
    for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
        let query = said(&variable["query"]["query"]);
        let asked = query.strip_prefix("label_values(").and_then(|inner| inner.rsplit_once(", "));
        queries.extend(asked.map(|(expression, _)| (said(&variable["name"]), expression.to_owned())));
    }
    queries
}

#[test]
fn every_query_names_metrics_that_exist() {
    let mut unknown = Vec::new();
    for (title, expression) in queries() {
        let names = metrics::of(&expression);
        assert!(!names.is_empty(), "{title} asks for something");
        let strangers = names.into_iter().filter(|name| !metrics::is_known(name));
        unknown.extend(strangers.map(|name| format!("{title}: {name}")));
    }
    none("the dashboard uses metrics that the product exports", &unknown);
}

#[test]
fn every_metric_of_the_product_is_shown_somewhere() {
    let shown: BTreeSet<String> = queries().iter().flat_map(|(_, expression)| metrics::of(expression)).collect();
    let is_shown = |name: &str| shown.iter().any(|used| used == name || used.strip_suffix("_bucket") == Some(name));
    let names = metrics::exported().iter().map(|family| family.name.as_str());
    let hidden: Vec<String> = names.filter(|name| !is_shown(name)).map(str::to_owned).collect();
    none("what is exported can be seen", &hidden);
}

#[test]
fn every_query_is_valid() {
    let rules: Vec<Value> = queries()
        .into_iter()
        .enumerate()
        .map(|(at, (_, expression))| {
            json!({ "record": format!("query:{at}"), "expr": expression.replace("$__rate_interval", "5m") })
        })
        .collect();
    let at = folder("grafana");
    // JSON is YAML.
    let file = json!({ "groups": [{ "name": "queries", "rules": rules }] }).to_string();
    std::fs::write(at.join("queries.yaml"), file).expect("a copy can be written");
    run(&needed("promtool"), &["check", "rules", "queries.yaml"], &at);
}

#[test]
fn it_needs_no_plugin_and_takes_any_data_source() {
    let mut broken = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in panels() {
        let title = panel["title"].as_str().unwrap_or_default();
        let kind = panel["type"].as_str().unwrap_or_default();
        if !PANELS.contains(&kind) {
            broken.push(format!("{title}: a panel of type {kind}"));
        }
        if !ids.insert(panel["id"].as_u64()) {
            broken.push(format!("{title}: its id is given twice"));
        }
        if kind != "row" && panel["datasource"]["uid"] != "${datasource}" {
            broken.push(format!("{title}: a data source of its own"));
        }
    }
    none("panels of Grafana itself, over the variable `datasource`", &broken);
}

#[test]
fn no_panel_lies_over_another() {
    let panels = panels();
    let place = |panel: &Value, side: &str| panel["gridPos"][side].as_u64().expect("a panel has its place");
    let apart = |one: &Value, other: &Value, from: &str, long: &str| {
        place(one, from) + place(one, long) <= place(other, from)
            || place(other, from) + place(other, long) <= place(one, from)
    };
    let mut broken = Vec::new();
    for (at, one) in panels.iter().enumerate() {
        for other in &panels[at + 1..] {
            if !apart(one, other, "x", "w") && !apart(one, other, "y", "h") {
                broken.push(format!("{} and {}", one["title"], other["title"]));
            }
        }
    }
    none("panels beside one another", &broken);
}
