//! A scraper as Prometheus is one: asks for `/metrics` at a steady pace, on a connection that it keeps.

use crate::caller::Caller;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two scrapes.
const PACE: Duration = Duration::from_secs(1);
/// Between two tries while nobody answers: a process that starts is seen from its first moment.
const RETRY: Duration = Duration::from_millis(20);

/// A scraper at work, in a thread of this process.
#[derive(Debug)]
pub struct Scraper {
    stop: Sender<()>,
    thread: JoinHandle<u64>,
}

impl Scraper {
    /// Begins; whether anybody answers yet does not matter.
    pub fn start(address: SocketAddr) -> Self {
        let (stop, stopped) = channel();
        Self { stop, thread: std::thread::spawn(move || scrape(address, &stopped)) }
    }

    /// Ends; gives how many scrapes were answered.
    pub fn end(self) -> u64 {
        drop(self.stop);
        self.thread.join().expect("a scraper does not panic")
    }
}

fn scrape(address: SocketAddr, stopped: &Receiver<()>) -> u64 {
    let (mut answered, mut caller) = (0, None);
    loop {
        let open = caller.take().map_or_else(|| Caller::connect(address), Ok);
        let said = open.and_then(|mut open: Caller| open.get("/metrics").map(|answer| (open, answer)));
        let pause = match said {
            Ok((open, answer)) if answer.status == 200 => {
                (answered, caller) = (answered + 1, Some(open));
                PACE
            }
            _ => RETRY,
        };
        match stopped.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return answered,
        }
    }
}
