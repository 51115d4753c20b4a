//! A collector of traces: takes OTLP/HTTP as JSON, answers as it is told to, and keeps what it was sent.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A client that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request: head and body.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: String,
    /// What it was answered.
    pub status: u16,
}

/// The collector; it ends with the test's process.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Collector {
    /// Listens and answers with this status.
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let this = Self { address, status: Arc::new(AtomicU16::new(status)), sent: Arc::default() };
        let answering = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away asked for nothing.
                let _ = answering.answer(stream);
            }
        });
        this
    }

    /// What to write as `endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// All requests so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of all requests that were taken.
    pub fn spans(&self) -> Vec<TakenSpan> {
        let taken = self.sent().into_iter().filter(|sent| sent.status < 300);
        taken.flat_map(|sent| spans(&sent.body)).collect()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let (mut bytes, mut piece) = (Vec::new(), [0; 16_384]);
        let (head, body) = loop {
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let status = self.status.load(Ordering::SeqCst);
        // Kept before it is answered: what the service counts as sent is here.
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(Sent { head, body, status });
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        )
    }
}

/// A span that was taken.
#[derive(Clone, Debug)]
pub struct TakenSpan(Value);

impl TakenSpan {
    /// A member as it was sent.
    pub fn member(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// A text attribute; empty: there is none.
    pub fn text(&self, key: &str) -> &str {
        self.attribute(key)["stringValue"].as_str().unwrap_or_default()
    }

    /// A number attribute; 0: there is none.
    pub fn number(&self, key: &str) -> i64 {
        self.attribute(key)["intValue"].as_str().map_or(0, |text| text.parse().expect("a number is decimal text"))
    }

    fn attribute(&self, key: &str) -> &Value {
        let all = self.0["attributes"].as_array().expect("a span has attributes");
        all.iter().find(|one| one["key"] == key).map_or(&Value::Null, |one| &one["value"])
    }
}

fn spans(body: &str) -> Vec<TakenSpan> {
    let request: Value = serde_json::from_str(body).expect("a request is JSON");
    let resources = request["resourceSpans"].as_array().expect("resources").iter();
    let scopes = resources.flat_map(|one| one["scopeSpans"].as_array().expect("scopes"));
    scopes.flat_map(|one| one["spans"].as_array().expect("spans")).map(|span| TakenSpan(span.clone())).collect()
}
