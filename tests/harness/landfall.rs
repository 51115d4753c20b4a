//! The process under test, as its operator sees it: command line, signals, exit code, output, memory.

use crate::kill_point::KillPoint;
use crate::leash::Leash;
use crate::run_dir;
use crate::shape;
use crate::unprivileged::Unprivileged;
use crate::wait::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How to start it.
#[derive(Clone, Debug)]
pub struct Launch {
    directory: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    user: Option<Unprivileged>,
}

impl Launch {
    /// `landfall <words>` in `directory`. The environment is empty but for `PATH` and what is added here.
    pub fn new(directory: &Path, words: &[&str]) -> Self {
        Self {
            directory: directory.to_path_buf(),
            arguments: words.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            user: None,
        }
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Dies by its own hand at a kill point.
    #[must_use]
    pub fn kill_at(self, point: &KillPoint) -> Self {
        let word = point.to_string();
        self.env("LANDFALL_KILL_AT", &word)
    }

    /// Runs as another user (needs root; without it, as ourselves).
    #[must_use]
    pub fn as_user(mut self, user: Unprivileged) -> Self {
        self.user = Some(user);
        self
    }

    /// Starts it.
    pub fn start(&self) -> Landfall {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let logs = self.directory.join("logs");
        std::fs::create_dir_all(&logs).expect("the log folder can be made");
        let word = self.arguments.iter().find(|word| !word.starts_with('-')).map_or("landfall", String::as_str);
        let stdout = logs.join(format!("{number:04}-{word}.out"));
        let stderr = logs.join(format!("{number:04}-{word}.err"));
        let mut command = Command::new(run_dir::program());
        command.args(&self.arguments).current_dir(&self.directory).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command.stdout(File::create(&stdout).expect("the log can be written"));
        command.stderr(File::create(&stderr).expect("the log can be written"));
        if let Some(user) = self.user {
            user.run(&mut command);
        }
        let child = command.spawn().expect("the process under test can be started");
        let leash = Leash::on(child.id(), "KILL");
        Landfall { child, stdout, stderr, ended: None, started: Instant::now(), _leash: leash }
    }

    /// Starts it and waits for its end; killed when it takes longer than `deadline`.
    /// What it prints as JSON must have its published shape.
    #[track_caller]
    pub fn finish(&self, deadline: Duration) -> Finished {
        let finished = self.start().finish(deadline);
        shape::expect_printed(&self.arguments, &finished.stdout);
        finished
    }
}

/// A running (or ended) process.
#[derive(Debug)]
pub struct Landfall {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: Option<ExitStatus>,
    started: Instant,
    _leash: Leash,
}

/// What an ended process left.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Finished {
    /// Both outputs, for messages.
    pub fn output(&self) -> String {
        format!("exit {:?} signal {:?} after {:?}\n{}\n{}", self.code, self.signal, self.took, self.stdout, self.stderr)
    }

    /// Panics unless it exited with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.output());
        self
    }
}

impl Landfall {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended = Some(self.child.wait().expect("a child can be waited for"));
    }

    /// Freezes it.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Thaws it.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_none()
    }

    /// Waits for its end, at most for `deadline`; whether it ended.
    pub fn ends_within(&mut self, deadline: Duration) -> bool {
        wait_for(deadline, || (!self.is_running()).then_some(())).is_some()
    }

    /// Waits for its end; kills it and panics when it takes longer than `deadline`.
    #[track_caller]
    pub fn finish(mut self, deadline: Duration) -> Finished {
        let ended = self.ends_within(deadline);
        if !ended {
            self.kill();
        }
        let finished = self.finished();
        assert!(ended, "it did not end within {deadline:?}\n{}", finished.output());
        finished
    }

    fn finished(&self) -> Finished {
        Finished {
            code: self.ended.and_then(|status| status.code()),
            signal: self.ended.and_then(|status| status.signal()),
            stdout: self.stdout(),
            stderr: self.stderr(),
            took: self.started.elapsed(),
        }
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Highest resident memory so far, in KiB; `None` when it is gone.
    pub fn peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }
}

impl Drop for Landfall {
    fn drop(&mut self) {
        if self.is_running() {
            // A frozen process takes SIGKILL as well.
            self.kill();
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
