//! HTTP over TLS, as a client that trusts one authority and asks for one name.

use crate::http::{Answer, Http};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Sends a request's head, but for its end and `Connection`, and reads the answer.
pub fn ask(http: &Http, authority: &Path, name: &str, head: &str) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("an authority")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions of TLS").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(connection, http.connect().expect("the service is connected to"));
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).expect("the service listens");
    Answer::read(&mut stream)
}
