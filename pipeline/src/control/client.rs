//! The command line's end of the control socket.

use super::positions::decoded;
use super::protocol::{Answer, CheckpointVerb, Content, Line, MAX_ANSWER, Refused, Request, line_of, read_line};
use super::socket::ControlSocket;
use crate::log_dial::LogLevel;
use crate::redress::{Done, Order};
use crate::replay::into::IntoVerb;
use crate::replay::{self, cut::CutReport};
use crate::status::StatusReport;
use landfall_schemas::position::PositionTable;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Longest wait for an answer: over the service's own limit, so that its word is heard.
const ANSWER: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket failed.
    #[error("the control socket failed: {}", .0.kind())]
    Io(#[from] io::Error),
    /// Something else than an answer came.
    #[error("the service answered in a way this version does not know")]
    Foreign,
    /// The service said no.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl ControlError {
    /// The stream is not to be had for a moment: worth asking again.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(refused) if ["stream_busy", "first_load", "checkpoint_moved"].contains(&refused.code.as_str()))
    }
}

/// A connection to a running service.
#[derive(Debug)]
pub struct ControlClient {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl ControlClient {
    /// Connects to the service of a state directory; `None` when none runs there.
    pub async fn connect(state_dir: &Path) -> Result<Option<Self>, ControlError> {
        let socket = match ControlSocket::of(state_dir) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(socket.connect().await?.map(Self::over))
    }

    fn over(stream: UnixStream) -> Self {
        let (read, writer) = stream.into_split();
        Self { reader: BufReader::new(read), writer }
    }

    /// The service's pipeline and process.
    pub async fn ping(&mut self) -> Result<(String, u32), ControlError> {
        match self.ask(&Request::Ping).await? {
            Content::Pong { pipeline, pid } => Ok((pipeline, pid)),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Its report.
    pub async fn status(&mut self) -> Result<StatusReport, ControlError> {
        match self.ask(&Request::Status).await? {
            Content::Status(report) => Ok(*report),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Gives an operator's word; stored when this returns.
    pub async fn decide(&mut self, decide: &Request) -> Result<(), ControlError> {
        match self.ask(decide).await? {
            Content::Decided => Ok(()),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Has one piece of an order about dead letters done.
    pub async fn redress(&mut self, order: &Order, after: i64) -> Result<Done, ControlError> {
        match self.ask(&Request::Redress { order: order.clone(), after }).await? {
            Content::Redressed { tally, after } => Ok(Done { tally, after }),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Has the next turn of a replay done.
    pub async fn replay(&mut self, order: &replay::Order) -> Result<replay::Standing, ControlError> {
        match self.ask(&Request::Replay { order: order.clone() }).await? {
            Content::Replaying(standing) => Ok(standing),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Does something about a schema beside the live one; the streams that need a base, where that was asked.
    pub async fn beside(&mut self, what: IntoVerb) -> Result<Vec<String>, ControlError> {
        match self.ask(&Request::Into { what }).await? {
            Content::Into { needing } => Ok(needing),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Makes, lists or deletes named checkpoints; those there are then.
    pub async fn checkpoint(&mut self, what: CheckpointVerb) -> Result<Vec<CutReport>, ControlError> {
        match self.ask(&Request::Checkpoint { what }).await? {
            Content::Checkpoints(cuts) => Ok(cuts),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Where the capture of a source stands.
    pub async fn positions(&mut self, source: &str) -> Result<PositionTable, ControlError> {
        match self.ask(&Request::Positions { source: source.to_owned() }).await? {
            Content::Positions(slots) => decoded(&slots).ok_or(ControlError::Foreign),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Tells what a comparison has shown.
    pub async fn shown(&mut self, streams: Vec<(String, String)>) -> Result<(), ControlError> {
        match self.ask(&Request::Shown { streams }).await? {
            Content::Noted => Ok(()),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Turns how much the service's log says.
    pub async fn log_level(&mut self, level: LogLevel, actor: String) -> Result<(), ControlError> {
        match self.ask(&Request::LogLevel { level, actor }).await? {
            Content::Turned => Ok(()),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Changes pause or throttle; stored when this returns.
    pub async fn control(&mut self, control: &Request) -> Result<(), ControlError> {
        match self.ask(control).await? {
            Content::Controlled => Ok(()),
            _ => Err(ControlError::Foreign),
        }
    }

    /// Has the records captured again whose keys stand in the state directory; how many there are.
    pub async fn repair(&mut self, stream: String) -> Result<u64, ControlError> {
        match self.ask(&Request::Repair { stream }).await? {
            Content::Repairing { keys } => Ok(keys),
            _ => Err(ControlError::Foreign),
        }
    }

    /// How many events of these streams there are once everything that stands in their sources now is captured.
    pub async fn mark(&mut self, streams: Vec<String>) -> Result<Vec<(String, u64)>, ControlError> {
        match self.ask(&Request::Mark { streams }).await? {
            Content::Marked { captured } => Ok(captured),
            _ => Err(ControlError::Foreign),
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<Content, ControlError> {
        let exchange = async {
            self.writer.write_all(&line_of(request)?).await?;
            read_line(&mut self.reader, MAX_ANSWER).await
        };
        let line =
            tokio::time::timeout(ANSWER, exchange).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let Line::Whole(line) = line else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        match serde_json::from_slice(&line).map_err(|_| ControlError::Foreign)? {
            Answer::Ok(content) => Ok(content),
            Answer::Refused(refused) => Err(refused.into()),
        }
    }
}
