//! The service's end of the control socket.

use super::positions::encoded;
use super::protocol::{
    Answer, CheckpointVerb, Content, ControlChange, Line, MAX_REQUEST, Refused, Request, line_of, read_line,
};
use crate::log_dial::LogLevel;
use crate::redress::{Done, Order};
use crate::replay::into::IntoVerb;
use crate::replay::{self, cut::CutReport};
use crate::status::StatusReport;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use landfall_schemas::position::PositionTable;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Most clients at once; the next one waits in the kernel's backlog.
pub const MAX_CLIENTS: usize = 16;
/// A client that neither asks nor takes its answer for so long is dropped. `status --watch` asks every second.
pub const IDLE: Duration = Duration::from_secs(30);
/// Longest a decision may take: it is written to the target.
const ANSWER: Duration = Duration::from_secs(20);

/// Who answers.
pub trait ControlHandler: Sync {
    /// The pipeline's name.
    fn pipeline(&self) -> &str;

    /// The report of now.
    fn status(&self) -> impl Future<Output = StatusReport> + Send;

    /// Takes and stores a decision. An error names what is unknown or could not be stored.
    fn decide(&self, decision: Decide) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Has a stream go on from now that halted because its place is lost.
    fn go_on(&self, order: GoOn) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Does one piece of an order about dead letters.
    fn redress(&self, order: Order, after: i64) -> impl Future<Output = Result<Done, Refused>> + Send;

    /// Does the next turn of a replay.
    fn replay(&self, order: replay::Order) -> impl Future<Output = Result<replay::Standing, Refused>> + Send;

    /// Does what is asked about a schema beside; the streams that need a base, where that was asked.
    fn beside(&self, what: IntoVerb) -> impl Future<Output = Result<Vec<String>, Refused>> + Send;

    /// Makes, lists or deletes named checkpoints; those there are then.
    fn checkpoint(&self, what: CheckpointVerb) -> impl Future<Output = Result<Vec<CutReport>, Refused>> + Send;

    /// Where the capture of a source stands.
    fn positions(&self, source: String) -> impl Future<Output = Result<PositionTable, Refused>> + Send;

    /// Notes what a comparison has shown: stream and doubt.
    fn shown(&self, streams: Vec<(String, String)>) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Has the sources of these streams looked at once more, and tells how many events there are then.
    fn mark(&self, streams: Vec<String>) -> impl Future<Output = Result<Vec<(String, u64)>, Refused>> + Send;

    /// Has records of a stream captured again: how many.
    fn repair(&self, stream: String) -> impl Future<Output = Result<u64, Refused>> + Send;

    /// Turns how much the log says.
    fn log_level(&self, level: LogLevel, actor: String) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Changes pause or throttle, and stores it.
    fn control(&self, wanted: SetControl) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// A change of pause or throttle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetControl {
    /// Which streams.
    pub streams: Vec<String>,
    /// What changes.
    pub change: ControlChange,
    /// Who says so.
    pub actor: String,
    /// And why; may be empty.
    pub reason: String,
}

/// An order to go on over a lost place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GoOn {
    /// Which stream.
    pub stream: String,
    /// Code of the halted state.
    pub subject: String,
    /// Who says so.
    pub actor: String,
}

/// An operator's word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decide {
    /// Which stream.
    pub stream: String,
    /// Hash of the held revision, or code of the halted state.
    pub subject: String,
    /// Accept or refuse.
    pub accept: bool,
    /// Who says so.
    pub actor: String,
}

/// Serves until `stop`. Runs all clients in this one future: nothing is spawned. A client's failure ends that client only;
/// an error here means that no client can be accepted any more.
pub async fn serve(listener: &UnixListener, handler: &impl ControlHandler, stop: &CancellationToken) -> io::Result<()> {
    let mut clients = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept(), if clients.len() < MAX_CLIENTS => match accepted {
                Ok((stream, _)) => clients.push(Box::pin(client(stream, handler))),
                // The client went before it was accepted, or descriptors are short: neither ends the service.
                Err(error) => {
                    tracing::warn!(code = "control_accept", "control socket: {}", error.kind());
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = clients.next(), if !clients.is_empty() => {
                if let Err(error) = ended {
                    tracing::debug!(code = "control_client", "control client: {}", error.kind());
                }
            }
        }
    }
}

async fn client(stream: UnixStream, handler: &impl ControlHandler) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    loop {
        let line = timely(IDLE, read_line(&mut reader, MAX_REQUEST)).await?;
        let (answer, last) = match line {
            Line::End => return Ok(()),
            Line::TooLong => (Answer::Refused(Refused::new("request_too_long", "a request has at most 16 KiB")), true),
            Line::Whole(line) => (answer(&line, handler).await, false),
        };
        timely(IDLE, write.write_all(&line_of(&answer)?)).await?;
        if last {
            return Ok(());
        }
    }
}

async fn answer(line: &[u8], handler: &impl ControlHandler) -> Answer {
    let request = match serde_json::from_slice::<Request>(line) {
        Ok(request) => request,
        Err(_) => return Answer::Refused(Refused::new("bad_request", "this is not a request of this version")),
    };
    let work = async {
        match request {
            Request::Ping => Ok(Content::Pong { pipeline: handler.pipeline().to_owned(), pid: std::process::id() }),
            Request::Status => Ok(Content::Status(Box::new(handler.status().await))),
            Request::GoOn { stream, subject, actor } => {
                handler.go_on(GoOn { stream, subject, actor }).await.map(|()| Content::Decided)
            }
            Request::Redress { order, after } => {
                let done = handler.redress(order, after).await;
                done.map(|done| Content::Redressed { tally: done.tally, after: done.after })
            }
            Request::Replay { order } => handler.replay(order).await.map(Content::Replaying),
            Request::Into { what } => handler.beside(what).await.map(|needing| Content::Into { needing }),
            Request::Checkpoint { what } => handler.checkpoint(what).await.map(Content::Checkpoints),
            Request::Positions { source } => {
                handler.positions(source).await.map(|table| Content::Positions(encoded(&table)))
            }
            Request::Shown { streams } => handler.shown(streams).await.map(|()| Content::Noted),
            Request::Decide { stream, subject, accept, actor } => {
                handler.decide(Decide { stream, subject, accept, actor }).await.map(|()| Content::Decided)
            }
            Request::Repair { stream } => handler.repair(stream).await.map(|keys| Content::Repairing { keys }),
            Request::Mark { streams } => handler.mark(streams).await.map(|captured| Content::Marked { captured }),
            Request::LogLevel { level, actor } => handler.log_level(level, actor).await.map(|()| Content::Turned),
            Request::Control { streams, change, actor, reason } => {
                handler.control(SetControl { streams, change, actor, reason }).await.map(|()| Content::Controlled)
            }
        }
    };
    match tokio::time::timeout(ANSWER, work).await {
        Ok(Ok(content)) => Answer::Ok(content),
        Ok(Err(refused)) => Answer::Refused(refused),
        Err(_) => Answer::Refused(Refused::new(
            "no_answer_in_time",
            "the service did not answer in time; whether a decision was stored shows in `landfall status`",
        )),
    }
}

async fn timely<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
