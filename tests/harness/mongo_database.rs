//! A database for the test's own statements, blocking; documents go in and come out as the bytes they are. Dropped with its handle.

use bson::{Document, RawDocumentBuf, doc};
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Collection};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A test statement that takes longer has hung.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(60);
/// Dropping must not hang on a server that a test has stopped.
const DROP_PATIENCE: Duration = Duration::from_secs(2);
/// Documents an insert command carries.
const INSERT_DOCUMENTS: usize = 1_000;
/// Bytes an insert command carries, below the 48 MB of a message.
const INSERT_BYTES: usize = 16 << 20;

/// A database.
pub struct MongoDatabase {
    // Taken when dropped.
    runtime: Option<Runtime>,
    client: Client,
    uri: String,
    name: String,
}

impl std::fmt::Debug for MongoDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoDatabase").field("name", &self.name).finish_non_exhaustive()
    }
}

impl MongoDatabase {
    /// Connects when first used.
    pub fn new(uri: &str, name: &str) -> Self {
        // A worker of its own, so that the driver watches the server while the test does something else.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime of one thread can be built");
        let client = runtime.block_on(Client::with_uri_str(uri)).expect("the URI is one");
        Self { runtime: Some(runtime), client, uri: uri.to_owned(), name: name.to_owned() }
    }

    /// How to reach its server.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The driver's handle; its futures are run by [`MongoDatabase::wait`].
    pub fn driver(&self) -> mongodb::Database {
        self.client.database(&self.name)
    }

    /// Where what blocks on the driver may wait.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.as_ref().expect("the runtime is there until it is dropped").handle().clone()
    }

    /// A collection that takes and gives bytes.
    pub fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.driver().collection(name)
    }

    /// Runs a future to its end, which must come.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref().expect("the runtime is taken by drop only");
        let answer = runtime.block_on(async { tokio::time::timeout(STATEMENT_PATIENCE, future).await });
        answer.unwrap_or_else(|_| panic!("a statement took longer than {STATEMENT_PATIENCE:?}"))
    }

    /// Runs a command; its error is returned.
    pub fn try_run(&self, command: Document) -> Result<Document, Error> {
        self.wait(self.driver().run_command(command).into_future())
    }

    /// Runs a command.
    #[track_caller]
    pub fn run(&self, command: Document) -> Document {
        self.try_run(command.clone()).unwrap_or_else(|error| panic!("{error:?} in: {command}"))
    }

    /// Inserts documents as they are, duplicate names and all.
    #[track_caller]
    pub fn insert_raw(&self, collection: &str, documents: &[RawDocumentBuf]) {
        let mut rest = documents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take(INSERT_DOCUMENTS).take_while(|document| {
                bytes += document.as_bytes().len();
                bytes <= INSERT_BYTES
            });
            let (now, later) = rest.split_at(fitting.count().max(1));
            let answer = self.wait(self.driver().run_raw_command(insert(collection, now)).into_future());
            let answer = answer.unwrap_or_else(|error| panic!("{error:?} while inserting into {collection}"));
            assert!(!answer.contains_key("writeErrors"), "refused: {answer}");
            rest = later;
        }
    }

    /// Inserts one document; the code with which it was refused.
    pub fn try_insert_raw(&self, collection: &str, document: &RawDocumentBuf) -> Result<(), i32> {
        let command = insert(collection, std::slice::from_ref(document));
        let answer = self.wait(self.driver().run_raw_command(command).into_future());
        let answer = answer.map_err(|error| code(&error).unwrap_or_default())?;
        let refused = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document().cloned());
        refused.map_or(Ok(()), |error| Err(error.get_i32("code").unwrap_or_default()))
    }

    /// Replaces the document that has the `_id` of this one; `false` when the server refuses.
    #[track_caller]
    pub fn try_replace_raw(&self, collection: &str, document: &RawDocumentBuf) -> bool {
        let id = document.get("_id").expect("the test writes whole documents").expect("and gives each an `_id`");
        let mut filter = RawDocumentBuf::new();
        // `$eq` takes a regular expression or a document as the value it is.
        filter.append(bson::cstr!("$eq"), id);
        let mut query = RawDocumentBuf::new();
        query.append(bson::cstr!("_id"), filter);
        let mut update = RawDocumentBuf::new();
        update.append(bson::cstr!("q"), query);
        update.append(bson::cstr!("u"), document.clone());
        let mut updates = bson::RawArrayBuf::new();
        updates.push(update);
        let mut command = RawDocumentBuf::new();
        command.append(bson::cstr!("update"), collection);
        command.append(bson::cstr!("updates"), updates);
        let answer = self.wait(self.driver().run_raw_command(command).into_future());
        let answer = answer.unwrap_or_else(|error| panic!("{error:?} while replacing in {collection}"));
        !answer.contains_key("writeErrors") && answer.get_i32("n").ok() == Some(1)
    }

    /// Runs a command against `admin`.
    #[track_caller]
    pub fn run_on_admin(&self, command: Document) -> Document {
        let done = self.wait(self.client.database("admin").run_command(command.clone()).into_future());
        done.unwrap_or_else(|error| panic!("{error:?} in: {command}"))
    }

    /// Runs commands in one transaction.
    #[track_caller]
    pub fn transaction(&self, commands: &[Document]) {
        let done = self.wait(async {
            let mut session = self.client.start_session().await?;
            session.start_transaction().await?;
            for command in commands {
                let _ = self.driver().run_command(command.clone()).session(&mut session).await?;
            }
            session.commit_transaction().await
        });
        done.expect("a transaction nobody else is in commits");
    }

    /// All documents in the order of their `_id`s, as bytes.
    #[track_caller]
    pub fn raw(&self, collection: &str) -> Vec<RawDocumentBuf> {
        let read = async {
            let mut cursor = self.collection(collection).find(doc! {}).sort(doc! { "_id": 1 }).await?;
            let mut found = Vec::new();
            while cursor.advance().await? {
                found.push(cursor.current().to_owned());
            }
            Ok::<_, Error>(found)
        };
        self.wait(read).expect("a collection can be read")
    }

    /// Documents in a collection, counted one by one.
    #[track_caller]
    pub fn count(&self, collection: &str) -> u64 {
        let counted = self.wait(self.collection(collection).count_documents(doc! {}).into_future());
        counted.expect("a collection can be counted")
    }

    /// Drops a collection.
    #[track_caller]
    pub fn drop_collection(&self, collection: &str) {
        self.wait(self.collection(collection).drop().into_future()).expect("a collection can be dropped");
    }

    /// Pre-images and post-images of a collection, which is made if need be.
    #[track_caller]
    pub fn keep_images(&self, collection: &str) {
        let images = doc! { "enabled": true };
        if self.try_run(doc! { "create": collection, "changeStreamPreAndPostImages": images.clone() }).is_err() {
            self.run(doc! { "collMod": collection, "changeStreamPreAndPostImages": images });
        }
    }

    /// Makes the next `times` of `commands` fail as `how` says: `errorCode`, `errorLabels`, `closeConnection`, `blockConnection`. Own
    /// servers with failpoints only; never disturbs other tests that share the server if they run the same commands, so take one
    /// of its own for commands that others use.
    #[track_caller]
    pub fn fail_commands(&self, commands: &[&str], times: i32, how: Document) {
        let mut data = doc! { "failCommands": commands.to_vec() };
        data.extend(how);
        let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        let done = self.wait(self.client.database("admin").run_command(command).into_future());
        let _ = done.expect("the server has failpoints");
    }

    /// The token of a stream of this database that is opened now.
    #[track_caller]
    pub fn resume_token(&self) -> ResumeToken {
        let opened = async {
            let mut stream = self.driver().watch().max_await_time(Duration::from_millis(100)).await?;
            let _ = stream.next_if_any().await?;
            Ok::<_, Error>(stream.resume_token())
        };
        self.wait(opened).expect("a stream can be opened").expect("an open stream has a token")
    }

    /// Opens a stream of this database behind a token, reads once, and closes it.
    pub fn reopen(&self, token: ResumeToken) -> Result<(), Error> {
        let opened = async {
            let mut stream = self.driver().watch().resume_after(token).await?;
            stream.next_if_any().await.map(drop)
        };
        self.wait(opened)
    }
}

impl Drop for MongoDatabase {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let database = self.client.database(&self.name);
        let client = self.client.clone();
        let keep = std::thread::panicking() && std::env::var_os("LANDFALL_KEEP").is_some();
        runtime.block_on(async move {
            if !keep {
                // Best effort: the server may be down, and its directory goes with it.
                let _ = tokio::time::timeout(DROP_PATIENCE, database.drop().into_future()).await;
            }
            let _ = tokio::time::timeout(DROP_PATIENCE, client.shutdown().immediate(true).into_future()).await;
        });
        runtime.shutdown_timeout(DROP_PATIENCE);
    }
}

/// The server's code of an error.
pub fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

fn insert(collection: &str, documents: &[RawDocumentBuf]) -> RawDocumentBuf {
    use crate::raw_bson::{RawValue, RawWriter};
    let values: Vec<RawValue> = documents.iter().map(RawValue::document).collect();
    RawWriter::default()
        .with("insert", &RawValue::string(collection))
        .with("documents", &RawValue::array(&values))
        .with("ordered", &RawValue::yes())
        .finish()
}

#[cfg(test)]
mod tests {
    use crate::mongo_documents::{Oddity, deep, documents};
    use crate::mongo_ids::{distinct_ids, document_with, same_ids};
    use crate::mongo_server::{Flavour, MongoServer};
    use crate::mongo_stores;
    use crate::raw_bson::{RawValue, tag};
    use crate::seed::Seed;
    use std::collections::BTreeMap;

    /// What a server that is not the Rust flavour may change is not asked of it.
    fn stored() -> &'static [Oddity] {
        match MongoServer::shared().flavour() {
            Some(Flavour::Rust) => Oddity::STORED_BY_RUST,
            Some(Flavour::Python) => &[],
            None => Oddity::ALL,
        }
    }

    #[test]
    fn thousands_of_odd_documents_come_back_byte_for_byte() {
        let database = MongoServer::shared().database("odd");
        // The Rust flavour keeps two members of one name in some documents and the last of them in others.
        let odd: Vec<Oddity> = match MongoServer::shared().flavour() {
            Some(Flavour::Rust) => stored().iter().copied().filter(|odd| *odd != Oddity::DuplicateNames).collect(),
            _ => stored().to_vec(),
        };
        let made = documents(&mut Seed::new(21), 5_000, &odd);
        database.insert_raw("c", &made);
        let read = database.raw("c");
        assert_eq!(read.len(), made.len());
        let changed = read.iter().zip(&made).find(|(read, made)| read != made);
        assert!(changed.is_none(), "{changed:?}");
        database.insert_raw("deep", &[deep(&RawValue::int32(1), 100)]);
        assert_eq!(database.count("deep"), 1);
    }

    #[test]
    fn distinct_ids_are_distinct_for_the_server_and_same_ids_are_not() {
        let database = MongoServer::shared().database("ids");
        let mut refused = BTreeMap::new();
        let ids = distinct_ids();
        for (name, id) in &ids {
            if let Err(code) = database.try_insert_raw("distinct", &document_with(id, &RawValue::string(name))) {
                refused.insert(*name, code);
            }
        }
        // The Python flavour takes some ids for one that are not, and some dates for none. The Rust flavour takes binaries of one content
        // and several subtypes for one, and code with and without a scope.
        let whole = MongoServer::shared().flavour() != Some(Flavour::Python);
        let most = if MongoServer::shared().flavour() == Some(Flavour::Rust) { 8 } else { 0 };
        assert!(!whole || refused.len() <= most, "refused: {refused:?}");
        assert_eq!(database.count("distinct"), (ids.len() - refused.len()) as u64);
        for group in same_ids() {
            database.try_insert_raw("same", &document_with(&group[0], &RawValue::bare(tag::NULL))).unwrap();
            for other in &group[1..] {
                let answer = database.try_insert_raw("same", &document_with(other, &RawValue::bare(tag::NULL)));
                // Nor does it look into documents for numbers of one value.
                assert!(answer == Err(11_000) || !whole, "{other:?} is {:?}, but: {answer:?}", group[0]);
            }
        }
    }

    #[test]
    fn the_real_collections_go_in_and_come_back() {
        let database = MongoServer::shared().database("real");
        for collection in mongo_stores::all() {
            let documents = collection.documents();
            database.insert_raw(&collection.name, &documents);
            assert_eq!(database.count(&collection.name), documents.len() as u64, "{}", collection.name);
        }
    }
}
