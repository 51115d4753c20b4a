//! A collection read a second time: as a whole, and by the keys of its rows.

use bson::{Bson, doc};
use landfall_connectors::failure::Failure;
use landfall_connectors::mongodb::{MongoConfig, MongoReread, SecretUri};
use landfall_connectors::reread::{MOST_KEYS, Reread, Said, Seen, Taker};
use landfall_connectors::source::SourceStream;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{KeyFrom, KeySpec, Select};
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_ids::{distinct_ids, document_with};
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::raw_bson::RawValue;
use std::collections::BTreeMap;

#[derive(Default)]
struct Taken(BTreeMap<Vec<u8>, Vec<u8>>);

impl Taker for Taken {
    fn restart(&mut self) -> Result<(), Failure> {
        self.0.clear();
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        if let Said::Record(record) = seen.said {
            self.0.insert(seen.key.to_vec(), record.to_vec());
        }
        Ok(())
    }
}

fn reading(database: &MongoDatabase, collection: &str) -> MongoReread {
    let config = MongoConfig::new(SecretUri::new(database.uri().to_owned()), database.name(), "proof");
    let stream = SourceStream {
        id: StreamId(3),
        name: StreamName::new("records").unwrap(),
        select: Select::Collection(collection.to_owned()),
        key: KeySpec { from: KeyFrom::Id, column: Ident::new("key").unwrap(), ty: None },
        partitions: PartitionCount::new(4).unwrap(),
    };
    MongoReread::new(config, vec![stream], database.handle())
}

#[test]
fn documents_are_found_by_the_keys_that_they_are_read_under_whatever_kind_their_ids_are() {
    let database = MongoServer::shared().database("by_key");
    for (name, id) in distinct_ids() {
        // Some kinds cannot be an `_id` on every server.
        let _ = database.try_insert_raw("mixed", &document_with(&id, &RawValue::string(name)));
    }
    let decimal: bson::Decimal128 = "12.25".parse().unwrap();
    let more = [Bson::Double(0.1), Bson::Decimal128(decimal), Bson::Int64(1 << 60)];
    for id in more {
        database.run(doc! { "insert": "mixed", "documents": [{ "_id": id }] });
    }
    let mut reread = reading(&database, "mixed");
    let mut all = Taken::default();
    assert_eq!(reread.read(&mut all).unwrap(), [None]);
    let mut by_key = 0;
    for (key, document) in &all.0 {
        let mut taken = Taken::default();
        if reread.read_of(0, std::slice::from_ref(key), &mut taken).unwrap() {
            by_key += 1;
            assert_eq!(taken.0.get(key), Some(document), "{}", String::from_utf8_lossy(key));
        } else {
            assert!(taken.0.is_empty(), "what cannot be found by its key is not half found");
        }
    }
    assert!(by_key > 15, "of {} keys only {by_key} were found by themselves", all.0.len());
    reread.farewell();
}

#[test]
fn as_many_keys_as_are_allowed_are_asked_for_at_once_and_absent_ones_say_nothing() {
    let database = MongoServer::shared().database("by_keys");
    let documents: Vec<bson::Document> = (0..3_000).map(|n| doc! { "_id": n, "v": n }).collect();
    for part in documents.chunks(1_000) {
        database.run(doc! { "insert": "things", "documents": part });
    }
    let keys: Vec<Vec<u8>> = (0..MOST_KEYS).map(|n| format!("n:{}", n * 6).into_bytes()).collect();
    let mut reread = reading(&database, "things");
    let mut taken = Taken::default();
    assert!(reread.read_of(0, &keys, &mut taken).unwrap());
    assert_eq!(taken.0.len(), 500, "those below 3000");
    assert!(taken.0.keys().all(|key| keys.contains(key)));
    reread.farewell();
}
