//! Connections: how many, how long, how slow.
//!
//! At most [`MOST`] at once; the next ones wait in the kernel's backlog, and callers that only dawdle give way to them. A caller has [`PATIENCE`] to shake hands, to send a request's head, to send
//! its body, and to take each piece of the answer. All of them run in one future: a thousand callers are never more than one core's work.

use super::guard::Caller;
use super::place::{Place, Places};
use super::timely::Timely;
use super::web::Web;
use crate::control::ControlHandler;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Most connections at once.
const MOST: usize = 64;
/// How long a caller may take for the next thing it has to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be kept for further requests; a scraper opens another one.
const LIFE: Duration = Duration::from_secs(60);
/// Longest head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// Between two looks for callers that give way, while all places are taken.
const LOOK: Duration = Duration::from_millis(100);
/// Between two tries where no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`.
pub(super) async fn serve<H: ControlHandler>(
    listener: &TcpListener,
    tls: Option<&TlsAcceptor>,
    web: &Web<H>,
    stop: &CancellationToken,
) {
    let (mut callers, mut places) = (FuturesUnordered::new(), Places::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept(), if callers.len() < MOST => match accepted {
                Ok((stream, _)) => callers.push(Box::pin(caller(stream, tls, web, places.take()))),
                // The caller went before it was accepted, or descriptors are short: neither ends the service.
                Err(error) => {
                    tracing::warn!(code = "http_accept", "http: {}", error.kind());
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = tokio::time::sleep(LOOK), if callers.len() == MOST => places.make_room(Instant::now()),
            Some(ended) = callers.next(), if !callers.is_empty() => {
                if let Err(error) = ended {
                    tracing::debug!(code = "http_caller", "http caller: {}", error.kind());
                }
            }
        }
    }
}

async fn caller<H: ControlHandler>(
    stream: TcpStream,
    tls: Option<&TlsAcceptor>,
    web: &Web<H>,
    place: Arc<Place>,
) -> io::Result<()> {
    tokio::select! {
        ended = talk(stream, tls, web, &place) => ended,
        () = place.needed.cancelled() => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn talk<H: ControlHandler>(
    stream: TcpStream,
    tls: Option<&TlsAcceptor>,
    web: &Web<H>,
    place: &Place,
) -> io::Result<()> {
    let local: Option<IpAddr> = stream.local_addr().ok().map(|address| address.ip());
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return converse(stream, Caller { local, server_name: None }, web, place).await;
    };
    let shaken = timeout(PATIENCE, tls.accept(stream)).await;
    let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let server_name = stream.get_ref().1.server_name().map(str::to_owned);
    converse(stream, Caller { local, server_name }, web, place).await
}

async fn converse<S, H>(stream: S, caller: Caller, web: &Web<H>, place: &Place) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: ControlHandler,
{
    let caller = &caller;
    let answering = service_fn(move |request| async move {
        let _answering = place.answering();
        Ok::<_, Infallible>(web.answer(request, caller).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Timely::new(stream, PATIENCE)), answering);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = tokio::time::sleep(LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let rest = timeout(web.longest() + PATIENCE, connection).await;
            rest.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        }
    };
    // What a caller did wrong is its own affair; no text of it reaches a log.
    ended.map_err(|error| if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::InvalidData }.into())
}
