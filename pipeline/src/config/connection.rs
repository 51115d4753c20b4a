//! From `target` to what the PostgreSQL connector is told.

use super::pipeline::{SslMode, Target};
use landfall_connectors::postgres::{SecretUrl, SynchronousCommit, TargetConfig, Timeouts};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

impl Target {
    /// The connector's configuration: TLS settings of the file are put into the URL, where the connector reads them.
    pub fn connection(&self) -> TargetConfig {
        let mut url = self.url.reveal().to_owned();
        if let Some(mode) = self.sslmode {
            let word = match mode {
                SslMode::Disable => "disable",
                SslMode::Require => "require",
                SslMode::VerifyCa => "verify-ca",
                SslMode::VerifyFull => "verify-full",
            };
            add_parameter(&mut url, "sslmode", word.as_bytes());
        }
        if let Some(path) = &self.root_cert {
            add_parameter(&mut url, "sslrootcert", path.as_os_str().as_bytes());
        }
        let synchronous_commit = match self.synchronous_commit_off_allowed {
            true => SynchronousCommit::MayBeOff,
            false => SynchronousCommit::Required,
        };
        TargetConfig {
            max_connections: usize::from(self.max_connections.get()),
            timeouts: Timeouts { statement: self.statement_timeout, lock: self.lock_timeout, ..Timeouts::default() },
            synchronous_commit,
            ..TargetConfig::new(SecretUrl::new(url), self.schema.clone())
        }
    }
}

fn add_parameter(url: &mut String, name: &str, value: &[u8]) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(name);
    url.push('=');
    for byte in value {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => url.push(char::from(*byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(url, "%{byte:02X}"),
        }
    }
}
