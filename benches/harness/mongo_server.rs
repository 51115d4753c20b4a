//! A private MongoDB server for one bench: SecantusDB's Rust flavour as `deploy/setup/mongodb.sh` installs it, in a folder and on a port of
//! its own, loopback only. It dies with the bench, however that ends.
//!
//! The Python flavour is slower than what is measured, so it is no substitute: without the Rust one nothing is measured.

use crate::cluster::free_port;
use crate::run_dir;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts the server, and stops it when standard input ends: when the bench says so or is gone.
const LEASH: &str = r#""$@" & server=$!; read -r _; kill -TERM $server; wait $server"#;

/// A running server.
#[derive(Debug)]
pub struct MongoServer {
    folder: PathBuf,
    port: u16,
    leash: Child,
}

impl MongoServer {
    /// Starts one whose log keeps about so many changes. `None` where the Rust flavour is not installed.
    ///
    /// Asked for its oldest entry, this server reads its whole log, a real one reads an entry: a log that is longer than the bench needs would
    /// be charged to the product.
    pub fn start(name: &str, log_entries: u64) -> Option<Self> {
        let program = program()?;
        let folder = run_dir::fresh(name);
        let port = free_port();
        let log = std::fs::File::create(folder.join("server.log")).expect("the bench folder is writable");
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "sh"]).arg(program).args(["--port", &port.to_string(), "--storage-path"]);
        command
            .arg(folder.join("data"))
            .args(["--oplog-max-entries", &log_entries.to_string()])
            .args(["--log-level", "WARNING"]);
        command.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let leash = command.spawn().expect("sh can be started");
        let server = Self { folder, port, leash };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "the MongoDB test server does not listen; see {}",
                server.folder.display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// Where it is.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// The parent of its process: what its processor time is added up under.
    pub fn pid(&self) -> u32 {
        self.leash.id()
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        let _ = self.leash.wait();
        if std::env::var_os("LANDFALL_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn program() -> Option<PathBuf> {
    let script = run_dir::repository().join("deploy/setup/mongodb.sh");
    let said = Command::new(script).args(["--server", "rust"]).stderr(Stdio::null()).output().ok()?;
    said.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()))
}
