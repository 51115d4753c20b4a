//! An address that is posted to: what `hooks` and `traces` have in common.
//!
//! Owns the rule that nothing is posted beyond this machine in clear text. Connects to nothing.

use super::permission;
use super::section::Reading;
use super::tree::{Node, Value};
use super::{Secret, section::At};
use hyper::Uri;

/// A longer token does not fit into a request's head.
const MAX_TOKEN: usize = 1_024;

/// An address that is posted to.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "addresses of receivers hold secrets")]
pub struct Post {
    /// `https://…`, or `http://…` on this machine.
    pub url: Secret,
    /// What the receiver must be shown.
    pub token: Option<Secret>,
}

/// The key that holds an address or a token, and what would be right there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'k> {
    /// Section that it stands in, as problems name it.
    pub(super) path: &'k str,
    /// Its own name.
    pub(super) name: &'k str,
    /// What to write instead.
    pub(super) advice: &'k str,
}

/// Reads an address. Neither it nor its problem is shown.
pub(super) fn url(node: &Node, key: Key<'_>, reading: &mut Reading<'_>) -> Option<At<Secret>> {
    let url = reading.secret(node, key.name)?;
    if let Some(what) = fault(url.value.reveal()) {
        reading.problems.add(url.at, format!("{} {what}", key.name), key.advice);
        return None;
    }
    Some(url)
}

/// What is wrong with an address. Never shows it.
fn fault(url: &str) -> Option<&'static str> {
    let Ok(uri) = url.parse::<Uri>() else { return Some("is not a URL") };
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Some("is not a URL with a host");
    };
    if authority.as_str().contains('@') {
        return Some("holds a user and a password, which are not sent: `token` is");
    }
    match uri.scheme_str() {
        Some("https") => None,
        Some("http") if is_this_machine(authority.host()) => None,
        Some("http") => Some("reaches beyond this machine in clear text"),
        _ => Some("is neither https nor http"),
    }
}

/// Whether a host is this machine, by its name or its address.
fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Reads the token that the receiver is shown.
pub(super) fn bearer(
    node: &Node,
    key: Key<'_>,
    reading: &mut Reading<'_>,
    warnings: &mut Vec<permission::Warning>,
) -> Option<Secret> {
    let token = reading.secret(node, key.name)?;
    let text = token.value.reveal();
    if text.len() > MAX_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "must be at most 1,024 characters that are letters, digits or signs, without spaces";
        reading.problems.add(token.at, format!("{} {what}", key.name), key.advice);
        return None;
    }
    warn(node, key, warnings);
    Some(token.value)
}

/// A secret that stands in the file itself is worth protecting.
pub(super) fn warn(node: &Node, key: Key<'_>, warnings: &mut Vec<permission::Warning>) {
    let written =
        matches!(&node.value, Value::Scalar { text, .. } if !text.contains("${") && !text.starts_with("file:"));
    if written {
        warnings.push(permission::Warning::InlinePassword { at: node.at, key: format!("{}.{}", key.path, key.name) });
    }
}
