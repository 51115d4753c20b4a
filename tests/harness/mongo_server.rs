//! MongoDB servers: private ones of our own, or the replica set that `MONGODB_URI` names.
//!
//! Own ones are SecantusDB, as `deploy/setup/mongodb.sh` installs it: `LANDFALL_MONGO_FLAVOUR` is `rust` (default) or `python`. Each has
//! a free port on loopback and a fresh directory, and dies with this process. Before its first use the listening socket is proven to
//! be that of the process we started: a port that somebody else took meanwhile must never be written to.
//!
//! What these servers do not show is said where it matters: without [`MongoSettings::synced`] a killed one loses about its last
//! second; a start time older than its oplog is silently moved; no elections, rollbacks or shards.

use crate::leash::Leash;
use crate::mongo_database::MongoDatabase;
use crate::postgres_server::free_port;
use crate::repository;
use crate::run_dir;
use crate::wait::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// How long a server may take to start or to stop, on a busy machine too.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);
/// How long clients look for a server before they say that there is none, unless a test says otherwise.
pub const SELECTION_PATIENCE: Duration = Duration::from_secs(5);
/// A database's name has at most 63 bytes.
const MAX_NAME: usize = 63;

/// Which program an own server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// Fast, keeps every byte.
    Rust,
    /// The second opinion.
    Python,
}

impl Flavour {
    /// As the environment says.
    pub fn from_env() -> Self {
        match std::env::var("LANDFALL_MONGO_FLAVOUR").as_deref() {
            Ok("python") => Self::Python,
            Ok("rust") | Err(_) => Self::Rust,
            Ok(other) => panic!("LANDFALL_MONGO_FLAVOUR is rust or python, not {other}"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
        }
    }
}

/// What an own server runs with beside the standard.
#[derive(Clone, Debug)]
pub struct MongoSettings {
    flavour: Flavour,
    words: Vec<String>,
}

impl Default for MongoSettings {
    fn default() -> Self {
        Self { flavour: Flavour::from_env(), words: Vec::new() }
    }
}

impl MongoSettings {
    /// Another flavour than the environment's.
    #[must_use]
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.flavour = flavour;
        self
    }

    /// A commit is on disk when it is answered: for every test that kills the server.
    #[must_use]
    pub fn synced(self) -> Self {
        self.word("--sync-on-commit")
    }

    /// `configureFailPoint` is there.
    #[must_use]
    pub fn failpoints(self) -> Self {
        self.word("--enable-test-commands")
    }

    /// About so many entries of the oplog are kept. It is trimmed once in 1,000 entries, so write more than that.
    #[must_use]
    pub fn small_oplog(self, entries: u32) -> Self {
        self.word("--oplog-max-entries").word(&entries.to_string())
    }

    /// Idle streams see their place move this often.
    #[must_use]
    pub fn heartbeats(self, every_seconds: u32) -> Self {
        self.word("--noop-heartbeat-seconds").word(&every_seconds.to_string())
    }

    /// Not a replica set: `watch` is refused with 40573.
    #[must_use]
    pub fn standalone(self) -> Self {
        self.word("--standalone")
    }

    /// Any other word of its command line.
    #[must_use]
    pub fn word(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }
}

/// A server.
#[derive(Debug)]
pub struct MongoServer {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The replica set of `MONGODB_URI`.
    Elsewhere(String),
    /// Our own.
    Here(Own),
}

#[derive(Debug)]
struct Own {
    folder: PathBuf,
    port: u16,
    settings: MongoSettings,
    process: Mutex<Option<(Child, Leash)>>,
}

impl MongoServer {
    /// The server that tests of this process share, each in databases of its own: that of `MONGODB_URI` if it is set.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MongoServer> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("MONGODB_URI") {
            Ok(uri) if !uri.is_empty() => Self { place: Place::Elsewhere(uri) },
            _ => Self::start("shared", MongoSettings::default().failpoints()),
        })
    }

    /// A server that a test may stop, kill, restart and fill. `None`, with a plain word on stderr, when the suite runs on the replica set
    /// of `MONGODB_URI`: such a test is not run there.
    pub fn start_own(name: &str, settings: MongoSettings) -> Option<Self> {
        if std::env::var("MONGODB_URI").is_ok_and(|uri| !uri.is_empty()) {
            // The test's own thread name says which test it is.
            let test = std::thread::current().name().unwrap_or(name).to_owned();
            let _ = writeln!(
                std::io::stderr(),
                "NOT RUN on MONGODB_URI: {test} needs a server that it may stop and restart"
            );
            return None;
        }
        Some(Self::start(name, settings))
    }

    fn start(name: &str, settings: MongoSettings) -> Self {
        let folder = run_dir::fresh(&format!("mongo-{name}"));
        let own = Own { folder, port: free_port(), settings, process: Mutex::new(None) };
        own.start();
        Self { place: Place::Here(own) }
    }

    /// How to reach it: see [`uri`].
    pub fn uri(&self) -> String {
        match &self.place {
            Place::Elsewhere(uri) => uri.clone(),
            Place::Here(own) => uri(own.port),
        }
    }

    /// The port of an own server.
    pub fn port(&self) -> u16 {
        self.own().port
    }

    /// Whether it is ours, and so whether failpoints and settings are as the test asked.
    pub fn is_own(&self) -> bool {
        matches!(self.place, Place::Here(_))
    }

    /// Which flavour it is; `None` for a replica set elsewhere.
    pub fn flavour(&self) -> Option<Flavour> {
        match &self.place {
            Place::Elsewhere(_) => None,
            Place::Here(own) => Some(own.settings.flavour),
        }
    }

    /// A new database whose name begins with `name`; dropped with the handle.
    pub fn database(&self, name: &str) -> MongoDatabase {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let end = format!("_{:08x}_{number}", uuid::Uuid::new_v4().as_fields().0);
        let room = MAX_NAME - "landfall_test_".len() - end.len();
        let head: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(room).collect();
        MongoDatabase::new(&self.uri(), &format!("landfall_test_{head}{end}"))
    }

    /// Stops an own server in order.
    pub fn stop(&self) {
        self.own().end(Signal::TERM);
    }

    /// Kills an own server: nothing is written any more.
    pub fn kill(&self) {
        self.own().end(Signal::KILL);
    }

    /// Starts an own server again, on the same port and directory.
    pub fn resume(&self) {
        self.own().start();
    }

    /// [`MongoServer::stop`] and [`MongoServer::resume`].
    pub fn restart(&self) {
        self.stop();
        self.resume();
    }

    /// What an own server wrote to its outputs.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.own().log()).unwrap_or_default()
    }

    fn own(&self) -> &Own {
        match &self.place {
            Place::Here(own) => own,
            Place::Elsewhere(_) => panic!("the server of MONGODB_URI is not ours to stop: use MongoServer::start_own"),
        }
    }
}

/// The URI of a server on loopback: reached directly, watched by polling (so that an error is got over in milliseconds and not at the
/// next heartbeat), given up after [`SELECTION_PATIENCE`].
pub fn uri(port: u16) -> String {
    uri_with_patience(port, SELECTION_PATIENCE)
}

/// The same with another patience.
pub fn uri_with_patience(port: u16, patience: Duration) -> String {
    let options = format!("serverMonitoringMode=poll&serverSelectionTimeoutMS={}", patience.as_millis());
    format!("mongodb://127.0.0.1:{port}/?directConnection=true&{options}")
}

/// The server's program, as the set-up script finds it.
pub fn program(flavour: Flavour) -> PathBuf {
    asked(&["--server", flavour.word()])
}

/// The Python that has pymongo, as the set-up script finds it.
pub fn python() -> PathBuf {
    asked(&["--python"])
}

fn asked(words: &[&str]) -> PathBuf {
    let script = repository::root().join("deploy/setup/mongodb.sh");
    let said = Command::new(script).args(words).output().expect("the set-up script can be run");
    assert!(said.status.success(), "not tested: no MongoDB test server here; run make setup, or set MONGODB_URI");
    PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())
}

impl Own {
    fn start(&self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("the server's log can be written");
        let errors = log.try_clone().expect("an open file can be had twice");
        let mut command = Command::new(program(self.settings.flavour));
        command.arg("--port").arg(self.port.to_string()).arg("--storage-path").arg(self.folder.join("data"));
        if self.settings.flavour == Flavour::Rust {
            // A log file is allocated whole: small ones, or every server takes 128 MB.
            command.args(["--log-file-max", "8MB"]);
        }
        command.args(&self.settings.words).current_dir(&self.folder);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("the server can be started");
        let leash = Leash::on(child.id(), "KILL");
        let mut process = self.process.lock().expect("no panic holds the server");
        let (child, _) = process.insert((child, leash));
        wait_until(SERVER_PATIENCE, "the MongoDB test server listens", || {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the server ended: {}", self.tail());
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        let id = child.id();
        wait_until(SERVER_PATIENCE, "the listening socket is our server's", || listens(id, self.port));
    }

    fn end(&self, signal: Signal) {
        let Some((mut child, _leash)) = self.process.lock().expect("no panic holds the server").take() else { return };
        let _ = kill_process(Pid::from_child(&child), signal);
        wait_until(SERVER_PATIENCE, "the MongoDB test server has stopped", || matches!(child.try_wait(), Ok(Some(_))));
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.get(text.len().saturating_sub(2_000)..).unwrap_or_default().to_owned()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Ok(mut process) = self.process.lock()
            && let Some((mut child, leash)) = process.take()
        {
            let _ = child.kill();
            let _ = child.wait();
            drop(leash);
        }
        if !std::thread::panicking() && std::env::var_os("LANDFALL_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether process `id` has the socket that listens on `port`: the kernel's word, whatever the server says.
fn listens(id: u32, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let inodes: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listening = fields.get(1)?.ends_with(&wanted) && *fields.get(3)? == LISTEN;
            listening.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
        })
        .collect();
    let held = std::fs::read_dir(Path::new("/proc").join(id.to_string()).join("fd"));
    held.into_iter().flatten().flatten().any(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| inodes.iter().any(|inode| link.to_string_lossy() == *inode))
    })
}

#[cfg(test)]
mod tests {
    use super::{MongoServer, MongoSettings, listens};
    use crate::wait::wait_for;
    use bson::{doc, rawdoc};
    use std::time::Duration;

    #[test]
    fn a_synced_server_keeps_what_it_answered_through_a_kill() {
        let Some(server) = MongoServer::start_own("kill", MongoSettings::default().synced()) else { return };
        let database = server.database("kept");
        database.insert_raw("c", &[rawdoc! { "_id": 7, "v": "kept" }]);
        server.kill();
        assert!(database.try_run(doc! { "ping": 1 }).is_err(), "a killed server does not answer");
        server.resume();
        assert_eq!(database.raw("c"), [rawdoc! { "_id": 7, "v": "kept" }]);
        server.restart();
        assert_eq!(database.count("c"), 1);
    }

    #[test]
    fn a_socket_of_another_process_is_not_taken_for_ours() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(std::process::id(), port));
        assert!(!listens(1, port));
        drop(listener);
        assert!(!listens(std::process::id(), port));
    }

    #[test]
    fn failpoints_fail_the_command_that_they_name() {
        let Some(server) = MongoServer::start_own("failpoint", MongoSettings::default().failpoints()) else { return };
        let database = server.database("failing");
        database.fail_commands(&["count"], 1, doc! { "errorCode": 13 });
        let refused = database.try_run(doc! { "count": "c" }).unwrap_err();
        assert_eq!(crate::mongo_database::code(&refused), Some(13));
        assert_eq!(database.count("c"), 0);
    }

    #[test]
    fn a_stream_that_slept_through_the_oplog_has_lost_its_place() {
        let Some(server) = MongoServer::start_own("oplog", MongoSettings::default().small_oplog(50)) else { return };
        let database = server.database("trimmed");
        let token = database.resume_token();
        let mut id = 0; // Trimming comes once in a thousand entries, or every ten seconds, as the flavour likes.
        let refused = wait_for(Duration::from_secs(60), || {
            let filler: Vec<_> = (id..id + 1_100).map(|n| rawdoc! { "_id": n }).collect();
            id += 1_100;
            database.insert_raw("c", &filler);
            database.reopen(token.clone()).err()
        });
        assert_eq!(crate::mongo_database::code(&refused.expect("the place is lost in the end")), Some(286));
    }
}
