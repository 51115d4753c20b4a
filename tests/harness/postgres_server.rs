//! Private PostgreSQL servers: own directory, free port on loopback, no socket, password required, not root.
//!
//! `initdb` runs once per test process; every server is a copy of that template. `fsync` is off: the proofs kill processes, not
//! the machine, and the page cache outlives both. Before its first use a server is asked for its data directory: a port
//! that somebody else took meanwhile must never be written to.

use crate::database::{Database, Login};
use crate::leash::Leash;
use crate::run_dir;
use crate::unprivileged::Unprivileged;
use crate::wait::{wait_for, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The superuser's password on every test server. It is a canary: the security tests look for it in everything we write.
pub const PASSWORD: &str = "canary-pa55word-d0-n0t-log";
/// How long a server may take to start or to stop.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);

/// A server of our own.
#[derive(Debug)]
pub struct PostgresServer {
    data: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<(Child, Leash)>>,
}

impl PostgresServer {
    /// The server that tests of this process share; each takes databases of its own from it. Tests that stop or fill a
    /// server start one for themselves.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared"))
    }

    /// A new server.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// A new server with further settings, each `name=value`.
    pub fn start_with(name: &str, settings: &[&str]) -> Self {
        let data = run_dir::fresh(&format!("pg-{name}")).join("data");
        copy(template(), &data);
        let server = Self {
            data,
            port: free_port(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            process: Mutex::new(None),
        };
        server.resume();
        server
    }

    /// A standby that follows this server from now on.
    pub fn standby(&self, name: &str) -> Self {
        let data = run_dir::fresh(&format!("pg-{name}")).join("data");
        let user = Unprivileged::find();
        user.own(data.parent().expect("the data directory has a folder"));
        let mut copying = Command::new(bindir().join("pg_basebackup"));
        copying.arg("-D").arg(&data).args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]).current_dir("/");
        copying.envs(self.login("postgres").environment()).env_remove("PGDATABASE");
        let done = user.run(&mut copying).output().expect("pg_basebackup can be run");
        assert!(done.status.success(), "pg_basebackup failed: {}", String::from_utf8_lossy(&done.stderr));
        // What was replayed is told every second, not every ten.
        let settings = ["hot_standby=on", "wal_receiver_status_interval=1s"].map(str::to_owned).to_vec();
        let standby = Self { data, port: free_port(), settings, process: Mutex::new(None) };
        standby.resume();
        standby
    }

    /// Starts it again after a stop; returns when it answers and is proven to be ours.
    pub fn resume(&self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("the server's log can be written");
        let mut command = Command::new(bindir().join("postgres"));
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        for setting in FIXED_SETTINGS.iter().copied().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir("/");
        let child = Unprivileged::find().run(&mut command).spawn().expect("postgres can be started");
        let leash = Leash::on(child.id(), "QUIT");
        *self.process.lock().expect("no panic holds the server") = Some((child, leash));
        self.prove_ours();
    }

    fn prove_ours(&self) {
        let database = wait_for(SERVER_PATIENCE, || Database::connect(&self.login("postgres")).ok());
        let mut database =
            database.unwrap_or_else(|| panic!("postgres did not answer; its log: {}", read_tail(&self.log())));
        let said = database.value("show data_directory");
        let ours = self.data.canonicalize().expect("the data directory exists");
        assert_eq!(said.as_deref(), Some(ours.to_string_lossy().as_ref()), "another server answers on our port");
    }

    /// Stops it without a checkpoint, as a crash would; clients see their connections cut.
    pub fn stop_immediate(&self) {
        self.stop(Signal::QUIT);
    }

    /// Stops it in order.
    pub fn stop_fast(&self) {
        self.stop(Signal::INT);
    }

    fn stop(&self, signal: Signal) {
        let Some((mut child, _leash)) = self.process.lock().expect("no panic holds the server").take() else { return };
        let _ = kill_process(pid(&child), signal);
        wait_until(SERVER_PATIENCE, "postgres has stopped", || matches!(child.try_wait(), Ok(Some(_))));
    }

    /// How to reach database `name` as superuser.
    pub fn login(&self, name: &str) -> Login {
        Login { port: self.port, user: "postgres".to_owned(), password: PASSWORD.to_owned(), database: name.to_owned() }
    }

    /// A new empty database.
    pub fn database(&self, name: &str) -> Login {
        let mut admin = Database::connect(&self.login("postgres")).expect("the server answers");
        admin.run(&format!("drop database if exists \"{name}\" with (force)"));
        admin.run(&format!("create database \"{name}\" template template0"));
        self.login(name)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.data.with_file_name("server.log")
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Ok(mut process) = self.process.lock()
            && let Some((mut child, leash)) = process.take()
        {
            let _ = kill_process(pid(&child), Signal::QUIT);
            let _ = child.wait();
            drop(leash);
        }
        if !std::thread::panicking() && std::env::var_os("LANDFALL_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }
}

/// What every test server runs with.
const FIXED_SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "shared_buffers=64MB",
    "max_connections=60",
    "max_wal_size=512MB",
    "timezone=UTC",
    "log_min_messages=warning",
];

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// The folder of the server's programs, as the set-up script finds it.
pub fn bindir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let script = crate::repository::root().join("deploy/setup/postgres.sh");
        let said = Command::new(script).arg("--bindir").output().expect("the set-up script can be run");
        assert!(said.status.success(), "no PostgreSQL server programs here: run make setup");
        PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())
    })
}

fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let user = Unprivileged::find();
        let folder = run_dir::fresh("pg-template");
        user.own(&folder);
        let password = folder.join("password");
        std::fs::write(&password, PASSWORD).expect("the password file can be written");
        user.own(&password);
        let data = folder.join("data");
        let mut initdb = Command::new(bindir().join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256"]);
        initdb.arg("--no-sync").arg(format!("--pwfile={}", password.display())).current_dir("/");
        let done = user.run(&mut initdb).output().expect("initdb can be run");
        assert!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));
        data
    })
}

fn copy(from: &Path, to: &Path) {
    let folder = to.parent().expect("the data directory has a folder");
    Unprivileged::find().own(folder);
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp can be run");
    assert!(done.success(), "the template cluster can be copied");
}

/// A port that was free a moment ago. Whoever takes it meanwhile is found out by the data directory.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

fn read_tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let from = text.len().saturating_sub(2_000);
    text.get(from..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::PostgresServer;
    use crate::database::Database;

    #[test]
    fn a_server_keeps_committed_rows_through_an_immediate_stop() {
        let server = PostgresServer::start("restart");
        let login = server.database("one");
        Database::connect(&login).unwrap().run("create table t (a int); insert into t values (7)");
        server.stop_immediate();
        assert!(Database::connect(&login).is_err(), "a stopped server does not answer");
        server.resume();
        assert_eq!(Database::connect(&login).unwrap().value("select a from t").as_deref(), Some("7"));
        server.stop_fast();
    }
}
