//! One connection through the proxy: a pump each way, cutting where the plan says.

use super::Shared;
use super::fault::Fault;
use super::frames::{CommitWatch, Frame, FrameReader, asks_for_ssl};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two looks whether the hole is closed.
const HOLE_PAUSE: Duration = Duration::from_millis(20);

/// What both pumps of a connection share.
pub(super) struct Connection {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// The commit's answer is to be swallowed.
    answer_is_ours: AtomicBool,
    /// The server's next answer is one bare byte.
    bare_byte: AtomicBool,
}

impl Connection {
    /// Starts both pumps; they end with the connection.
    pub(super) fn start(shared: Arc<Shared>, client: TcpStream, server: TcpStream) {
        // Small frames must not wait for each other.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let connection = Arc::new(Self {
            shared,
            client,
            server,
            answer_is_ours: AtomicBool::new(false),
            bare_byte: AtomicBool::new(false),
        });
        let upwards = Arc::clone(&connection);
        std::thread::spawn(move || {
            // An error ends the connection, which is what the pump was for.
            let _ = upwards.pump_client();
            let _ = upwards.server.shutdown(Shutdown::Both);
            let _ = upwards.client.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            let _ = connection.pump_server();
            let _ = connection.client.shutdown(Shutdown::Both);
            let _ = connection.server.shutdown(Shutdown::Both);
        });
    }

    fn pump_client(&self) -> io::Result<()> {
        let mut frames = FrameReader::of_client(&self.client);
        let mut commits = CommitWatch::default();
        loop {
            let frame = frames.next()?;
            self.obey_pauses();
            if asks_for_ssl(&frame) {
                self.bare_byte.store(true, Ordering::SeqCst);
            }
            let fault = self.fault_for(&frame, commits.commits(&frame));
            match fault {
                None => (&self.server).write_all(&frame.bytes)?,
                Some(Fault::CutAfterCommit) => {
                    self.answer_is_ours.store(true, Ordering::SeqCst);
                    (&self.server).write_all(&frame.bytes)?;
                }
                Some(Fault::CutBeforeCommit) => return self.cut(&[]),
                Some(Fault::CutInCommit) => return self.cut(&frame.bytes),
                Some(Fault::CutInCopy) => return self.cut(&frame.bytes[..frame.bytes.len() / 2]),
            }
        }
    }

    fn fault_for(&self, frame: &Frame, commits: bool) -> Option<Fault> {
        self.shared.plan().take(|fault| match fault {
            Fault::CutInCopy => frame.is_copy_data(),
            Fault::CutBeforeCommit | Fault::CutInCommit | Fault::CutAfterCommit => commits,
        })
    }

    fn pump_server(&self) -> io::Result<()> {
        let mut frames = FrameReader::of_server(&self.server);
        loop {
            if self.bare_byte.swap(false, Ordering::SeqCst) {
                let mut answer = [0];
                (&self.server).read_exact(&mut answer)?;
                (&self.client).write_all(&answer)?;
                continue;
            }
            // The first answer waits for the first frame, so an SSL request has been noticed by then; peek, then look again.
            self.server.peek(&mut [0])?;
            if self.bare_byte.load(Ordering::SeqCst) {
                continue;
            }
            let frame = frames.next()?;
            self.obey_pauses();
            if self.answer_is_ours.load(Ordering::SeqCst) {
                if frame.is_commit_done() {
                    reset(&self.client);
                    reset(&self.server);
                    return Ok(());
                }
                continue;
            }
            (&self.client).write_all(&frame.bytes)?;
        }
    }

    /// Forwards the last bytes, then resets the client and ends the server's side.
    fn cut(&self, last: &[u8]) -> io::Result<()> {
        let _ = (&self.server).write_all(last);
        reset(&self.client);
        self.server.shutdown(Shutdown::Both)
    }

    fn obey_pauses(&self) {
        let pause = self.shared.plan().pause;
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        while self.shared.plan().swallowing {
            std::thread::sleep(HOLE_PAUSE);
        }
    }
}

/// Ends a connection with RST rather than FIN: what a lost host's peer sees.
pub(super) fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}
