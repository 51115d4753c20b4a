//! Who may ask what.
//!
//! Against pages of strangers in a browser of this machine: the `Host` must be one that a stranger's name cannot stand in (a loopback name, an
//! address this connection came in on, or the name that the caller's TLS asked for, for which a stranger has no certificate of ours), and an
//! `Origin` must be our own. Against callers who are nobody: a token, compared in constant time. Tokens are kept as hashes and never shown.

use super::answer::Refusal;
use super::route::Route;
use crate::config::Http;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

/// The rules.
#[derive(Debug)]
pub(super) struct Guard {
    listen: SocketAddr,
    token: Option<[u8; 32]>,
    tls: bool,
}

/// How a connection came in.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    /// Our end of it.
    pub(super) local: Option<IpAddr>,
    /// The name that was asked for by TLS.
    pub(super) server_name: Option<String>,
}

impl Guard {
    pub(super) fn new(http: &Http) -> Self {
        let token = http.token.as_ref().map(|token| Sha256::digest(token.reveal().as_bytes()).into());
        Self { listen: http.listen, token, tls: http.tls.is_some() }
    }

    /// Whether a request was meant for us and comes from nobody's page but ours.
    pub(super) fn admit(&self, headers: &HeaderMap, uri: &Uri, caller: &Caller) -> Result<(), Refusal> {
        let foreign = |code, detail| Err(Refusal::new(StatusCode::FORBIDDEN, code, detail));
        let Ok(Some(host)) = only(headers, header::HOST) else {
            return foreign("foreign_host", "a request names its host once");
        };
        let ours = host.parse::<Authority>().is_ok_and(|authority| self.is_ours(&authority, caller));
        // A request line that names a host has the same one.
        let same = uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
        if !ours || !same {
            return foreign("foreign_host", "the host of this request is not one that this service answers for");
        }
        let scheme = if self.tls { "https" } else { "http" };
        match only(headers, header::ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")) => Ok(()),
            _ => foreign("foreign_origin", "a page of another origin may not ask this service"),
        }
    }

    fn is_ours(&self, authority: &Authority, caller: &Caller) -> bool {
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        match name.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                let came_in = caller.local.is_some_and(|local| local.to_canonical() == address);
                address.is_loopback() || address == self.listen.ip().to_canonical() || came_in
            }
            Err(_) => caller.server_name.as_ref().is_some_and(|asked| asked.eq_ignore_ascii_case(name)),
        }
    }

    /// Whether this caller may ask this route: orders need the token, and from another machine everything does but a sign of life and the files of
    /// the page, which hold no data, and for which a browser has no token to send.
    pub(super) fn allow(&self, route: Route, headers: &HeaderMap) -> Result<(), Refusal> {
        if matches!(route, Route::Alive | Route::Page(_))
            || (!route.orders() && self.listen.ip().to_canonical().is_loopback())
        {
            return Ok(());
        }
        let Some(token) = &self.token else {
            let detail = "nothing that changes state is answered without http.token in the configuration";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "no_token_configured", detail));
        };
        let refused = |code, detail| Err(Refusal::new(StatusCode::UNAUTHORIZED, code, detail));
        let said = only(headers, header::AUTHORIZATION).ok().flatten().and_then(bearer);
        match said {
            None => refused("token_missing", "this needs `Authorization: Bearer TOKEN`"),
            Some(said) if same(&Sha256::digest(said.as_bytes()).into(), token) => Ok(()),
            Some(_) => refused("token_wrong", "the token is not the one of the configuration"),
        }
    }
}

/// The value of a header that may stand once; an error when it stands twice or is no text.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in a time that does not depend on where the two differ.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use hyper::header::HeaderValue;

    const TOKEN: &str = "a-token-of-16-and-more";

    fn guard(listen: &str, token: bool) -> Guard {
        let token = token.then(|| Secret::new(TOKEN.to_owned()));
        Guard::new(&Http { listen: listen.parse().expect("an address"), token, tls: None })
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).expect("a value");
        pairs.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
    }

    fn admitted(guard: &Guard, pairs: &[(&'static str, &str)], caller: &Caller) -> Result<(), String> {
        guard.admit(&headers(pairs), &Uri::from_static("/"), caller).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_host_is_a_loopback_name_or_an_address_of_ours() {
        let guard = guard("127.0.0.1:8650", false);
        let caller = Caller { local: "10.0.0.7".parse().ok(), server_name: None };
        for host in ["localhost", "LOCALHOST:8650", "127.0.0.1:8650", "127.9.9.9", "[::1]:1", "10.0.0.7:8650"] {
            assert_eq!(admitted(&guard, &[("host", host)], &caller), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "10.0.0.8", "localhost.evil.example", "127.0.0.1.nip.io", "", "a@localhost", "0", "127.1"]
        {
            assert_eq!(admitted(&guard, &[("host", host)], &caller), Err("foreign_host".into()), "{host}");
        }
        let none: &[(&str, &str)] = &[];
        assert!(admitted(&guard, none, &caller).is_err());
        let mut twice = headers(&[("host", "localhost")]);
        twice.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(guard.admit(&twice, &Uri::from_static("/"), &caller).is_err());
    }

    #[test]
    fn a_name_is_ours_when_the_callers_tls_asked_for_it() {
        let guard = guard("0.0.0.0:8650", true);
        let caller = Caller { local: None, server_name: Some("landfall.internal".into()) };
        assert_eq!(admitted(&guard, &[("host", "landfall.internal:8650")], &caller), Ok(()));
        assert!(admitted(&guard, &[("host", "other.internal")], &caller).is_err());
        assert!(admitted(&guard, &[("host", "landfall.internal")], &Caller::default()).is_err());
    }

    #[test]
    fn an_origin_is_our_own_or_none() {
        let guard = guard("127.0.0.1:8650", false);
        let with =
            |origin: &str| admitted(&guard, &[("host", "127.0.0.1:8650"), ("origin", origin)], &Caller::default());
        assert_eq!(with("http://127.0.0.1:8650"), Ok(()));
        for origin in
            ["http://evil.example", "null", "https://127.0.0.1:8650", "http://localhost:8650", "http://127.0.0.1"]
        {
            assert_eq!(with(origin), Err("foreign_origin".into()), "{origin}");
        }
    }

    #[test]
    fn orders_need_the_token_and_elsewhere_all_but_a_sign_of_life_does() {
        let (near, far, none) = (guard("127.0.0.1:1", true), guard("10.0.0.7:1", true), guard("127.0.0.1:1", false));
        let right = format!("Bearer {TOKEN}");
        let asked = |guard: &Guard, route, said: &str| {
            let headers = headers(if said.is_empty() { vec![] } else { vec![("authorization", said)] }.as_slice());
            guard.allow(route, &headers).map_err(|refusal| refusal.code)
        };
        assert_eq!(asked(&near, Route::Metrics, ""), Ok(()));
        assert_eq!(asked(&far, Route::Alive, ""), Ok(()));
        assert_eq!(asked(&far, Route::Page(0), ""), Ok(()));
        assert_eq!(asked(&none, Route::Pause, &right), Err("no_token_configured".into()));
        for (guard, route) in
            [(&near, Route::Pause), (&near, Route::LogLevel), (&far, Route::Metrics), (&far, Route::Status)]
        {
            assert_eq!(asked(guard, route, ""), Err("token_missing".into()));
            assert_eq!(asked(guard, route, "Bearer a-token-of-16-and-morf"), Err("token_wrong".into()));
            assert_eq!(asked(guard, route, &format!("Basic {TOKEN}")), Err("token_missing".into()));
            assert_eq!(asked(guard, route, &right), Ok(()));
        }
    }
}
