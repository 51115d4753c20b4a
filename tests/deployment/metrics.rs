//! The names of the product's metrics, and which of them an expression uses.

use landfall_tests::metric_book::{self, Family};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// What the product exports, as its book says. Alerts and dashboards use these names and no others.
pub(crate) fn exported() -> &'static [Family] {
    static EXPORTED: LazyLock<Vec<Family>> = LazyLock::new(metric_book::families);
    &EXPORTED
}

/// Of others: Prometheus itself, node_exporter, the kubelet.
const FOREIGN: &[&str] = &[
    "up",
    "ALERTS",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
];

/// Words of PromQL that stand where a metric could.
const WORDS: &[&str] =
    &["and", "or", "unless", "by", "on", "without", "ignoring", "group_left", "group_right", "bool", "offset"];

/// Whether the product, or somebody else, exports it.
pub(crate) fn is_known(name: &str) -> bool {
    let is_sample = |family: &Family| match family.kind.as_str() {
        // A histogram has these and no series of its bare name.
        "histogram" => name.strip_prefix(&*family.name).is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end)),
        _ => family.name == name,
    };
    FOREIGN.contains(&name) || exported().iter().any(is_sample)
}

/// The metrics that a PromQL expression names: words outside of quotes, braces and lists of labels that are no function.
pub(crate) fn of(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let bare = without_labels(expression);
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        // A unit behind a number (`5m`) or a variable (`$x`) is no name.
        let before = rest[..start].chars().next_back();
        let word: String =
            rest[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c)).collect();
        rest = &rest[start + word.len()..];
        let behind = rest.trim_start();
        let is_list = ["by", "on", "without", "ignoring"].contains(&word.as_str()) && behind.starts_with('(');
        if is_list {
            rest = behind.split_once(')').map_or("", |(_, after)| after);
        }
        let is_function = behind.starts_with('(') || ["sum", "count", "max", "min"].contains(&word.as_str());
        let is_unit = before.is_some_and(|c| c.is_ascii_digit() || c == '$');
        if !is_list && !is_function && !is_unit && !WORDS.contains(&word.as_str()) {
            names.insert(word);
        }
    }
    names
}

/// Without what stands in braces, brackets and quotes.
fn without_labels(expression: &str) -> String {
    let (mut out, mut depth, mut quoted) = (String::new(), 0_u32, false);
    for c in expression.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth = depth.saturating_sub(1),
            _ if depth == 0 && !quoted => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn names_are_found_in_expressions() {
    let names = |expression| of(expression).into_iter().collect::<Vec<_>>();
    assert_eq!(names(r#"up{job="landfall"} == 0"#), ["up"]);
    let quantile =
        "histogram_quantile(0.99, sum by (job, le) (rate(landfall_commit_duration_seconds_bucket[10m]))) > 2";
    assert_eq!(names(quantile), ["landfall_commit_duration_seconds_bucket"]);
    assert_eq!(names("a_one / (b_two > 0) unless on (job) c_three"), ["a_one", "b_two", "c_three"]);
    assert_eq!(names("predict_linear(landfall_queue_bytes[1h], 4 * 3600) > 5m"), ["landfall_queue_bytes"]);
    assert!(
        is_known("landfall_batch_events_sum")
            && !is_known("landfall_batch_events")
            && !is_known("landfall_ready_total")
    );
}
