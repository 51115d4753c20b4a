//! `http`: where the service answers HTTP, and what it asks of those who call.
//!
//! Owns the rule that nothing is offered beyond this machine without TLS and a token. Reads no certificate: what is wrong with one is said
//! when the service starts, and holds up nothing else.

use super::permission;
use super::reference::resolve;
use super::secret::Secret;
use super::section::{Reading, Section};
use super::tree::{Node, Value};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A shorter token is guessed by trying.
const MIN_TOKEN: usize = 16;
/// A longer one does not fit into a request's head.
const MAX_TOKEN: usize = 1_024;

/// `http`.
#[derive(Clone)]
pub struct Http {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What callers must know to change state, or to see anything from another machine.
    pub token: Option<Secret>,
    /// What it shows to callers, when they are to speak TLS.
    pub tls: Option<HttpTls>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("Http").field("listen", &self.listen).field("token", &token).field("tls", &self.tls).finish()
    }
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpTls {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// `http`. `Some(None)`: not asked for.
pub fn http(
    root: &mut Section<'_>,
    reading: &mut Reading<'_>,
    warnings: &mut Vec<permission::Warning>,
) -> Option<Option<Http>> {
    let Some(node) = root.get("http") else {
        return Some(None);
    };
    let mut section = Section::open(node, "http", reading)?;
    let listen =
        section.need("listen", "listen: 127.0.0.1:8650", reading).and_then(|node| reading.text(node, "http.listen"));
    let token = section.get("token").map(|node| token(node, reading, warnings));
    let tls = section.get("tls").map(|node| tls(node, reading));
    section.close(reading);
    let listen = listen?;
    let Ok(address) = listen.value.parse::<SocketAddr>() else {
        reading.problems.add(listen.at, "http.listen must be an address and a port", "`127.0.0.1:8650`");
        return None;
    };
    let missing = match (&token, &tls) {
        _ if address.ip().is_loopback() => None,
        (Some(_), Some(_)) => None,
        (None, None) => Some("neither `token` nor `tls` is set"),
        (None, Some(_)) => Some("`token` is not set"),
        (Some(_), None) => Some("`tls` is not set"),
    };
    if let Some(missing) = missing {
        let what = format!("http.listen reaches beyond this machine, and {missing}");
        let advice =
            "`127.0.0.1:8650`, or `token: \"${LANDFALL_TOKEN}\"` and `tls: { cert: PATH, key: PATH }` beside it";
        reading.problems.add(listen.at, what, advice);
        return None;
    }
    let given = |found: Option<Option<Secret>>| found.map_or(Some(None), |token| token.map(Some));
    Some(Some(Http { listen: address, token: given(token)?, tls: tls.map_or(Some(None), |tls| tls.map(Some))? }))
}

fn token(node: &Node, reading: &mut Reading<'_>, warnings: &mut Vec<permission::Warning>) -> Option<Secret> {
    let token = reading.secret(node, "http.token")?;
    let text = token.value.reveal();
    let fits = (MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let what = "http.token must be 16 to 1,024 characters that are letters, digits or signs, without spaces";
        reading.problems.add(token.at, what, "what `openssl rand -hex 32` gives, by way of `\"${LANDFALL_TOKEN}\"`");
        return None;
    }
    let written =
        matches!(&node.value, Value::Scalar { text, .. } if !text.contains("${") && !text.starts_with("file:"));
    if written {
        warnings.push(permission::Warning::InlinePassword { at: token.at, key: "http.token".to_owned() });
    }
    Some(token.value)
}

fn tls(node: &Node, reading: &mut Reading<'_>) -> Option<HttpTls> {
    let mut section = Section::open(node, "http.tls", reading)?;
    let cert = section.need("cert", "cert: server.pem", reading).and_then(|node| reading.text(node, "http.tls.cert"));
    let key = section.need("key", "key: server.key", reading).and_then(|node| reading.text(node, "http.tls.key"));
    section.close(reading);
    let base = &reading.surroundings.base;
    Some(HttpTls { cert: resolve(&cert?.value, base), key: resolve(&key?.value, base) })
}
