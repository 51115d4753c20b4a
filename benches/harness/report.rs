//! The report: a line per figure, printed as it is made and kept in `.run/bench/report.jsonl` for the table at the end.

use crate::measured::Measured;
use crate::rounds::{Comparison, Spread};
use crate::run_dir::bench_dir;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// More foreign processor time than this share of the machine, and a figure is marked `~`.
const NOISY: f64 = 0.08;

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Shown for its own sake.
    None,
}

impl Target {
    fn met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bound) => Some(figure >= bound),
            Self::AtMost(bound) => Some(figure <= bound),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::None => String::new(),
        }
    }
}

/// What a comparison is called.
#[derive(Clone, Copy, Debug)]
pub struct Title<'a> {
    /// What was measured.
    pub name: &'a str,
    /// Of what there are so many per second.
    pub unit: &'a str,
    /// What the ratio should be.
    pub target: Target,
    /// What a reader must know: where the clock starts, whether a checkpoint came just before.
    pub note: &'a str,
}

/// Reports ours beside its baseline.
pub fn comparison(title: Title<'_>, runs: &Comparison) {
    let ratio = runs.ratio();
    let mut line = json!({
        "name": title.name, "unit": title.unit, "note": title.note, "target": title.target.text(),
        "met": title.target.met(ratio.median), "ratio": spread(ratio), "control": spread(runs.control()),
        "ours": cost(&runs.ours), "baseline": cost(&runs.baseline),
        "noisy": runs.ours.iter().chain(&runs.baseline).any(|run| run.cpu.foreign > NOISY),
    });
    let enough = runs.ours.iter().chain(&runs.baseline).all(|run| run.cpu.client + run.cpu.server > 0.01);
    if enough {
        line["cpu_ratio"] = spread(runs.cpu_ratio());
        line["cpu_control"] = spread(runs.cpu_control());
    }
    put(&line);
}

/// Reports a figure that has no baseline.
pub fn figure(name: &str, (value, unit): (f64, &str), target: Target, note: &str) {
    put(&json!({
        "name": name, "value": value, "unit": unit, "target": target.text(), "met": target.met(value), "note": note,
    }));
}

fn spread(spread: Spread) -> Value {
    json!({ "min": spread.min, "median": spread.median, "max": spread.max })
}

/// The middle of each figure of several runs.
fn cost(runs: &[Measured]) -> Value {
    let median = |of: &dyn Fn(&Measured) -> f64| Spread::of(runs.iter().map(of)).median;
    let most = |of: &dyn Fn(&Measured) -> f64| Spread::of(runs.iter().map(of)).max;
    let mut cost = json!({
        "rate": median(&Measured::rate),
        "client_cpu_per_million": median(&|run| run.cpu_per_million().0),
        "server_cpu_per_million": median(&|run| run.cpu_per_million().1),
        "foreign": most(&|run| run.cpu.foreign),
    });
    if runs.iter().all(|run| run.wal.is_some()) {
        cost["wal_per_unit"] = json!(median(&|run| run.wal_per_unit().unwrap_or_default()));
    }
    if runs.iter().all(|run| run.peak_rss.is_some()) {
        cost["peak_rss"] = json!(most(&|run| run.peak_rss.unwrap_or_default() as f64));
    }
    cost
}

fn file() -> PathBuf {
    bench_dir().join("report.jsonl")
}

fn put(line: &Value) {
    let file = OpenOptions::new().create(true).append(true).open(file());
    let mut file: File = file.expect("the bench folder is writable");
    writeln!(file, "{line}").expect("the bench folder is writable");
    print(&format!("{}\n", row(line)));
}

/// Writes to standard output; a closed one is nobody's problem.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Everything reported since the last [`clear`], as one table.
pub fn table() -> String {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut out = String::from(
        "ratio: ours ÷ the baselines around it, median (min–max) · A/A: baseline ÷ the baseline before it · cpu: processor time of \
         the baseline ÷ ours, and its A/A\nCPU: seconds of client + server per million units · ~: more than 8 % of the machine went to others\n\n",
    );
    for line in lines {
        out.push_str(&row(&line));
        out.push('\n');
    }
    out
}

/// Forgets what was reported.
pub fn clear() {
    let _ = std::fs::remove_file(file());
}

fn row(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let met = match line["met"].as_bool() {
        Some(true) => "ok",
        Some(false) => "SHORT",
        None => "",
    };
    if line["ratio"].is_null() {
        let value = line["value"].as_f64().unwrap_or(f64::NAN);
        let figure = format!("{} {}", short(value), text("unit"));
        return format!("{:<44} {figure:<22} {:<8} {met:<6} {}", text("name"), text("target"), text("note"));
    }
    let noisy = if line["noisy"].as_bool() == Some(true) { "~" } else { "" };
    let mut out = format!("{:<44} {noisy}{} {:<8} {met:<6}", text("name"), range(&line["ratio"]), text("target"));
    out.push_str(&format!(" A/A {}", range(&line["control"])));
    if !line["cpu_ratio"].is_null() {
        out.push_str(&format!(" cpu {} A/A {}", range(&line["cpu_ratio"]), range(&line["cpu_control"])));
    }
    for side in ["ours", "baseline"] {
        out.push_str(&format!("\n{:<4}{side:<9}{}", "", side_text(&line[side], text("unit"))));
    }
    if !text("note").is_empty() {
        out.push_str(&format!("\n{:<4}{}", "", text("note")));
    }
    out
}

fn side_text(side: &Value, unit: &str) -> String {
    let number = |name: &str| side[name].as_f64();
    let rate = number("rate").unwrap_or(f64::NAN);
    let cpu = |name: &str| number(name).unwrap_or(f64::NAN);
    let (client, server) = (cpu("client_cpu_per_million"), cpu("server_cpu_per_million"));
    let mut out = format!("{} {unit}/s, CPU {client:.2} + {server:.2} s/M", short(rate));
    if let Some(wal) = number("wal_per_unit") {
        out.push_str(&format!(", WAL {wal:.0} B/unit"));
    }
    if let Some(rss) = number("peak_rss") {
        out.push_str(&format!(", peak RSS {:.0} MB", rss / 1e6));
    }
    out.push_str(&format!(", foreign CPU ≤ {:.0} %", 100.0 * cpu("foreign")));
    out
}

fn range(spread: &Value) -> String {
    let part = |name: &str| spread[name].as_f64().unwrap_or(f64::NAN);
    format!("{:.2} ({:.2}–{:.2})", part("median"), part("min"), part("max"))
}

/// Three or four digits that say something.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{:.1}M", value / 1e6),
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}
