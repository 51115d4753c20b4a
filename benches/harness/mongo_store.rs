//! A database of the bench's own server, blocking: what fills it, what changes it, and the raw reads that the product is set beside.

use crate::mix::Change;
use crate::mongo_documents::{document, object_id, revised};
use crate::user::User;
use bson::{Document, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use futures_util::StreamExt;
use mongodb::options::ReadConcern;
use mongodb::{Client, Database};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Documents of a command.
const COMMAND: usize = 1_000;
/// Documents of a reply to the raw read.
const READ_BATCH: u32 = 5_000;
/// As the product waits.
const AWAIT: Duration = Duration::from_millis(300);

/// A database.
pub struct MongoStore {
    runtime: Runtime,
    database: Database,
}

impl std::fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoStore").finish_non_exhaustive()
    }
}

/// A place in the change stream.
#[derive(Clone, Debug)]
pub struct StreamPlace(Document);

impl MongoStore {
    /// Connects when first used.
    pub fn open(uri: &str, database: &str) -> Self {
        // A thread of its own, so that the driver watches the server while the bench does something else.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime needs only memory");
        let client = runtime.block_on(Client::with_uri_str(uri)).expect("the bench's own URI is one");
        Self { database: client.database(database), runtime }
    }

    fn wait<T>(&self, work: impl Future<Output = mongodb::error::Result<T>>) -> T {
        self.runtime.block_on(work).unwrap_or_else(|error| panic!("the bench's own commands are right: {error:?}"))
    }

    fn command(&self, command: RawDocumentBuf) {
        let reply = self.wait(async { self.database.run_raw_command(command).await });
        assert!(!reply.contains_key("writeErrors"), "every write of a bench succeeds: {reply}");
    }

    /// Forgets a collection.
    pub fn drop(&self, collection: &str) {
        self.wait(async { self.database.collection::<Document>(collection).drop().await });
    }

    /// Documents of users.
    pub fn insert(&self, collection: &str, users: impl Iterator<Item = User>) {
        let mut waiting = RawArrayBuf::new();
        let mut count = 0;
        for user in users {
            waiting.push(document(user));
            count += 1;
            if count == COMMAND {
                self.command(written("insert", collection, ("documents", std::mem::take(&mut waiting))));
                count = 0;
            }
        }
        if count > 0 {
            self.command(written("insert", collection, ("documents", waiting)));
        }
    }

    /// Changes, a command of each kind for so many of them. Order is kept where it matters: a user is inserted, then updated, then
    /// deleted, and never comes back.
    pub fn change(&self, collection: &str, changes: &[Change]) {
        for changes in changes.chunks(COMMAND) {
            let (mut inserts, mut updates, mut deletes) = (RawArrayBuf::new(), RawArrayBuf::new(), RawArrayBuf::new());
            for change in changes {
                let one = rawdoc! { "_id": object_id(change.user) };
                match (change.delete, change.insert) {
                    (true, _) => deletes.push(rawdoc! { "q": one, "limit": 1 }),
                    (false, true) => inserts.push(document(change.user)),
                    (false, false) => updates.push(rawdoc! { "q": one, "u": revised(change.user) }),
                }
            }
            let commands =
                [("insert", "documents", inserts), ("update", "updates", updates), ("delete", "deletes", deletes)];
            for (verb, what, list) in commands.into_iter().filter(|(_, _, list)| !list.is_empty()) {
                self.command(written(verb, collection, (what, list)));
            }
        }
    }

    /// Inserts one document and waits for the answer.
    pub fn insert_one(&self, collection: &str, user: User) {
        let mut documents = RawArrayBuf::new();
        documents.push(document(user));
        self.command(written("insert", collection, ("documents", documents)));
    }

    /// Reads a collection with the driver, and no more; gives the documents and their bytes.
    pub fn read_all(&self, collection: &str) -> (u64, usize) {
        self.wait(async {
            let collection = self.database.collection::<RawDocumentBuf>(collection);
            let mut cursor = collection.find(doc! {}).batch_size(READ_BATCH).await?;
            let (mut documents, mut bytes) = (0, 0);
            while cursor.advance().await? {
                bytes += cursor.current().as_bytes().len();
                documents += 1;
            }
            Ok((documents, bytes))
        })
    }

    /// Where the change stream stands.
    pub fn place(&self) -> StreamPlace {
        self.wait(async {
            let mut cursor = self.database.aggregate([doc! { "$changeStream": {} }]).batch_size(0).batch().await?;
            let reply = cursor.next().await.expect("an open stream answers")?;
            let token = reply.as_raw_document().get_document("cursor")?.get_document("postBatchResumeToken")?;
            Ok(StreamPlace(Document::try_from(token)?))
        })
    }

    /// Reads `events` changes behind a place as the product asks for them, and no more; gives their bytes.
    pub fn read_changes(&self, place: &StreamPlace, events: u64) -> usize {
        self.wait(async {
            let stage = doc! {
                "fullDocument": "updateLookup", "resumeAfter": place.0.clone(), "showExpandedEvents": true,
            };
            let stages = [doc! { "$changeStream": stage }, doc! { "$changeStreamSplitLargeEvent": {} }];
            let aggregate = self.database.aggregate(stages).batch_size(0).max_await_time(AWAIT);
            let mut cursor = aggregate.read_concern(ReadConcern::majority()).batch().await?;
            let (mut seen, mut bytes) = (0, 0);
            while seen < events {
                let reply = cursor.next().await.expect("an open stream answers")?;
                for event in reply.doc_slices()? {
                    let event = event?.as_document().map(RawDocument::as_bytes).expect("an event is a document");
                    bytes += std::hint::black_box(event).len();
                    seen += 1;
                }
            }
            Ok(bytes)
        })
    }
}

fn written(verb: &str, collection: &str, (what, list): (&str, RawArrayBuf)) -> RawDocumentBuf {
    let mut command = RawDocumentBuf::new();
    match verb {
        "insert" => command.append(cstr!("insert"), collection),
        "update" => command.append(cstr!("update"), collection),
        _ => command.append(cstr!("delete"), collection),
    }
    match what {
        "documents" => command.append(cstr!("documents"), list),
        "updates" => command.append(cstr!("updates"), list),
        _ => command.append(cstr!("deletes"), list),
    }
    command
}
