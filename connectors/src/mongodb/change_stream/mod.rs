//! The change stream of one database, as a source.
//!
//! Owns one stream for all collections, where capture stands in it, and what becomes of it when it breaks: each error closes it, and it is
//! opened anew from the place handed out last, after a wait that grows. It never goes on from "now" over a lost place (promise 6):
//! it halts, and an operator's word begins anew: with a barrier for every stream, so that each is copied again, or without one where the
//! operator has what changed in between found by comparing.
//!
//! A position is handed out with the changes before it (promise 1), and about once a minute while nothing of ours changes, because the
//! place of the last change falls off the source's log while that of a quiet stream moves on. Does not copy, map or look at documents.
//!
//! Driven from the capture thread, which blocks on the driver: no read waits longer than the source is told to await a change, and no
//! future of the driver is dropped half way. Fails never: what goes wrong is a [`Condition`].

mod event;
mod fragments;
mod handing_out;
mod log_window;
mod opening;
mod position;
mod reading;
mod setbacks;
mod source;
mod tail;
mod taking;

#[cfg(test)]
mod tests;

pub use setbacks::loses_the_place;

use crate::contact::Contact;
use crate::failure::{Failure, FailureClass};
use crate::mongodb::config::MongoConfig;
use crate::retry::Pace;
use crate::source::{Condition, SourceGauges, SourceStart, SourceStream};
use crate::wake::Wake;
use bson::Timestamp;
use fragments::Fragments;
use landfall_schemas::mapping::Select;
use landfall_schemas::position::{PositionTable, PositionUpdate};
use landfall_schemas::stream::StreamId;
use log_window::LogWindow;
use mongodb::Client;
use opening::Abilities;
use position::Position;
use std::time::{Duration, Instant};
use tail::Tail;
use taking::{Taken, Taking};
use tokio::runtime::Handle;

/// A place that moved without a change of ours is saved this often: well inside any log, and no sync per read.
const QUIET_SAVE: Duration = Duration::from_secs(60);

/// Changes of a MongoDB database.
pub struct MongoSource {
    config: MongoConfig,
    runtime: Handle,
    wake: Wake,
    contact: Contact,
    client: Option<Client>,
    state: State,
    pace: Pace,
    taking: Taking,
    fragments: Fragments,
    progress: Progress,
    server: Server,
    log: LogWindow,
    reopened: u64,
}

/// Whether there is an open stream.
enum State {
    /// To be opened at `due`, or as soon as there is contact again where that was `lost`; `why` it is not open, if that is worth telling.
    Closed {
        due: Instant,
        why: Option<Failure>,
        lost: bool,
    },
    Open(Box<Tail>),
    /// Until an operator decides.
    Halted(Failure),
}

/// How far capture has come, and what of that is not handed out yet.
struct Progress {
    /// `None`: a start is to be taken.
    position: Option<Position>,
    /// The position moved since it was handed out last.
    moved: bool,
    saved: Instant,
    /// Streams whose copy is to be begun.
    to_begin: Vec<StreamId>,
    /// Marks of streams that are no longer there.
    abandoned: Vec<PositionUpdate>,
}

/// What is known of the server.
struct Server {
    abilities: Abilities,
    /// The abilities were tried out.
    probed: bool,
    /// The token was not found: the stream is opened by time until there is another.
    by_time: bool,
    /// Its newest majority-committed time, from the last reply.
    time: Option<Timestamp>,
    /// When that reply came.
    heard: Option<Instant>,
    /// That reply had no change: everything up to then is captured.
    quiet: bool,
}

impl std::fmt::Debug for MongoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl MongoSource {
    /// A source over the change stream of `config.database`; the server is asked for nothing before the first `next`.
    ///
    /// `runtime` drives the client; `next` and `wait` must be called from outside of it. Fails for a stream that is not a collection.
    pub fn new(config: MongoConfig, start: SourceStart, runtime: Handle) -> Result<Self, Failure> {
        let streams = start.streams.iter().map(collection).collect::<Result<Vec<_>, _>>()?;
        let taking = Taking::new(&config.database, config.capture, streams).growing(start.registrar);
        let (position, state) = match Position::find(&start.positions) {
            Ok(position) => (position, State::due()),
            Err(failure) => (None, State::Halted(failure)),
        };
        Ok(Self {
            progress: Progress::new(position, &taking, &start.positions),
            config,
            runtime,
            contact: Contact::new(start.wake.clone()),
            wake: start.wake,
            client: None,
            state,
            pace: Pace::new(),
            taking,
            fragments: Fragments::default(),
            server: Server::new(),
            log: LogWindow::new(),
            reopened: 0,
        })
    }

    fn figures(&self) -> SourceGauges {
        SourceGauges {
            headroom_seconds: self.log.headroom(),
            seconds_to_loss: self.log.seconds_to_loss(),
            read_lag_seconds: self.read_lag(),
            ignored: self.taking.ignored,
            unknown: self.taking.unknown.clone(),
            reopened: self.reopened,
        }
    }

    /// The source's time at the last reply less what is captured, and the time since then; nothing, where it said that there is no more.
    fn read_lag(&self) -> Option<f64> {
        let (time, heard, position) = (self.server.time?, self.server.heard?, self.progress.position.as_ref()?);
        let behind = if self.server.quiet { 0 } else { time.time.saturating_sub(position.cluster_time.time) };
        let silent = heard.elapsed();
        let silent = if silent < Duration::from_secs(1) { Duration::ZERO } else { silent };
        Some(f64::from(behind) + silent.as_secs_f64())
    }

    fn condition(&self) -> Condition {
        match &self.state {
            State::Halted(failure) => Condition::Halted(failure.clone()),
            State::Closed { why: Some(why), .. } => Condition::Waiting { code: why.code, detail: why.detail.clone() },
            // Nothing is followed before there is a place to follow from.
            State::Closed { why: None, .. } if self.progress.position.is_none() => {
                Condition::Waiting { code: "source_starting", detail: "opening the change stream".to_owned() }
            }
            State::Closed { why: None, .. } | State::Open(_) => Condition::Following,
        }
    }
}

impl State {
    /// To be opened at once.
    fn due() -> Self {
        Self::Closed { due: Instant::now(), why: None, lost: false }
    }
}

impl Progress {
    fn new(position: Option<Position>, taking: &Taking, table: &PositionTable) -> Self {
        let streams = taking.streams();
        let known = position.is_some();
        let anew = |stream: &&Taken| !known || !position::is_begun(table, stream.id, &stream.place);
        let to_begin = streams.iter().filter(anew).map(|stream| stream.id).collect();
        let is_ours = |id| streams.iter().any(|stream| stream.id == id);
        let abandoned = position::abandoned(table, is_ours);
        Self { position, moved: false, saved: Instant::now(), to_begin, abandoned }
    }
}

impl Server {
    fn new() -> Self {
        Self { abilities: Abilities::BEST, probed: false, by_time: false, time: None, heard: None, quiet: false }
    }
}

fn collection(stream: &SourceStream) -> Result<(StreamId, String), Failure> {
    match &stream.select {
        Select::Collection(name) => Ok((stream.id, name.clone())),
        Select::Whole | Select::Pointer(_) => Err(Failure::new(
            FailureClass::Halt,
            "source_target_invalid",
            format!("stream {}: a stream of a MongoDB source is a collection", stream.name),
        )),
    }
}
