//! The certificate that callers are shown.

use crate::config::HttpTls;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// Reads certificate and key. An error says what is wrong with which file, and nothing of what is in it.
pub(super) fn acceptor(tls: &HttpTls) -> Result<TlsAcceptor, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect)
        .map_err(|_| unusable(&tls.cert, "a certificate"))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|_| unusable(&tls.key, "a private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS 1.2 and 1.3 are not available".to_owned())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|_| format!("{} is not the key of {}", tls.key.display(), tls.cert.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(file: &Path, what: &str) -> String {
    format!("{} cannot be read as {what} (PEM)", file.display())
}
