//! A private PostgreSQL for one bench: own directory and port under `.run/bench`, loopback only, not root, made anew each time.
//!
//! Durability is on as it is in production; what is set is what keeps runs alike: no autovacuum, no JIT, no timed checkpoint,
//! room for the WAL of a whole run, the C locale. The server dies with the bench, however that ends.

use crate::run_dir;
use crate::session::Session;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=2GB",
    "max_wal_size=16GB",
    "checkpoint_timeout=1h",
    "autovacuum=off",
    "jit=off",
    "maintenance_work_mem=512MB",
    "timezone=UTC",
    "log_min_messages=warning",
];

/// Starts the server, and stops it when standard input ends: when the bench says so or is gone.
const LEASH: &str = r#""$@" & server=$!; read -r _; kill -INT $server; wait $server"#;

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    password: String,
    leash: Child,
    postmaster: u32,
}

impl Cluster {
    /// Makes and starts one. `name` is its folder.
    pub fn start(name: &str) -> Self {
        let folder = run_dir::fresh(name);
        let user = User::find();
        user.own(&folder);
        let password = uuid::Uuid::new_v4().simple().to_string();
        initdb(&folder, user, &password);
        let port = free_port();
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "sh"]).arg(bindir().join("postgres"));
        command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let log = fs::File::create(folder.join("server.log")).expect("the bench folder is writable");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).current_dir("/");
        let leash = user.run(&mut command).spawn().expect("sh can be started");
        let mut cluster = Self { folder, port, password, leash, postmaster: 0 };
        cluster.prove_ours();
        cluster
    }

    /// Waits for it to answer, and makes sure that it is ours that answers.
    fn prove_ours(&mut self) {
        let begun = Instant::now();
        let mut session = loop {
            if let Some(session) = Session::try_open(&self.url()) {
                break session;
            }
            let log = self.folder.join("server.log");
            assert!(begun.elapsed() < PATIENCE, "postgres does not answer; see {}", log.display());
            std::thread::sleep(Duration::from_millis(50));
        };
        let said: String = session.run(async |client| client.query_one("SHOW data_directory", &[]).await?.try_get(0));
        let ours = self.folder.join("data").canonicalize().expect("the data directory is there");
        assert_eq!(Path::new(&said), ours, "another server answers on our port");
        let file = fs::read_to_string(ours.join("postmaster.pid")).expect("a running server has a pid file");
        let first = file.lines().next().expect("the pid stands in the first line");
        self.postmaster = first.trim().parse().expect("a pid is a number");
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Where a database of it is.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// A new connection.
    pub fn session(&self) -> Session {
        Session::open(&self.url())
    }

    /// Its first process.
    pub fn postmaster(&self) -> u32 {
        self.postmaster
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        let _ = self.leash.wait();
        if std::env::var_os("LANDFALL_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn initdb(folder: &Path, user: User, password: &str) {
    let file = folder.join("password");
    fs::write(&file, password).expect("the bench folder is writable");
    user.own(&file);
    let mut command = Command::new(bindir().join("initdb"));
    command.arg("-D").arg(folder.join("data")).args(["-U", "postgres", "-E", "UTF8", "--locale=C"]);
    command.args(["-A", "scram-sha-256", "--no-sync"]).arg(format!("--pwfile={}", file.display())).current_dir("/");
    let done = user.run(&mut command).output().expect("initdb can be run");
    assert!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));
}

/// The user the server runs as: PostgreSQL refuses root.
#[derive(Clone, Copy)]
struct User(Option<(u32, u32)>);

impl User {
    /// `postgres` for root, else whoever we are.
    fn find() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next());
        if uid != Some("0") {
            return Self(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        let ids = passwd.lines().find_map(|line| {
            let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        Self(Some(ids.expect("Debian's postgresql-common makes the user postgres")))
    }

    fn run(self, command: &mut Command) -> &mut Command {
        match self.0 {
            Some((uid, gid)) => command.uid(uid).gid(gid),
            None => command,
        }
    }

    fn own(self, path: &Path) {
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).expect("root can give files away");
        }
    }
}

/// The newest installed server's programs.
fn bindir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PG_BINDIR") {
        return PathBuf::from(dir);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("no PostgreSQL server here: run make setup, or set PG_BINDIR");
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin")
}

/// A port of the loopback address that nobody has just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
