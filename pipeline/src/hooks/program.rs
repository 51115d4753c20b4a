//! A hook that is a program: started without a shell, told on its standard input, ended when it takes too long.
//!
//! It has a process group of its own, which is killed as a whole at the timeout and when the service stops, and of the environment `PATH`, `HOME` and
//! the event's variables: what the service knows by its own environment (connection strings, tokens) does not reach it. Of what it says on standard error
//! the first 4 KiB reach the log.

use super::Outcome;
use super::event::Event;
use crate::status::Trouble;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Most of what it says that is logged.
const MOST_SAID: usize = 4 * 1024;
/// What it has said when it ends is read within this time: something it started may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Variables that are passed on.
const PASSED_ON: [&str; 2] = ["PATH", "HOME"];

/// Runs it with an event; what it said.
pub(super) async fn run(words: &[String], event: &Event, timeout: Duration) -> Outcome {
    let (program, arguments) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(event.variables()).process_group(0).kill_on_drop(true);
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(format!("{program} cannot be started: {}", error.kind())))?;
    let mut group = Group::of(child);
    match tokio::time::timeout(timeout, converse(&mut group, &event.json())).await {
        Ok(Ok((status, said))) => {
            if status.success() {
                Ok(said)
            } else {
                Err(failed(format!("{program} {}{}", how(status), behind(&said))))
            }
        }
        Ok(Err(error)) => Err(failed(format!("{program} cannot be waited for: {}", error.kind()))),
        Err(_) => {
            let detail = format!("{program} took longer than {timeout:?} and was killed");
            Err(Trouble { code: "hook_timed_out".to_owned(), detail })
        }
    }
}

fn failed(detail: String) -> Trouble {
    Trouble { code: "hook_failed".to_owned(), detail }
}

fn how(status: ExitStatus) -> String {
    status.code().map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with {code}"))
}

fn behind(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// A child and its process group, which does not outlive this.
#[derive(Debug)]
struct Group {
    child: Child,
    /// `None` once it was waited for.
    leader: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { child, leader }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Hands it the event and hears it out.
async fn converse(group: &mut Group, event: &[u8]) -> std::io::Result<(ExitStatus, String)> {
    let Group { child, leader } = group;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut said = Vec::new();
    let hand = async {
        if let Some(mut stdin) = stdin {
            // One that does not read it has no need of it.
            let _ = stdin.write_all(event).await;
        }
    };
    let status = {
        let hear = async {
            if let Some(stderr) = stderr {
                hear(stderr, &mut said).await;
            }
        };
        let ending = async {
            let ((), status) = tokio::join!(hand, child.wait());
            // It was waited for: its number may be another's from now on.
            *leader = None;
            status
        };
        tokio::pin!(hear, ending);
        tokio::select! {
            status = &mut ending => {
                let _ = tokio::time::timeout(LAST_WORDS, hear).await;
                status?
            }
            () = &mut hear => ending.await?,
        }
    };
    Ok((status, shown(&said)))
}

/// Reads to the end and keeps the beginning.
async fn hear(mut stderr: impl AsyncRead + Unpin, said: &mut Vec<u8>) {
    let mut piece = [0; 1_024];
    while let Ok(read @ 1..) = stderr.read(&mut piece).await {
        let room = MOST_SAID.saturating_sub(said.len());
        said.extend_from_slice(&piece[..read.min(room)]);
    }
}

/// As one line of a log.
fn shown(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = |c: char| if c == '\n' { '⏎' } else { c };
    text.trim().chars().map(line).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    fn script(name: &str, text: &str) -> Vec<String> {
        let path = crate::config::tests::scratch(name).join("hook.sh");
        // Written beside and renamed: a program that is open for writing cannot be started.
        let beside = path.with_extension("new");
        std::fs::write(&beside, format!("#!/bin/sh\n{text}\n")).expect("a script");
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o700)).expect("a program");
        std::fs::rename(&beside, &path).expect("a script");
        vec![path.display().to_string()]
    }

    async fn told(name: &str, text: &str, timeout: Duration) -> Outcome {
        run(&script(name, text), &event("halted", "users", "mapping_changed"), timeout).await
    }

    #[tokio::test]
    async fn it_reads_the_event_and_knows_its_names_and_nothing_else() {
        let text = "cat >&2; env | sort >&2";
        let said = told("hook-env", text, Duration::from_secs(20)).await.expect("it ends well");
        let (json, variables) = said.split_once('⏎').expect("a line of JSON");
        let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!((&json["event"], &json["stream"]), (&"halted".into(), &"users".into()));
        assert!(variables.contains("LANDFALL_CODE=mapping_changed"), "{variables}");
        let strange: Vec<&str> = variables
            .split('⏎')
            .filter(|line| {
                !["LANDFALL_", "PATH=", "HOME=", "PWD=", "OLDPWD=", "SHLVL=", "_="]
                    .iter()
                    .any(|known| line.starts_with(known))
            })
            .collect();
        assert!(strange.is_empty(), "{strange:?}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_all_it_started() {
        let started = Instant::now();
        let pid = crate::config::tests::scratch("hook-child").join("pid");
        let text = format!("sleep 600 & echo $! > {}; sleep 600", pid.display());
        let trouble = told("hook-hangs", &text, Duration::from_secs(1)).await.expect_err("it is killed");
        assert_eq!(trouble.code, "hook_timed_out");
        assert!(started.elapsed() < Duration::from_secs(20));
        let pid = std::fs::read_to_string(pid).expect("the child's number");
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z"));
        for _ in 0..200 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("what it started lives on");
    }

    #[tokio::test]
    async fn how_it_ended_and_what_it_said_is_told_in_bounds() {
        let trouble =
            told("hook-fails", "echo oh no >&2; exit 3", Duration::from_secs(20)).await.expect_err("it fails");
        assert_eq!(trouble.code, "hook_failed");
        assert!(trouble.detail.ends_with("ended with 3: oh no"), "{}", trouble.detail);
        let much = "i=0; while [ $i -lt 3000 ]; do echo 0123456789 >&2; i=$((i+1)); done";
        let said = told("hook-talks", much, Duration::from_secs(20)).await.expect("it ends well");
        assert!(said.chars().count() <= MOST_SAID, "{}", said.len());
        let held = told("hook-daemon", "sleep 30 & exit 0", Duration::from_secs(20)).await;
        assert!(held.is_ok(), "what it left behind holds nothing up");
        let missing = run(&["/nowhere/at/all".to_owned()], &event("halted", "a", "x"), Duration::from_secs(1)).await;
        assert!(missing.expect_err("it is not there").detail.contains("cannot be started"));
    }
}
