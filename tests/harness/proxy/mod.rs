//! A proxy between the product and PostgreSQL that breaks connections at chosen message boundaries.
//!
//! Knows just enough of the protocol to see frames, `COMMIT` in its three spellings (simple query, parsed statement, prepared
//! statement) and COPY data. One thread per direction and connection; faults are one-shot and are taken by the first
//! connection that comes past their place. Encrypted connections pass through unseen: tests use clear text on loopback.

mod connection;
mod fault;
mod frames;

pub use fault::Fault;

use connection::Connection;
use fault::Plan;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A running proxy. Its threads end when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    plan: Mutex<Plan>,
    open: Mutex<Vec<TcpStream>>,
}

impl FaultProxy {
    /// Listens on a free port of loopback and forwards to `upstream`.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared { upstream, plan: Mutex::new(Plan::default()), open: Mutex::new(Vec::new()) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.plan().closed {
                    break;
                }
                accepting.admit(client);
            }
        });
        Self { port, shared }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds a fault that happens once.
    pub fn once(&self, fault: Fault) {
        self.shared.plan().pending.push_back(fault);
    }

    /// Faults that have happened.
    pub fn fired(&self) -> Vec<Fault> {
        self.shared.plan().fired.clone()
    }

    /// From now on new connections are reset, and open ones with them: the target is down.
    pub fn refuse(&self) {
        self.shared.plan().refusing = true;
        self.cut_all();
    }

    /// From now on every frame waits for `pause` before it is passed on, each way.
    pub fn delay(&self, pause: Duration) {
        self.shared.plan().pause = pause;
    }

    /// From now on nothing passes, but connections stay open: a black hole.
    pub fn swallow(&self) {
        self.shared.plan().swallowing = true;
    }

    /// Ends refusing, delaying and swallowing, and forgets faults that have not happened. Connections that sat in the hole are cut.
    pub fn heal(&self) {
        let mut plan = self.shared.plan();
        let in_hole = plan.swallowing;
        plan.heal();
        drop(plan);
        if in_hole {
            self.cut_all();
        }
    }

    /// Resets all open connections.
    pub fn cut_all(&self) {
        let open = std::mem::take(&mut *self.shared.open.lock().expect("no panic holds the list"));
        for stream in open {
            connection::reset(&stream);
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.plan().closed = true;
        self.cut_all();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic holds the plan")
    }

    fn admit(self: &Arc<Self>, client: TcpStream) {
        if self.plan().refusing {
            connection::reset(&client);
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.upstream)) else {
            connection::reset(&client);
            return;
        };
        let mut open = self.open.lock().expect("no panic holds the list");
        open.extend(client.try_clone());
        open.extend(server.try_clone());
        drop(open);
        Connection::start(Arc::clone(self), client, server);
    }
}

#[cfg(test)]
mod tests;
