//! The line of a connection: plain, or TLS with a certificate that the client must show.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// What a server that speaks TLS only is made with.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// A server with this certificate and key, for clients whose certificate `authority` signed.
    pub fn new((certificate, key): (&Path, &Path), authority: &Path) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        certificates(authority).into_iter().for_each(|root| roots.add(root).expect("an authority can be trusted"));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the usual versions")
            .with_client_cert_verifier(verifier.expect("there is an authority"))
            .with_single_cert(certificates(certificate), PrivateKeyDer::from_pem_file(key).expect("a key"))
            .expect("the certificate fits the key");
        Self(Arc::new(config))
    }
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_file_iter(file).expect("a file of certificates");
    read.map(|certificate| certificate.expect("a certificate")).collect()
}

/// A connection's bytes.
pub(super) enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Line {
    pub(super) fn new(client: TcpStream, tls: Option<&Tls>) -> Option<Self> {
        let _ = client.set_nodelay(true);
        let Some(Tls(config)) = tls else { return Some(Self::Plain(client)) };
        let session = ServerConnection::new(Arc::clone(config)).ok()?;
        Some(Self::Tls(Box::new(StreamOwned::new(session, client))))
    }

    pub(super) fn close(&mut self) {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(session) => &session.sock,
        };
        let _ = socket.shutdown(Shutdown::Both);
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(session) => session.read(into),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(session) => session.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(session) => session.flush(),
        }
    }
}
