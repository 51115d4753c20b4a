//! What a target is told: where it is, how it is reached, how long it may take.
//!
//! Owns the reading of the connection URL. `sslmode` and `sslrootcert` have meanings of our own (tokio-postgres knows no
//! verification and falls back to clear text by default), so they are taken out before the URL reaches it. No error here
//! repeats any part of the URL.

use super::tls::TlsMode;
use landfall_schemas::ident::Ident;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::config::Host;
use zeroize::Zeroizing;

/// A connection URL. It may hold a password: it is wiped from memory when dropped and never shown.
#[derive(Clone)]
pub struct SecretUrl(Zeroizing<String>);

impl SecretUrl {
    /// Takes the URL over.
    pub fn new(url: String) -> Self {
        Self(Zeroizing::new(url))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}

/// How long the server may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// `statement_timeout`.
    pub statement: Duration,
    /// `lock_timeout`.
    pub lock: Duration,
    /// `idle_in_transaction_session_timeout`.
    pub idle_in_transaction: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // A batch takes tens of milliseconds; a minute leaves room for a checkpoint storm and still frees its locks.
            statement: Duration::from_secs(60),
            // Longer than any batch of ours, shorter than an operator's patience with a blocked stream.
            lock: Duration::from_secs(10),
            // We never think inside a transaction: only a dead client idles there.
            idle_in_transaction: Duration::from_secs(60),
        }
    }
}

/// What to do about a role whose commits are not durable when they return.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SynchronousCommit {
    /// Refuse to run with `synchronous_commit = off`: trimming follows the commit's reply.
    #[default]
    Required,
    /// The operator said so.
    MayBeOff,
}

/// Where the rows go.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// `postgres://…`, with `sslmode` and `sslrootcert`.
    pub url: SecretUrl,
    /// Schema of the mapped tables.
    pub schema: Ident,
    /// How many writers may be connected at once; one per core of the server is best.
    pub max_connections: usize,
    /// How long the server may take.
    pub timeouts: Timeouts,
    /// Whether commits must be durable when they return.
    pub synchronous_commit: SynchronousCommit,
}

impl TargetConfig {
    /// Connections when the user does not say.
    pub const DEFAULT_CONNECTIONS: usize = 4;

    /// A target with the usual limits.
    pub fn new(url: SecretUrl, schema: Ident) -> Self {
        Self {
            url,
            schema,
            max_connections: Self::DEFAULT_CONNECTIONS,
            timeouts: Timeouts::default(),
            synchronous_commit: SynchronousCommit::default(),
        }
    }
}

/// Why a target cannot be used as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not a URL we read.
    #[error("write the target as postgres://user:password@host:port/database; special characters of a password as %XX")]
    Url,
    /// No host named.
    #[error("the target's URL names no host")]
    NoHost,
    /// A mode that may fall back to clear text.
    #[error(
        "sslmode={0} may fall back to an unencrypted connection without a word; \
         write sslmode=verify-full (or verify-ca, require, or disable for a trusted network)"
    )]
    MayFallBack(&'static str),
    /// No such mode.
    #[error("sslmode is one of disable, require, verify-ca, verify-full")]
    UnknownMode,
    /// A CA file where nothing is checked against it.
    #[error("sslrootcert needs sslmode=verify-full or verify-ca")]
    NeedlessRoot,
    /// The CA file cannot be read.
    #[error("sslrootcert: {0}")]
    Root(String),
    /// The TLS library refused its own set-up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// A URL, read.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: TlsMode,
    pub(crate) root: Option<PathBuf>,
}

impl Address {
    /// Reads a URL: the TLS parameters are ours, the rest is tokio-postgres's.
    pub(crate) fn read(url: &SecretUrl) -> Result<Self, InvalidTarget> {
        let url = url.expose();
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(InvalidTarget::Url);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root) = (None, None);
        let mut rest = Zeroizing::new(String::from(base));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').ok_or(InvalidTarget::Url)? {
                ("sslmode", value) => mode = Some(TlsMode::parse(value)?),
                ("sslrootcert", value) => root = Some(percent_decoded(value).ok_or(InvalidTarget::Url)?),
                _ => {
                    let joint = if rest.contains('?') { '&' } else { '?' };
                    rest.push(joint);
                    rest.push_str(pair);
                }
            }
        }
        // The parser's own words may repeat what it read: they are not passed on.
        let config: tokio_postgres::Config = rest.parse().map_err(|_| InvalidTarget::Url)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(InvalidTarget::NoHost);
        }
        let near = config.get_hosts().iter().all(is_near) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        let tls = mode.unwrap_or(if near { TlsMode::Disable } else { TlsMode::VerifyFull });
        if root.is_some() && !tls.verifies() {
            return Err(InvalidTarget::NeedlessRoot);
        }
        Ok(Self { config, tls, root })
    }
}

/// Whether nobody can stand between us and the host.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        Host::Unix(_) => true,
    }
}

fn percent_decoded(text: &str) -> Option<PathBuf> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, InvalidTarget> {
        Address::read(&SecretUrl::new(url.to_owned()))
    }

    #[test]
    fn a_distant_host_is_verified_and_a_near_one_needs_no_tls() {
        assert_eq!(read("postgres://u@db.example.org/d").unwrap().tls, TlsMode::VerifyFull);
        assert_eq!(read("postgres://u@localhost/d").unwrap().tls, TlsMode::Disable);
        assert_eq!(read("postgres://u@127.0.0.1:5433/d").unwrap().tls, TlsMode::Disable);
        assert_eq!(read("postgres://u@[::1]/d").unwrap().tls, TlsMode::Disable);
        assert_eq!(read("postgres://u@%2Frun%2Fpg/d").unwrap().tls, TlsMode::Disable);
        assert_eq!(read("postgres://u@localhost,db.example.org/d").unwrap().tls, TlsMode::VerifyFull);
        assert_eq!(read("postgres://u@localhost.evil.example/d").unwrap().tls, TlsMode::VerifyFull);
    }

    #[test]
    fn modes_that_may_fall_back_are_refused_with_what_to_write() {
        for mode in ["prefer", "allow"] {
            let error = read(&format!("postgres://u@h/d?sslmode={mode}")).unwrap_err();
            assert!(error.to_string().contains("sslmode=verify-full"), "{error}");
        }
        assert_eq!(read("postgres://u@h/d?sslmode=on").unwrap_err(), InvalidTarget::UnknownMode);
        assert_eq!(read("postgres://u@h/d?sslmode=require&sslrootcert=/a").unwrap_err(), InvalidTarget::NeedlessRoot);
    }

    #[test]
    fn the_tls_parameters_are_taken_out_and_the_others_stay() {
        let address =
            read("postgres://u:p@h/d?sslmode=verify-ca&connect_timeout=7&sslrootcert=%2Fetc%2Fca%20file.pem").unwrap();
        assert_eq!(address.tls, TlsMode::VerifyCa);
        assert_eq!(address.root.as_deref(), Some(std::path::Path::new("/etc/ca file.pem")));
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    }

    #[test]
    fn no_error_and_no_debug_output_repeats_the_password() {
        for url in [
            "postgres://u:canary-4711@h:notaport/d",
            "postgres://u:canary-4711@h/d?canary-4711=x",
            "postgres://u:can?ary-4711@h/d",
            "mysql://u:canary-4711@h/d",
        ] {
            let error = read(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("ary-4711"));
        }
        let config = TargetConfig::new(SecretUrl::new("postgres://u:canary@h/d".into()), Ident::new("public").unwrap());
        assert!(!format!("{config:?}").contains("canary"));
    }
}
