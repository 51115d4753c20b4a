//! A leash: a child process that dies when the test process dies, however it dies.
//!
//! A small shell holds the read end of a pipe whose write end is ours. When we are gone the read ends and the shell kills the
//! child. On [`Leash::release`] the shell is told first, so it never shoots at a number that somebody else has by then.

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Holds one process.
#[derive(Debug)]
pub struct Leash(Child);

impl Leash {
    /// Kills process `pid` with `signal` (`KILL`, `QUIT`) when this test process ends.
    pub fn on(pid: u32, signal: &str) -> Self {
        let watch = format!("read word || kill -{signal} {pid}");
        let shell = Command::new("sh")
            .args(["-c", &watch])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be started");
        Self(shell)
    }

    fn release(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"released\n");
        }
        let _ = self.0.wait();
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.release();
    }
}
