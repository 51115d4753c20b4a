//! A hook that is an address: the event is the body of a POST.
//!
//! Over TLS with the public authorities; clear text only to this machine, by the address that is connected to and not only by its name. An answer that may
//! be another one later (no connection, 408, 429, 5xx) is asked for again a few times; anything else but 2xx is given up at once. Redirects are not
//! followed: the token would go where nobody sent it. Neither address nor token reach a log.

use super::event::Event;
use crate::config::hooks::Post;
use crate::status::Trouble;
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
use tokio_util::sync::CancellationToken;

/// Before the second, third … try: a receiver that is started anew is back by the last one.
const WAITS: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

/// Why a try was in vain.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Vain {
    why: String,
    /// It may go well later.
    passing: bool,
}

impl Vain {
    fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), passing: true }
    }

    fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), passing: false }
    }
}

/// Posts an event, a few times if need be. While the service stops nothing is tried again.
pub(super) async fn post(
    hook: &Post,
    event: &Event,
    timeout: Duration,
    stop: &CancellationToken,
) -> Result<(), Trouble> {
    let body = Bytes::from(event.json());
    let mut waits = WAITS.iter();
    for tries in 1.. {
        let tried = tokio::time::timeout(timeout, Box::pin(attempt(hook, body.clone()))).await;
        let tried = tried.unwrap_or_else(|_| Err(Vain::passing(format!("no answer within {timeout:?}"))));
        let Err(vain) = tried else { return Ok(()) };
        let wait = waits.next().filter(|_| vain.passing && !stop.is_cancelled());
        let Some(wait) = wait else { return Err(given_up(&vain.why, tries)) };
        tracing::debug!(tries, "a hook's receiver: {}; it is tried again", vain.why);
        tokio::select! {
            () = tokio::time::sleep(*wait) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

fn given_up(why: &str, tries: u32) -> Trouble {
    let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
    Trouble { code: "hook_failed".to_owned(), detail: format!("the receiver: {why}; given up, tried {times}") }
}

async fn attempt(hook: &Post, body: Bytes) -> Result<(), Vain> {
    // Checked when the configuration was read.
    let uri: Uri = hook.url.reveal().parse().map_err(|_| Vain::lasting("its address is none"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let request = request(&uri, hook, body)?;
    let stream = connect(&host, port, encrypted).await?;
    let status = if encrypted {
        let name = ServerName::try_from(host).map_err(|_| Vain::lasting("its host has no name for TLS"))?;
        let shaken = TlsConnector::from(trust()?).connect(name, stream).await;
        ask(shaken.map_err(|error| unsafe_tls(&error))?, request).await?
    } else {
        ask(stream, request).await?
    };
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Vain::passing(answered(status))),
        status if status.is_server_error() => Err(Vain::passing(answered(status))),
        status => Err(Vain::lasting(answered(status))),
    }
}

fn answered(status: StatusCode) -> String {
    format!("answered {}", status.as_u16())
}

fn request(uri: &Uri, hook: &Post, body: Bytes) -> Result<Request<Full<Bytes>>, Vain> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, authority)
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("landfall/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = &hook.token {
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

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use crate::config::Secret;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers every request with the next of these; what was asked.
    async fn receiver(listener: &TcpListener, answers: &[&str]) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut text = String::new();
            while !text.ends_with("}\n") {
                let mut piece = [0; 1_024];
                let read = stream.read(&mut piece).await.expect("a request");
                assert!(read > 0, "{text}");
                text.push_str(std::str::from_utf8(&piece[..read]).expect("text"));
            }
            stream.write_all(answer.as_bytes()).await.expect("it listens");
            asked.push(text);
        }
        asked
    }

    async fn posted(answers: &[&str]) -> (Result<(), Trouble>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://localhost:{}/x?y=canary-path", listener.local_addr().expect("an address").port());
        let hook = Post { url: Secret::new(url), token: Some(Secret::new("canary-token".to_owned())) };
        let stop = CancellationToken::new();
        let told = event("halted", "users", "mapping_changed");
        let (ended, asked) = tokio::join!(
            Box::pin(post(&hook, &told, Duration::from_secs(10), &stop)),
            Box::pin(receiver(&listener, answers))
        );
        (ended, asked)
    }

    const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

    #[tokio::test]
    async fn it_is_one_request_with_the_event_and_the_token() {
        let (ended, asked) = posted(&[OK]).await;
        assert_eq!(ended, Ok(()));
        assert!(asked[0].starts_with("POST /x?y=canary-path HTTP/1.1\r\n"), "{asked:?}");
        assert!(asked[0].contains("authorization: Bearer canary-token\r\n"), "{asked:?}");
        assert!(asked[0].contains("\"code\":\"mapping_changed\""), "{asked:?}");
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_does_not_is_given_up() {
        let busy = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        let (ended, asked) = posted(&[busy, "", OK]).await;
        assert_eq!((ended, asked.len()), (Ok(()), 3), "an answer of 500, then none, then a good one");
        let (ended, _) =
            posted(&["HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"]).await;
        let trouble = ended.expect_err("a redirect is not followed");
        assert_eq!(trouble.detail, "the receiver: answered 302; given up, tried once");
    }

    #[tokio::test]
    async fn nothing_is_posted_in_clear_text_beyond_this_machine() {
        let hook = Post { url: Secret::new("http://192.0.2.1:9/".to_owned()), token: None };
        let stop = CancellationToken::new();
        let ended = post(&hook, &event("held", "a", "held"), Duration::from_secs(5), &stop).await;
        let trouble = ended.expect_err("it is refused");
        assert!(trouble.detail.contains("no address that may be posted to"), "{trouble:?}");
    }

    #[tokio::test]
    async fn a_receiver_that_is_not_there_is_given_up_at_once_when_the_service_stops() {
        let hook = Post { url: Secret::new("https://127.0.0.1:1/canary-path".to_owned()), token: None };
        let stop = CancellationToken::new();
        stop.cancel();
        let ended = post(&hook, &event("held", "a", "held"), Duration::from_secs(5), &stop).await;
        let trouble = ended.expect_err("nobody is there");
        assert_eq!(trouble.code, "hook_failed");
        assert!(trouble.detail.contains("cannot be reached") && !trouble.detail.contains("canary"), "{trouble:?}");
    }
}
