//! Six programs that write to the same few documents at the same time, seeded, until they are asked to hold still or to stop.
//!
//! Upserts, replacements, deletes, `$inc`, `$push`, `$unset`, pipeline updates and transactions over two collections, on keys that all of
//! them want. They live through a server that goes away: what an operation's outcome was then is not known and not asked; the next
//! one goes on. What the documents are in the end is read from the server, never from here.

use crate::mongo_database::MongoDatabase;
use crate::seed::Seed;
use bson::{Bson, DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// As many as write at once.
const WRITERS: usize = 6;
/// After an operation that failed: the server may be gone, and a loop must not spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);
/// Arrays stay below this many elements, so that documents stay small.
const MAX_ELEMENTS: i64 = 20;

/// What to write to, and how hard.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The database's name.
    pub database: String,
    /// How the writers reach it.
    pub uri: String,
    /// Two collections or more; transactions span two.
    pub collections: Vec<String>,
    /// Keys that are fought over, in each collection.
    pub keys: u64,
    /// Between two operations of a writer, in milliseconds: from, until.
    pub pause_ms: (u64, u64),
}

impl Workload {
    /// Fifty hot keys in each of `collections`, a breath between operations.
    pub fn hot(database: &MongoDatabase, collections: &[&str]) -> Self {
        Self {
            database: database.name().to_owned(),
            uri: database.uri().to_owned(),
            collections: collections.iter().map(|name| (*name).to_owned()).collect(),
            keys: 50,
            pause_ms: (0, 8),
        }
    }
}

/// The writers. They stop when dropped.
#[derive(Debug)]
pub struct MongoWriters {
    gate: Arc<RwLock<()>>,
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Tally {
    stop: AtomicBool,
    done: AtomicU64,
    unknown: AtomicU64,
}

impl MongoWriters {
    /// Starts them.
    pub fn start(workload: &Workload, seed: &mut Seed) -> Self {
        let gate = Arc::new(RwLock::new(()));
        let tally = Arc::new(Tally::default());
        let threads = (0..WRITERS)
            .map(|_| {
                let (workload, seed) = (workload.clone(), seed.fork());
                let (gate, tally) = (Arc::clone(&gate), Arc::clone(&tally));
                std::thread::spawn(move || Writer::new(workload, seed).write(&gate, &tally))
            })
            .collect();
        Self { gate, tally, threads }
    }

    /// Nothing is written while the guard lives; operations that were under way have ended.
    pub fn hold_still(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().expect("no writer panics")
    }

    /// Operations that the server has answered.
    pub fn done(&self) -> u64 {
        self.tally.done.load(Ordering::SeqCst)
    }

    /// Operations that failed, or whose outcome is not known.
    pub fn unknown(&self) -> u64 {
        self.tally.unknown.load(Ordering::SeqCst)
    }

    /// Ends them and returns how many operations were answered. Panics if a writer panicked.
    pub fn stop(mut self) -> u64 {
        self.tally.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("no writer panics");
        }
        self.done()
    }
}

impl Drop for MongoWriters {
    fn drop(&mut self) {
        self.tally.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct Writer {
    runtime: tokio::runtime::Runtime,
    client: mongodb::Client,
    workload: Workload,
    seed: Seed,
}

impl Writer {
    fn new(workload: Workload, seed: Seed) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime of one thread can be built");
        let client = runtime.block_on(mongodb::Client::with_uri_str(&workload.uri)).expect("the URI is one");
        Self { runtime, client, workload, seed }
    }

    fn write(mut self, gate: &RwLock<()>, tally: &Tally) {
        while !tally.stop.load(Ordering::SeqCst) {
            let writing = gate.read().expect("no writer panics");
            let outcome = self.operation();
            drop(writing);
            if outcome.is_ok() {
                tally.done.fetch_add(1, Ordering::SeqCst);
            } else {
                tally.unknown.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(PAUSE_AFTER_FAILURE);
            }
            let (from, until) = self.workload.pause_ms;
            std::thread::sleep(Duration::from_millis(self.seed.range(from, until.max(from + 1))));
        }
        let client = self.client.clone();
        drop(self.client);
        self.runtime.block_on(async move { client.shutdown().immediate(true).await });
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }

    fn collection(&mut self) -> Collection<Document> {
        let name = self.seed.pick(&self.workload.collections).clone();
        self.client.database(&self.workload.database).collection(&name)
    }

    fn operation(&mut self) -> Result<(), Error> {
        let collection = self.collection();
        if self.seed.one_in(12) {
            return self.transaction(&collection);
        }
        let step = Step::draw(&mut self.seed, self.workload.keys);
        self.runtime.block_on(step.run(&collection, None))
    }

    fn transaction(&mut self, first: &Collection<Document>) -> Result<(), Error> {
        let second = self.collection();
        let count = self.seed.range(2, 6);
        let steps: Vec<Step> = (0..count).map(|_| Step::draw(&mut self.seed, self.workload.keys)).collect();
        let gives_up = self.seed.one_in(4);
        self.runtime.block_on(async {
            let mut session = self.client.start_session().await?;
            session.start_transaction().await?;
            for (number, step) in steps.iter().enumerate() {
                let collection = if number % 2 == 0 { first } else { &second };
                if let Err(error) = step.run(collection, Some(&mut session)).await {
                    // The server may have ended it already.
                    let _ = session.abort_transaction().await;
                    return Err(error);
                }
            }
            if gives_up { session.abort_transaction().await } else { session.commit_transaction().await }
        })
    }
}

/// One operation on one key.
struct Step {
    id: Bson,
    act: Act,
}

enum Act {
    Upsert(Document),
    Replace(Document),
    Update(Document),
    Compute(Vec<Document>),
    Delete,
}

impl Step {
    fn draw(seed: &mut Seed, keys: u64) -> Self {
        let id = key(seed, keys);
        let value = seed.draw() as i64;
        let act = match seed.below(10) {
            0 | 1 => {
                Act::Upsert(doc! { "$set": { "v": value, "at": DateTime::from_millis(value % 4_000_000_000_000) } })
            }
            2 => Act::Replace(doc! { "v": value, "n": value as i32, "nested": { "deep": [1, { "x": value }] } }),
            3 => Act::Delete,
            4 => Act::Update(doc! { "$inc": { "count": 1, "nested.sum": 0.5 } }),
            5 => Act::Update(doc! { "$push": { "list": { "$each": [value], "$slice": -MAX_ELEMENTS } } }),
            6 => Act::Update(doc! { "$unset": { "v": "", "nested.deep": "" } }),
            7 => Act::Update(doc! { "$set": { "nested.0": value, "text": format!("t\u{1}\u{e9}{value}") } }),
            8 => Act::Compute(vec![doc! { "$set": { "list": { "$slice": [{ "$ifNull": ["$list", []] }, 2] } } }]),
            _ => Act::Update(doc! { "$pop": { "list": -1 }, "$rename": { "text": "was" } }),
        };
        Self { id, act }
    }

    async fn run(&self, collection: &Collection<Document>, session: Option<&mut ClientSession>) -> Result<(), Error> {
        let one = doc! { "_id": self.id.clone() };
        match &self.act {
            Act::Upsert(update) => {
                let action = collection.update_one(one, update.clone()).upsert(true);
                match session {
                    Some(session) => action.session(session).await.map(drop),
                    None => action.await.map(drop),
                }
            }
            Act::Replace(document) => {
                let action = collection.replace_one(one, document).upsert(true);
                match session {
                    Some(session) => action.session(session).await.map(drop),
                    None => action.await.map(drop),
                }
            }
            Act::Update(update) => {
                let action = collection.update_one(one, update.clone());
                match session {
                    Some(session) => action.session(session).await.map(drop),
                    None => action.await.map(drop),
                }
            }
            Act::Compute(stages) => {
                let action = collection.update_one(one, stages.clone());
                match session {
                    Some(session) => action.session(session).await.map(drop),
                    None => action.await.map(drop),
                }
            }
            Act::Delete => {
                let action = collection.delete_one(one);
                match session {
                    Some(session) => action.session(session).await.map(drop),
                    None => action.await.map(drop),
                }
            }
        }
    }
}

/// A key: numbers, written as whichever type comes, and strings of the same digits.
fn key(seed: &mut Seed, keys: u64) -> Bson {
    let number = seed.below(keys) as i32;
    match (number % 2, seed.below(3)) {
        (1, _) => Bson::String(number.to_string()),
        (_, 0) => Bson::Int32(number),
        (_, 1) => Bson::Int64(i64::from(number)),
        _ => Bson::Double(f64::from(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::{MongoWriters, Workload};
    use crate::mongo_server::{MongoServer, MongoSettings};
    use crate::seed::Seed;
    use crate::wait::wait_until;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn writers_hold_still_when_asked_and_go_on_after() {
        let database = MongoServer::shared().database("writers");
        let writers = MongoWriters::start(&Workload::hot(&database, &["a", "b"]), &mut Seed::new(1));
        wait_until(PATIENCE, "three hundred operations are done", || writers.done() >= 300);
        let held = writers.hold_still();
        let seen = (database.raw("a"), database.raw("b"));
        assert!(!seen.0.is_empty() && !seen.1.is_empty());
        assert_eq!((database.raw("a"), database.raw("b")), seen);
        drop(held);
        let done = writers.done();
        wait_until(PATIENCE, "they go on", || writers.done() > done + 50);
        assert!(writers.stop() > done + 50);
    }

    #[test]
    fn writers_live_through_a_killed_server() {
        let Some(server) = MongoServer::start_own("writers", MongoSettings::default().synced()) else { return };
        let database = server.database("killed");
        let writers = MongoWriters::start(&Workload::hot(&database, &["a", "b"]), &mut Seed::new(2));
        wait_until(PATIENCE, "fifty operations are done", || writers.done() >= 50);
        server.kill();
        wait_until(PATIENCE, "an operation fails", || writers.unknown() > 0);
        server.resume();
        let done = writers.done();
        wait_until(PATIENCE, "they go on", || writers.done() > done + 50);
        let _ = writers.stop();
    }
}
