//! A collector of traces that takes whatever it is sent and keeps nothing of it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A sender that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The collector, in a thread of this process that ends with it.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    taken: Arc<AtomicU64>,
}

impl Collector {
    /// Listens on a free port of loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let this = Self { address, taken: Arc::default() };
        let taken = Arc::clone(&this.taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if take(stream).is_ok() {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        this
    }

    /// What to write as `endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }
}

fn take(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(&stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").and_then(|text| text.trim().parse().ok()).unwrap_or(length);
        line.clear();
    }
    let _ = io::copy(&mut reader.take(length), &mut io::sink())?;
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    )
}
