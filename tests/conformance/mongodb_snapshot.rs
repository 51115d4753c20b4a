//! Copies of MongoDB collections: every document of every kind of `_id` exactly once, whatever the ranges and the chunks, from any
//! place on.
//!
//! The oracle is one plain cursor over the collection, which shares neither filter nor paging with the copy.

use bson::{RawDocumentBuf, doc, rawdoc};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::mongodb::{MongoConfig, MongoSnapshot, ReadFrom, SecretUri};
use landfall_connectors::snapshot::{Chunk, ChunkLimit, Cohorts, KeyRange, Mark, Snapshot};
use landfall_connectors::source::SourceStream;
use landfall_schemas::event::Op;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{KeyFrom, KeySpec, Select};
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_ids::{distinct_ids, document_with};
use landfall_tests::mongo_server::{Flavour, MongoServer};
use landfall_tests::raw_bson::RawValue;
use std::collections::BTreeSet;

const STREAM: StreamId = StreamId(3);
/// Beyond every chunk of these tests.
const MANY_BYTES: usize = 64 << 20;
/// More chunks than this and the copy goes round in circles.
const MOST_CHUNKS: usize = 10_000;

/// The copy of one collection of a database.
struct Copying<'a> {
    database: &'a MongoDatabase,
    snapshot: MongoSnapshot,
}

impl<'a> Copying<'a> {
    fn of(database: &'a MongoDatabase, collection: &str) -> Self {
        let config = MongoConfig::new(SecretUri::new(database.uri().to_owned()), database.name(), "proof");
        Self::with(database, collection, &config)
    }

    fn with(database: &'a MongoDatabase, collection: &str, config: &MongoConfig) -> Self {
        let stream = SourceStream {
            id: STREAM,
            name: StreamName::new("records").unwrap(),
            select: Select::Collection(collection.to_owned()),
            key: KeySpec { from: KeyFrom::Id, column: Ident::new("key").unwrap(), ty: None },
            partitions: PartitionCount::new(4).unwrap(),
        };
        Self { database, snapshot: MongoSnapshot::new(config.clone(), &[stream]) }
    }

    fn ranges(&self, parts: usize) -> Result<Vec<KeyRange>, Failure> {
        self.database.wait(self.snapshot.ranges(STREAM, parts))
    }

    fn chunk(&self, range: &KeyRange, limit: ChunkLimit) -> Chunk {
        let mut chunk = Chunk::default();
        self.database.wait(self.snapshot.read(STREAM, range, limit, &mut chunk)).unwrap();
        chunk
    }

    /// Reads a range to its end.
    fn read(&self, range: &KeyRange, limit: ChunkLimit) -> Read {
        let mut read = Read::default();
        let mut rest = range.clone();
        for _ in 0..MOST_CHUNKS {
            let chunk = self.chunk(&rest, limit);
            let changes = chunk.records.changes();
            assert!(changes.len() <= limit.records.max(1));
            for change in changes {
                assert_eq!((change.op, change.snapshot, change.stream), (Op::Upsert, true, STREAM));
                read.documents.push(chunk.records.bytes(&change.payload).to_vec());
                assert!(read.keys.insert(chunk.records.bytes(&change.key).to_vec()), "a key came twice");
            }
            read.cohorts.add(&chunk.cohorts);
            let Some(next) = chunk.next else { return read };
            assert!(!changes.is_empty(), "a chunk that goes on holds something");
            read.marks.push(next.clone());
            rest.after = Some(next);
        }
        panic!("the copy does not end");
    }
}

#[derive(Default)]
struct Read {
    documents: Vec<Vec<u8>>,
    keys: BTreeSet<Vec<u8>>,
    marks: Vec<Mark>,
    cohorts: Cohorts,
}

fn limit(records: usize) -> ChunkLimit {
    ChunkLimit { records, bytes: MANY_BYTES }
}

/// Whether this server's comparison of values and its order of `_id`s agree on it. SecantusDB's do not on binaries of several lengths
/// and subtypes (Rust flavour), nor on documents (Python flavour): there the comparison of cohorts is what tells of a loss.
fn is_ordered(name: &str) -> bool {
    match MongoServer::shared().flavour() {
        Some(Flavour::Rust) => ![
            "bytes of an ObjectId",
            "function",
            "old bytes",
            "old UUID",
            "UUID as bytes",
            "MD5",
            "encrypted",
            "sensitive",
            "user's own",
            "last subtype",
            "many bytes",
        ]
        .contains(&name),
        Some(Flavour::Python) => !name.ends_with("inside") && !name.contains("members") && !name.contains("document"),
        None => true,
    }
}

/// A collection with every kind of `_id` that this server takes.
fn of_every_kind(database: &MongoDatabase, collection: &str) -> Vec<Vec<u8>> {
    for (name, id) in distinct_ids().into_iter().filter(|(name, _)| is_ordered(name)) {
        let more = RawValue::string(name);
        // Some kinds cannot be an `_id` on every version (arrays, undefined): the server says so.
        let _ = database.try_insert_raw(collection, &document_with(&id, &more));
    }
    let stored: Vec<_> = database.raw(collection).iter().map(|found| found.as_bytes().to_vec()).collect();
    assert!(stored.len() > 30, "only {} kinds of _id were stored", stored.len());
    stored
}

/// What a document says of its `_id`.
fn name(document: &[u8]) -> String {
    let document = bson::RawDocument::from_bytes(document).unwrap();
    document.get_str("v").unwrap_or("?").to_owned()
}

#[test]
fn every_kind_of_id_is_read_exactly_once_whatever_the_ranges_and_the_chunks() {
    let database = MongoServer::shared().database("kinds");
    let expected = of_every_kind(&database, "mixed");
    let copying = Copying::of(&database, "mixed");
    for parts in 1..=7 {
        let ranges = copying.ranges(parts).unwrap();
        assert!(!ranges.is_empty() && ranges.len() <= parts);
        for records in 1..=5 {
            let mut found = Vec::new();
            let mut cohorts = Cohorts::default();
            for range in &ranges {
                let read = copying.read(range, limit(records));
                cohorts.add(&read.cohorts);
                found.extend(read.documents);
            }
            let lost: Vec<String> = expected.iter().filter(|one| !found.contains(one)).map(|one| name(one)).collect();
            assert!(lost.is_empty(), "{parts} ranges, {records} records a chunk: not read: {lost:?}");
            assert_eq!(found, expected, "{parts} ranges, {records} records a chunk");
            assert_eq!(database.wait(copying.snapshot.cohorts(STREAM)).unwrap(), cohorts);
        }
    }
}

#[test]
fn a_copy_goes_on_from_any_of_its_marks() {
    let database = MongoServer::shared().database("resume");
    let expected = of_every_kind(&database, "mixed");
    let whole = Copying::of(&database, "mixed").read(&KeyRange::default(), limit(1));
    // The last chunk may know that it is the last.
    assert!(whole.marks.len() + 1 >= expected.len(), "{} marks of {}", whole.marks.len(), expected.len());
    // Another client, as after a restart.
    let again = Copying::of(&database, "mixed");
    for (at, mark) in whole.marks.iter().enumerate() {
        let behind = KeyRange { after: Some(mark.clone()), upto: None };
        assert_eq!(again.read(&behind, limit(100)).documents, expected[at + 1..], "behind record {at}");
        let before = KeyRange { after: None, upto: Some(mark.clone()) };
        assert_eq!(again.read(&before, limit(7)).documents, expected[..=at], "up to record {at}");
    }
}

#[test]
fn a_chunk_ends_when_its_bytes_are_full_and_holds_at_least_one_record() {
    let database = MongoServer::shared().database("bytes");
    let filling = RawValue::string(&"x".repeat(100_000));
    let documents: Vec<_> = (0..40).map(|id| document_with(&RawValue::int32(id), &filling)).collect();
    database.insert_raw("large", &documents);
    let copying = Copying::of(&database, "large");
    for (bytes, most) in [(1, 1), (250_000, 3), (1_000_000, 10)] {
        let limit = ChunkLimit { records: 1_000, bytes };
        let first = copying.chunk(&KeyRange::default(), limit);
        assert_eq!(first.records.changes().len(), most, "{bytes} bytes");
        let read = copying.read(&KeyRange::default(), limit);
        assert_eq!(read.documents.len(), 40);
        assert_eq!(read.marks.len(), 40_usize.div_ceil(most) - usize::from(40 % most != 0), "{bytes} bytes");
    }
}

#[test]
fn ranges_of_a_large_collection_are_of_about_one_size() {
    let database = MongoServer::shared().database("ranges");
    let documents: Vec<RawDocumentBuf> = (0..8_000_i32).map(|id| rawdoc! {"_id": id}).collect();
    database.insert_raw("numbers", &documents);
    let copying = Copying::of(&database, "numbers");
    let ranges = copying.ranges(4).unwrap();
    assert_eq!(ranges.len(), 4);
    let sizes: Vec<_> = ranges.iter().map(|range| copying.read(range, limit(1_000)).documents.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 8_000);
    // 80 draws: a quarter is off by more than a half of itself about never.
    assert!(sizes.iter().all(|size| (500..=4_000).contains(size)), "{sizes:?}");
    let about = database.wait(copying.snapshot.estimate(STREAM)).unwrap();
    assert_eq!(about, 8_000);
}

#[test]
fn a_collection_that_is_not_there_is_empty() {
    let database = MongoServer::shared().database("missing");
    let copying = Copying::of(&database, "nothing");
    let ranges = copying.ranges(4).unwrap();
    assert_eq!(ranges, [KeyRange::default()]);
    assert!(copying.read(&ranges[0], limit(10)).documents.is_empty());
    assert_eq!(database.wait(copying.snapshot.cohorts(STREAM)).unwrap(), Cohorts::default());
    assert_eq!(database.wait(copying.snapshot.estimate(STREAM)).unwrap(), 0);
}

#[test]
fn views_and_time_series_are_refused_in_words() {
    let database = MongoServer::shared().database("refused");
    database.run(doc! {"create": "plain"});
    database.run(doc! {"create": "view", "viewOn": "plain", "pipeline": []});
    database.run(doc! {"create": "series", "timeseries": {"timeField": "t"}});
    for name in ["view", "series"] {
        let failure = Copying::of(&database, name).ranges(2).unwrap_err();
        assert_eq!((failure.class, failure.code), (FailureClass::Halt, "collection_kind"), "{name}");
        assert!(failure.detail.contains(name), "{failure}");
    }
}

#[test]
fn a_collection_with_a_collation_is_read_whole_in_one_range() {
    let database = MongoServer::shared().database("collation");
    database.run(doc! {"create": "words", "collation": {"locale": "en", "strength": 2}});
    let words = ["b", "A", "c", "B2", "a1", "Z", "y", "10", "9"];
    let documents: Vec<RawDocumentBuf> = words.iter().map(|word| rawdoc! {"_id": *word}).collect();
    database.insert_raw("words", &documents);
    database.insert_raw("words", &[rawdoc! {"_id": 5}, rawdoc! {"_id": null}]);
    let copying = Copying::of(&database, "words");
    let ranges = copying.ranges(4).unwrap();
    assert_eq!(ranges.len(), 1);
    let mut expected: Vec<_> = database.raw("words").iter().map(|found| found.as_bytes().to_vec()).collect();
    expected.sort();
    for records in 1..=4 {
        let mut found = copying.read(&ranges[0], limit(records)).documents;
        found.sort();
        assert_eq!(found, expected, "{records} records a chunk");
    }
}

#[test]
fn copies_may_be_read_from_where_the_configuration_says() {
    let database = MongoServer::shared().database("preference");
    database.insert_raw("few", &[rawdoc! {"_id": 1}, rawdoc! {"_id": 2}]);
    for read_from in [ReadFrom::Primary, ReadFrom::SecondaryPreferred, ReadFrom::Nearest] {
        let uri = SecretUri::new(database.uri().to_owned());
        let config = MongoConfig { read_from: Some(read_from), ..MongoConfig::new(uri, database.name(), "proof") };
        let copying = Copying::with(&database, "few", &config);
        assert_eq!(copying.read(&KeyRange::default(), limit(10)).documents.len(), 2, "{read_from:?}");
    }
}
