//! What the service manager is told: that the service is ready, that it lives, that it ends.
//!
//! Owns the datagrams of `sd_notify(3)` and nothing else: READY=1 with the first report, WATCHDOG=1 only while reports keep coming
//! (a service that hangs publishes none, and is then killed and started anew, as safely as by SIGKILL), STOPPING=1 once stopping
//! begins, STATUS= as `status` says it in one line. Without `NOTIFY_SOCKET` nothing is told. A manager that does not take a datagram is
//! not waited for: the data path does not depend on it.

use crate::status::{StatusReport, render};
use landfall_connectors::failure::Failure;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Between two signs of life when no watchdog waits for them: only `STATUS=` is told then.
const UNWATCHED: Duration = Duration::from_secs(10);
/// More signs would tell nothing new: reports come four times a second.
const SHORTEST: Duration = Duration::from_millis(300);

/// The manager's socket, and how often it wants to hear of us.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    every: Duration,
    watched: bool,
}

impl Manager {
    /// As the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` name it; `None` where nobody listens.
    pub fn named(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let made = Self::at(&variable("NOTIFY_SOCKET")?);
        let (socket, address) = made.inspect_err(|error| tracing::warn!("NOTIFY_SOCKET: {}", error.kind())).ok()?;
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        let every = patience.map_or(UNWATCHED, |patience| (patience / 3).max(SHORTEST));
        Some(Self { socket, address, every, watched: patience.is_some() })
    }

    fn at(name: &OsString) -> io::Result<(UnixDatagram, SocketAddr)> {
        let address = match name.as_bytes().split_first() {
            Some((b'@', hidden)) => SocketAddr::from_abstract_name(hidden)?,
            Some((b'/', _)) => SocketAddr::from_pathname(name)?,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok((socket, address))
    }

    fn say(&self, words: &str) {
        if let Err(error) = self.socket.send_to_addr(words.as_bytes(), &self.address) {
            tracing::debug!("the service manager was not told: {}", error.kind());
        }
    }
}

/// Tells `manager` of a service whose reports are these until it has ended; `stop` is cancelled when it begins to. Cancel-safe.
pub async fn tell(
    manager: Option<Manager>,
    mut reports: watch::Receiver<Arc<StatusReport>>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Some(manager) = manager else { return Ok(()) };
    let telling = async {
        if reports.wait_for(|report| report.running).await.is_err() {
            return;
        }
        manager.say("READY=1");
        loop {
            // An error: nobody publishes any more, so there is no life to tell of.
            match reports.has_changed() {
                Ok(true) => {
                    let status = render::line(&reports.borrow_and_update());
                    let watchdog = if manager.watched { "\nWATCHDOG=1" } else { "" };
                    manager.say(&format!("STATUS={status}{watchdog}"));
                }
                Ok(false) => {}
                Err(_) => return,
            }
            tokio::time::sleep(manager.every).await;
        }
    };
    tokio::select! {
        () = telling => {}
        () = stop.cancelled() => manager.say("STOPPING=1"),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
