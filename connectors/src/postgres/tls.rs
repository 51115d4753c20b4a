//! What `sslmode` means: rustls with the ring provider, and nothing that accepts a certificate silently.
//!
//! | mode        | encrypted | certificate signed by a known CA | certificate names the host |
//! |-------------|-----------|----------------------------------|----------------------------|
//! | disable     | no        | —                                | —                          |
//! | require     | yes       | not checked                      | not checked                |
//! | verify-ca   | yes       | checked                          | not checked                |
//! | verify-full | yes       | checked                          | checked                    |
//!
//! `prefer` and `allow` are refused: they fall back to clear text when somebody in the middle says "no TLS here". A server
//! that answers "no TLS" to any mode but `disable` is not spoken to. Known CAs are those of `sslrootcert`, else Mozilla's.

use super::config::InvalidTarget;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// Our own meanings of `sslmode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsMode {
    /// Clear text.
    Disable,
    /// Encrypted, against listeners only.
    Require,
    /// Encrypted, and the certificate's issuer is known.
    VerifyCa,
    /// Encrypted, issuer known, and issued for this host.
    VerifyFull,
}

impl TlsMode {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidTarget> {
        match text {
            "disable" => Ok(Self::Disable),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            "prefer" => Err(InvalidTarget::MayFallBack("prefer")),
            "allow" => Err(InvalidTarget::MayFallBack("allow")),
            _ => Err(InvalidTarget::UnknownMode),
        }
    }

    pub(crate) fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

/// The rustls configuration of a mode; `None` for clear text.
pub(crate) fn client_config(mode: TlsMode, root: Option<&Path>) -> Result<Option<ClientConfig>, InvalidTarget> {
    if mode == TlsMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| InvalidTarget::Tls(e.to_string()))?;
    let config = match mode {
        TlsMode::Disable => return Ok(None),
        TlsMode::Require => {
            let verifier = Lenient { provider, chain: None };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        TlsMode::VerifyCa => {
            let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(root)?), Arc::clone(&provider))
                .build()
                .map_err(|e| InvalidTarget::Tls(e.to_string()))?;
            let verifier = Lenient { provider, chain: Some(chain) };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        TlsMode::VerifyFull => builder.with_root_certificates(roots(root)?).with_no_client_auth(),
    };
    Ok(Some(config))
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, InvalidTarget> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(store);
    };
    let unusable = |why: String| InvalidTarget::Root(format!("{}: {why}", file.display()));
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unusable(e.to_string()))? {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        store.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    if store.is_empty() { Err(unusable("holds no certificate".into())) } else { Ok(store) }
}

/// Checks less than rustls would: the chain but not the name (`verify-ca`), or only that the server holds the key of the
/// certificate it shows (`require`).
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The chain is verified before the name, so a complaint about the name says that the chain is good.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
