//! A control socket with a client at its other end: decisions, refusals, and clients that misbehave.

use super::protocol::CheckpointVerb;
use super::protocol::ControlChange;
use super::server::{Decide, GoOn, SetControl};
use super::*;
use crate::config::tests::scratch;
use crate::log_dial::LogLevel;
use crate::redress::{Done, Order, Tally};
use crate::replay::cut::CutReport;
use crate::replay::into::IntoVerb;
use crate::status::StatusReport;
use landfall_schemas::position::PositionTable;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Recorder(Mutex<Vec<Decide>>);

impl ControlHandler for Recorder {
    fn pipeline(&self) -> &str {
        "flux"
    }

    async fn status(&self) -> StatusReport {
        StatusReport { pipeline: "flux".to_owned(), running: true, ..StatusReport::default() }
    }

    async fn go_on(&self, _: GoOn) -> Result<(), Refused> {
        Ok(())
    }

    async fn redress(&self, _: Order, _: i64) -> Result<Done, Refused> {
        Ok(Done { tally: Tally::default(), after: None })
    }

    async fn replay(&self, _: crate::replay::Order) -> Result<crate::replay::Standing, Refused> {
        Ok(crate::replay::Standing::default())
    }

    async fn beside(&self, _: IntoVerb) -> Result<Vec<String>, Refused> {
        Ok(Vec::new())
    }

    async fn log_level(&self, _: LogLevel, _: String) -> Result<(), Refused> {
        Ok(())
    }

    async fn checkpoint(&self, _: CheckpointVerb) -> Result<Vec<CutReport>, Refused> {
        Ok(Vec::new())
    }

    async fn positions(&self, _: String) -> Result<PositionTable, Refused> {
        Ok(PositionTable::default())
    }

    async fn shown(&self, _: Vec<(String, String)>) -> Result<(), Refused> {
        Ok(())
    }

    async fn decide(&self, decision: Decide) -> Result<(), Refused> {
        if decision.stream != "users" {
            return Err(Refused::new("unknown_stream", "there is no such stream"));
        }
        self.0.lock().expect("not poisoned").push(decision);
        Ok(())
    }

    async fn repair(&self, _: String) -> Result<u64, Refused> {
        Ok(0)
    }

    async fn mark(&self, streams: Vec<String>) -> Result<Vec<(String, u64)>, Refused> {
        Ok(streams.into_iter().map(|stream| (stream, 7)).collect())
    }

    async fn control(&self, wanted: SetControl) -> Result<(), Refused> {
        match wanted.streams.iter().all(|stream| stream == "users") {
            true => Ok(()),
            false => Err(Refused::new("unknown_stream", "there is no such stream")),
        }
    }
}

/// Runs `client` against a served socket in `dir`; gives what was decided.
async fn against(dir: &Path, client: impl Future<Output = ()>) -> Vec<Decide> {
    let socket = ControlSocket::of(dir).expect("a state directory");
    let listener = socket.listen().expect("listens");
    let handler = Recorder::default();
    let stop = CancellationToken::new();
    let client = async {
        tokio::time::timeout(Duration::from_secs(20), client).await.expect("the client ends in time");
        stop.cancel();
    };
    let (served, ()) = tokio::join!(serve(&listener, &handler, &stop), client);
    served.expect("serves");
    handler.0.into_inner().expect("not poisoned")
}

fn accept(stream: &str) -> Request {
    Request::Decide { stream: stream.to_owned(), subject: "9f2c".to_owned(), accept: true, actor: "ada".to_owned() }
}

#[tokio::test]
async fn a_decision_reaches_the_service_and_a_wrong_one_is_refused_by_name() {
    let dir = scratch("control");
    let decided = against(&dir, async {
        let mut client = ControlClient::connect(&dir).await.expect("connects").expect("somebody listens");
        assert_eq!(client.ping().await.expect("pong"), ("flux".to_owned(), std::process::id()));
        assert!(client.status().await.expect("a report").running);
        client.decide(&accept("users")).await.expect("decided");
        let refused = client.decide(&accept("nobody")).await.expect_err("refused");
        assert!(matches!(refused, ControlError::Refused(refused) if refused.code == "unknown_stream"));
    })
    .await;
    let expected = Decide { stream: "users".into(), subject: "9f2c".into(), accept: true, actor: "ada".into() };
    assert_eq!(decided, [expected]);
}

#[tokio::test]
async fn a_pause_reaches_the_service() {
    let dir = scratch("control");
    let pause = |stream: &str| Request::Control {
        streams: vec![stream.to_owned()],
        change: ControlChange::Pause,
        actor: "ada".to_owned(),
        reason: "a vacuum runs".to_owned(),
    };
    against(&dir, async {
        let mut client = ControlClient::connect(&dir).await.expect("connects").expect("somebody listens");
        client.control(&pause("users")).await.expect("paused");
        let refused = client.control(&pause("nobody")).await.expect_err("refused");
        assert!(matches!(refused, ControlError::Refused(refused) if refused.code == "unknown_stream"));
    })
    .await;
}

#[tokio::test]
async fn nobody_listening_is_no_error() {
    let dir = scratch("control");
    assert!(ControlClient::connect(&dir).await.expect("no error").is_none());
    assert!(ControlClient::connect(&dir.join("missing")).await.expect("no error").is_none());
    // What a killed service leaves behind.
    drop(std::os::unix::net::UnixListener::bind(dir.join("control.sock")).expect("binds"));
    assert!(ControlClient::connect(&dir).await.expect("no error").is_none());
    against(&dir, async {
        assert!(ControlClient::connect(&dir).await.expect("connects").is_some(), "a stale socket is replaced");
    })
    .await;
}

#[tokio::test]
async fn the_socket_is_its_owners_alone() {
    let dir = scratch("control");
    let _listener = ControlSocket::of(&dir).expect("socket").listen().expect("listens");
    let mode = std::fs::metadata(dir.join("control.sock")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_state_directory_may_have_any_depth() {
    let mut dir = scratch("control");
    for _ in 0..8 {
        dir.push("a-directory-name-of-some-length");
    }
    std::fs::create_dir_all(&dir).expect("directories");
    against(&dir, async {
        let mut client = ControlClient::connect(&dir).await.expect("connects").expect("somebody listens");
        client.ping().await.expect("pong");
    })
    .await;
}

#[tokio::test]
async fn garbage_and_endless_lines_are_answered_and_bounded() {
    let dir = scratch("control");
    against(&dir, async {
        let mut stream = tokio::net::UnixStream::connect(dir.join("control.sock")).await.expect("connects");
        stream.write_all(b"{\"op\":\"explode\"}\n").await.expect("writes");
        let mut seen = [0; 22];
        stream.read_exact(&mut seen).await.expect("an answer");
        assert_eq!(&seen, b"{\"refused\":{\"code\":\"ba");
        // The server hangs up while we still write: that is the point.
        let _ = stream.write_all(&vec![b'x'; 64 * 1024]).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(String::from_utf8_lossy(&rest).contains("request_too_long"));
    })
    .await;
}

#[tokio::test]
async fn a_silent_client_keeps_nobody_else_waiting() {
    let dir = scratch("control");
    against(&dir, async {
        let _silent = tokio::net::UnixStream::connect(dir.join("control.sock")).await.expect("connects");
        let mut client = ControlClient::connect(&dir).await.expect("connects").expect("somebody listens");
        client.ping().await.expect("pong");
    })
    .await;
}
