//! A scripted server that speaks MongoDB's OP_MSG: for what no test server shows. Faults at chosen commands and connections, errors with
//! and without labels, replies cut in the middle, odd change events, topologies.
//!
//! It answers on its own what a client needs for reading a database and following it: `hello`, `ping`, `listCollections`, `find` by
//! `_id` order, and a change stream over a log ([`log`]) that honours resume tokens, start times and trimming. [`Rule`]s come first: each
//! takes commands that it names, so many times. It is not a database: filters other than bounds of `_id` are not looked at, nothing
//! is written, and whoever logs in by certificate is let in. One thread per connection; all end when it is dropped.

mod answer;
mod connection;
pub mod event;
mod find;
mod line;
mod log;
mod rule;
mod shape;
mod wire;

pub use line::Tls;
pub use log::Entry;
pub use rule::Rule;
pub use shape::Shape;

use crate::mongo_server;
use crate::wait::wait_until;
use bson::{Document, RawDocumentBuf};
use log::Log;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A command that a client sent.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection, counted from 0.
    pub connection: usize,
    /// Its name.
    pub name: String,
    /// All of it.
    pub body: Document,
    /// It came compressed.
    pub compressed: bool,
}

impl Seen {
    /// The stage that opens a change stream, if this opens one.
    pub fn change_stream(&self) -> Option<&Document> {
        let first = self.body.get_array("pipeline").ok()?.first()?.as_document()?;
        (self.name == "aggregate").then(|| first.get_document("$changeStream").ok())?
    }
}

/// The server.
#[derive(Debug)]
pub struct MongoFake {
    port: u16,
    stage: Arc<Stage>,
}

/// What all connections share.
#[derive(Debug)]
struct Stage {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    shape: Shape,
    /// Only TLS is spoken.
    tls: Option<Tls>,
    /// Most documents of a find in one reply.
    largest_batch: usize,
    rules: Vec<Rule>,
    seen: Vec<Seen>,
    log: Log,
    collections: BTreeMap<String, Vec<RawDocumentBuf>>,
    cursors: HashMap<i64, Cursor>,
    opened: i64,
    connections: usize,
    sockets: Vec<TcpStream>,
    refusing: bool,
    closed: bool,
}

/// An open cursor.
#[derive(Debug)]
enum Cursor {
    /// Of a change stream: the place in the log.
    Stream(usize),
    /// Of a find: what is left.
    Documents(VecDeque<RawDocumentBuf>),
}

impl MongoFake {
    /// Listens on a free port of loopback.
    pub fn start(shape: Shape) -> Self {
        Self::listen(shape, None)
    }

    /// The same, speaking TLS only, with clients that show a certificate only.
    pub fn start_tls(shape: Shape, tls: Tls) -> Self {
        Self::listen(shape, Some(tls))
    }

    fn listen(shape: Shape, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state = State {
            shape,
            tls,
            largest_batch: usize::MAX,
            rules: Vec::new(),
            seen: Vec::new(),
            log: Log::default(),
            collections: BTreeMap::new(),
            cursors: HashMap::new(),
            opened: 0,
            connections: 0,
            sockets: Vec::new(),
            refusing: false,
            closed: false,
        };
        let stage = Arc::new(Stage { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&stage);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.state().closed {
                    break;
                }
                connection::admit(&accepting, client, port);
            }
        });
        Self { port, stage }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How to reach it directly: see [`mongo_server::uri`].
    pub fn uri(&self) -> String {
        mongo_server::uri(self.port)
    }

    /// How to reach it as a member of its set, whose hosts the client then follows.
    pub fn set_uri(&self) -> String {
        let patience = mongo_server::SELECTION_PATIENCE.as_millis();
        let options = format!("serverMonitoringMode=poll&serverSelectionTimeoutMS={patience}");
        format!("mongodb://127.0.0.1:{}/?replicaSet={}&{options}", self.port, shape::SET_NAME)
    }

    /// Adds a rule behind those that stand. The first that fits a command is taken.
    pub fn rule(&self, rule: Rule) {
        self.stage.state().rules.push(rule);
    }

    /// Forgets all rules; how many of them still had something to do.
    pub fn forget_rules(&self) -> usize {
        std::mem::take(&mut self.stage.state().rules).iter().filter(|rule| !rule.is_spent()).count()
    }

    /// From now on `hello` says this.
    pub fn become_shape(&self, shape: Shape) {
        self.stage.state().shape = shape;
    }

    /// A collection and its documents, which must stand in the order of their `_id`s.
    pub fn collection(&self, name: &str, documents: Vec<RawDocumentBuf>) {
        self.stage.state().collections.insert(name.to_owned(), documents);
    }

    /// From now on a reply holds at most so many documents of a find, however many are asked for: as if they were large.
    pub fn reply_with_at_most(&self, documents: usize) {
        self.stage.state().largest_batch = documents;
    }

    /// Appends to the log of changes.
    pub fn log(&self, entries: impl IntoIterator<Item = Entry>) {
        self.stage.state().log.entries.extend(entries);
        self.stage.changed.notify_all();
    }

    /// Appends change events to the log.
    pub fn emit(&self, events: impl IntoIterator<Item = RawDocumentBuf>) {
        self.log(events.into_iter().map(Entry::Event));
    }

    /// A stream opened without a start sees the log from its first entry on, rather than from its end.
    pub fn start_at_the_first_entry(&self) {
        self.stage.state().log.unplaced_at_first = true;
    }

    /// The log is cut off: whoever wants to start at what it holds now gets a 286.
    pub fn trim(&self) {
        let mut state = self.stage.state();
        state.log.floor = state.log.entries.len() + 1;
    }

    /// All open cursors are gone: the next getMore gets a 43.
    pub fn forget_cursors(&self) {
        self.stage.state().cursors.clear();
    }

    /// Resets all open connections.
    pub fn cut_all(&self) {
        let sockets = std::mem::take(&mut self.stage.state().sockets);
        sockets.iter().for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
    }

    /// From now on connections are closed as soon as they are made, and open ones with them: the server is down.
    pub fn refuse(&self) {
        self.stage.state().refusing = true;
        self.cut_all();
    }

    /// Ends [`MongoFake::refuse`].
    pub fn heal(&self) {
        self.stage.state().refusing = false;
    }

    /// All commands so far, without those by which drivers watch a server.
    pub fn seen(&self) -> Vec<Seen> {
        let watching = ["hello", "isMaster", "ismaster"];
        self.stage.state().seen.iter().filter(|seen| !watching.contains(&seen.name.as_str())).cloned().collect()
    }

    /// Commands of this name so far; `$changeStream` are the aggregates that open a stream.
    pub fn seen_named(&self, name: &str) -> Vec<Seen> {
        let fits = |seen: &Seen| seen.name == name || (name == rule::STREAM && seen.change_stream().is_some());
        self.stage.state().seen.iter().filter(|seen| fits(seen)).cloned().collect()
    }

    /// Waits until so many commands of this name came.
    #[track_caller]
    pub fn expect_seen(&self, name: &str, count: usize, deadline: Duration) {
        wait_until(deadline, &format!("{count} times {name} came"), || self.seen_named(name).len() >= count);
    }
}

impl Drop for MongoFake {
    fn drop(&mut self) {
        self.stage.state().closed = true;
        self.stage.changed.notify_all();
        self.cut_all();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds the state")
    }
}

#[cfg(test)]
mod tests;
