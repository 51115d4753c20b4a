//! A relay in front of PostgreSQL that can swallow the answer to the next `COMMIT`.
//!
//! Plain threads and blocking sockets: it shares nothing with what it disturbs. When armed, the first connection that sends
//! a simple `COMMIT` has it forwarded, the server's answer is read, and both sides are cut before a byte of it passes on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;

/// A running relay. It ends with the process.
#[derive(Debug)]
pub(super) struct Relay {
    /// Where to connect to.
    pub(super) address: SocketAddr,
    armed: Arc<AtomicBool>,
}

impl Relay {
    /// Listens on a free port of the loopback and passes everything on to `server`.
    pub(super) fn start(server: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let armed = Arc::new(AtomicBool::new(false));
        let trap = Arc::clone(&armed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that cannot be reached shows as a closed connection.
                if let Ok(server) = TcpStream::connect(server) {
                    let _ = relay(client, server, &trap);
                }
            }
        });
        Ok(Self { address, armed })
    }

    /// The answer to the next `COMMIT` is swallowed.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

fn relay(client: TcpStream, server: TcpStream, armed: &Arc<AtomicBool>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let cut = Arc::new(AtomicBool::new(false));
    let (up, down) = ((client.try_clone()?, server.try_clone()?), (server, client));
    let (armed, cut_by_up) = (Arc::clone(armed), Arc::clone(&cut));
    thread::spawn(move || {
        pump(up, |bytes| {
            let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
            if commits && armed.swap(false, Ordering::SeqCst) {
                cut_by_up.store(true, Ordering::SeqCst);
            }
            true
        });
    });
    thread::spawn(move || pump(down, |_| !cut.load(Ordering::SeqCst)));
    Ok(())
}

/// Moves bytes until one side ends or `pass` says no; then ends both.
fn pump((mut from, mut to): (TcpStream, TcpStream), mut pass: impl FnMut(&[u8]) -> bool) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(size @ 1..) = from.read(&mut chunk) {
        if !pass(&chunk[..size]) || to.write_all(&chunk[..size]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
