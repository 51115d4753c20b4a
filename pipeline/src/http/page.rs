//! The page for people: files that are part of the program, so that it works without any network but this one. They hold no data.

use super::answer::{Answer, answer};
use hyper::StatusCode;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, kind and text of each.
pub(super) const FILES: [(&str, &str, &str); 12] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/app.css", STYLE, include_str!("page/app.css")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/attention.js", SCRIPT, include_str!("page/attention.js")),
    ("/charts.js", SCRIPT, include_str!("page/charts.js")),
    ("/controls.js", SCRIPT, include_str!("page/controls.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/history.js", SCRIPT, include_str!("page/history.js")),
    ("/metrics.js", SCRIPT, include_str!("page/metrics.js")),
    ("/panels.js", SCRIPT, include_str!("page/panels.js")),
    ("/streams.js", SCRIPT, include_str!("page/streams.js")),
    ("/units.js", SCRIPT, include_str!("page/units.js")),
];

/// The file with this number.
pub(super) fn of(file: usize) -> Answer {
    let (_, kind, text) = FILES[file];
    answer(StatusCode::OK, kind, text)
}
