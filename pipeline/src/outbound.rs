//! One POST of JSON to an address outside: what hooks and traces are told and sent with.
//!
//! Over TLS with the public authorities; clear text only to this machine, by the address that is connected to and not only by its name. Redirects are
//! not followed: the token would go where nobody sent it. Neither address nor token reach a log. Owns no second try: whoever posts knows
//! which answers may be others later.

use crate::config::Post;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// Why a try was in vain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Vain {
    /// In words of ours: the other side's, and its address, are not repeated.
    pub(crate) why: String,
    /// It may go well later.
    pub(crate) passing: bool,
}

impl Vain {
    pub(crate) fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), passing: true }
    }

    pub(crate) fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), passing: false }
    }
}

/// What an answer is called.
pub(crate) fn answered(status: StatusCode) -> String {
    format!("answered {}", status.as_u16())
}

/// Posts a body and gives the status of the answer, whatever it is. Safe to drop: the connection ends with it.
pub(crate) async fn post(to: &Post, body: Bytes, timeout: Duration) -> Result<StatusCode, Vain> {
    let tried = tokio::time::timeout(timeout, Box::pin(attempt(to, body))).await;
    tried.unwrap_or_else(|_| Err(Vain::passing(format!("no answer within {timeout:?}"))))
}

async fn attempt(to: &Post, body: Bytes) -> Result<StatusCode, Vain> {
    // Checked when the configuration was read.
    let uri: Uri = to.url.reveal().parse().map_err(|_| Vain::lasting("its address is none"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let request = request(&uri, to, body)?;
    let stream = connect(&host, port, encrypted).await?;
    if encrypted {
        let name = ServerName::try_from(host).map_err(|_| Vain::lasting("its host has no name for TLS"))?;
        let shaken = TlsConnector::from(trust()?).connect(name, stream).await;
        ask(shaken.map_err(|error| unsafe_tls(&error))?, request).await
    } else {
        ask(stream, request).await
    }
}

fn request(uri: &Uri, to: &Post, body: Bytes) -> Result<Request<Full<Bytes>>, Vain> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, authority)
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("landfall/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = &to.token {
        let shown = format!("Bearer {}", token.reveal());
        let mut value = HeaderValue::from_str(&shown).map_err(|_| Vain::lasting("its token is no header"))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::new(body)).map_err(|_| Vain::lasting("its address makes no request"))
}

/// Connects to the first of its addresses that answers; in clear text only to those of this machine.
async fn connect(host: &str, port: u16, encrypted: bool) -> Result<TcpStream, Vain> {
    let unreached = |error: io::Error| Vain::passing(format!("cannot be reached: {}", error.kind()));
    let found = lookup_host((host, port)).await.map_err(unreached)?;
    let allowed: Vec<SocketAddr> = found.filter(|address| encrypted || address.ip().is_loopback()).collect();
    if allowed.is_empty() {
        return Err(Vain::lasting("has no address that may be posted to"));
    }
    TcpStream::connect(&allowed[..]).await.map_err(unreached)
}

/// The public authorities, TLS 1.2 and 1.3.
fn trust() -> Result<Arc<ClientConfig>, Vain> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| Vain::lasting("TLS cannot be set up"))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// A certificate that is not trusted now will not be in a minute.
fn unsafe_tls(error: &io::Error) -> Vain {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Vain::lasting("its certificate is not trusted"),
        Some(_) => Vain::lasting("TLS was refused"),
        None => Vain::passing(format!("TLS ended: {}", error.kind())),
    }
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, Vain>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // What the other side did wrong is told in our words.
    let broken = |_: hyper::Error| Vain::passing("ended the connection without an answer");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // It may have ended with the answer, which then is there.
        _ = connection => answer.await,
    };
    Ok(answer.map_err(broken)?.status())
}
