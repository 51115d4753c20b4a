//! `traces`: which collector is sent a span of each batch, and of how many batches.
//!
//! Connects to nothing: whether a collector is there is found when it is sent something, and holds up nothing.

use super::permission;
use super::post::{self, Key, Post};
use super::secret::Secret;
use super::section::{Reading, Section};
use super::tree::Node;
use std::fmt;

/// Where OTLP/HTTP takes traces, below an endpoint.
const PATH: &str = "/v1/traces";

const ENDPOINT: Key<'static> = Key {
    path: "traces",
    name: "endpoint",
    advice: "`http://127.0.0.1:4318`, or `https://host` by way of `\"${OTLP_ENDPOINT}\"`",
};
const TOKEN: Key<'static> = Key { path: "traces", name: "token", advice: "`\"${OTLP_TOKEN}\"` or `file:PATH`" };

/// `traces`.
#[derive(Clone)]
pub struct Traces {
    /// The endpoint with the path of traces, and what it is shown.
    pub to: Post,
    /// Of how many batches a span is sent, of 1.
    pub ratio: f64,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("ratio", &self.ratio).finish_non_exhaustive()
    }
}

/// `traces`. `Some(None)`: not asked for.
pub fn traces(
    root: &mut Section<'_>,
    reading: &mut Reading<'_>,
    warnings: &mut Vec<permission::Warning>,
) -> Option<Option<Traces>> {
    let Some(node) = root.get("traces") else {
        return Some(None);
    };
    let mut section = Section::open(node, "traces", reading)?;
    let endpoint = section.need("endpoint", "endpoint: http://127.0.0.1:4318", reading);
    let token = section.get("token");
    // Whatever is wrong with the rest of it, neither is shown.
    endpoint.iter().chain(&token).for_each(|secret| reading.problems.hide(secret.at));
    let ratio = section.get("ratio").map_or(Some(1.0), |node| reading.share(node, "traces.ratio"));
    section.close(reading);
    let url = endpoint.and_then(|node| address(node, reading));
    let token = token.map(|node| post::bearer(node, TOKEN, reading, warnings));
    let token = token.map_or(Some(None), |token| token.map(Some));
    Some(Some(Traces { to: Post { url: url?, token: token? }, ratio: ratio? }))
}

fn address(node: &Node, reading: &mut Reading<'_>) -> Option<Secret> {
    let url = post::url(node, ENDPOINT, reading)?;
    let text = url.value.reveal().trim_end_matches('/');
    let what = match text {
        text if text.contains(['?', '#']) => "endpoint has more than a path behind its host",
        text if text.ends_with(PATH) => "endpoint ends with /v1/traces, which is put behind it anyway",
        text => return Some(Secret::new(format!("{text}{PATH}"))),
    };
    reading.problems.add(url.at, what, ENDPOINT.advice);
    None
}
