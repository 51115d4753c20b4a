//! `_id`s of every type that MongoDB takes as one: a list in which no two are one `_id`, and groups whose members are.
//!
//! What is one `_id` follows MongoDB's comparison, in which the four number types are compared by value.

use crate::raw_bson::{DECIMAL_COEFFICIENT, DECIMAL_INFINITY, DECIMAL_NAN, RawValue, RawWriter, Sign, tag};

/// Above what a PostgreSQL btree takes (2,704 bytes), and above what a key is hashed from (1,024).
const LONG: usize = 5_000;
/// An ObjectId and, as hex, a string.
const OBJECT_ID: [u8; 12] = [0x50, 0xb5, 0x9c, 0xd7, 0x5b, 0xed, 0x76, 0xf4, 0x65, 0x22, 0xc3, 0x4e];
/// 2012-11-28 in milliseconds.
const DATE: i64 = 1_354_080_000_000;

/// Named `_id`s that are all different for MongoDB.
pub fn distinct_ids() -> Vec<(&'static str, RawValue)> {
    let mut ids = numbers();
    ids.extend(texts());
    ids.extend(bytes_and_ids());
    ids.extend(moments_and_marks());
    ids.extend(documents());
    ids
}

fn numbers() -> Vec<(&'static str, RawValue)> {
    vec![
        ("int32 five", RawValue::int32(5)),
        ("a double between integers", RawValue::double(5.5)),
        ("minus zero", RawValue::double(-0.0)),
        ("NaN", RawValue::double(f64::NAN)),
        ("infinity", RawValue::double(f64::INFINITY)),
        ("minus infinity", RawValue::double(f64::NEG_INFINITY)),
        ("smallest int64", RawValue::int64(i64::MIN)),
        ("largest int64", RawValue::int64(i64::MAX)),
        ("two to the 53rd", RawValue::double(9_007_199_254_740_992.0)),
        ("one more than a double can say", RawValue::int64(9_007_199_254_740_993)),
        ("largest double", RawValue::double(f64::MAX)),
        ("smallest double", RawValue::double(5e-324)),
        ("a tenth as a double", RawValue::double(0.1)),
        ("a tenth as a decimal, which is another value", RawValue::decimal(Sign::Plus, 1, -1)),
        ("34 digits", RawValue::decimal(Sign::Minus, DECIMAL_COEFFICIENT, -10)),
        ("the largest decimal", RawValue::decimal(Sign::Plus, DECIMAL_COEFFICIENT, 6_111)),
        ("the smallest decimal", RawValue::decimal(Sign::Plus, 1, -6_176)),
    ]
}

fn texts() -> Vec<(&'static str, RawValue)> {
    vec![
        ("string five", RawValue::string("5")),
        ("string 5.0", RawValue::string("5.0")),
        ("string with a tag", RawValue::string("n:5")),
        ("empty string", RawValue::string("")),
        ("a space", RawValue::string(" ")),
        ("upper case", RawValue::string("A")),
        ("lower case", RawValue::string("a")),
        ("composed", RawValue::string("\u{e9}")),
        ("decomposed", RawValue::string("e\u{301}")),
        ("U+0000 inside", RawValue::string("a\0b")),
        ("backslash zero", RawValue::string("a\\0b")),
        ("two backslashes and zero", RawValue::string("a\\\\0b")),
        ("U+0000 alone", RawValue::string("\0")),
        ("ObjectId as hex", RawValue::string(&hex(&OBJECT_ID))),
        ("the word null", RawValue::string("null")),
        ("the word true", RawValue::string("true")),
        ("beyond the basic plane", RawValue::string("\u{1f680}")),
        ("long", RawValue::string(&"k".repeat(LONG))),
        ("long, of another end", RawValue::string(&format!("{}j", "k".repeat(LONG - 1)))),
        ("long, incompressible", RawValue::string(&incompressible())),
        ("code", RawValue::text(tag::CODE, b"5")),
    ]
}

fn bytes_and_ids() -> Vec<(&'static str, RawValue)> {
    let uuid = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01];
    vec![
        ("ObjectId", RawValue::object_id(OBJECT_ID)),
        ("ObjectId of zeros", RawValue::object_id([0; 12])),
        ("no bytes", RawValue::binary(0, &[])),
        ("bytes of an ObjectId", RawValue::binary(0, &OBJECT_ID)),
        ("function", RawValue::binary(1, &[1, 2])),
        ("old bytes", RawValue::binary(2, &[1, 2])),
        ("old UUID", RawValue::binary(3, &uuid)),
        ("UUID", RawValue::binary(4, &uuid)),
        ("UUID as bytes", RawValue::binary(0, &uuid)),
        ("MD5", RawValue::binary(5, &uuid)),
        ("encrypted", RawValue::binary(6, &[0, 1])),
        ("sensitive", RawValue::binary(8, &[0, 1])),
        ("user's own", RawValue::binary(128, &[0, 1])),
        ("last subtype", RawValue::binary(255, &[0, 1])),
        ("many bytes", RawValue::binary(0, &vec![0xa5; LONG])),
    ]
}

fn moments_and_marks() -> Vec<(&'static str, RawValue)> {
    vec![
        ("date", RawValue::date(DATE)),
        ("date as number", RawValue::int64(DATE)),
        ("before 1970", RawValue::date(-1)),
        ("the first date", RawValue::date(i64::MIN)),
        ("the last date", RawValue::date(i64::MAX)),
        ("timestamp", RawValue::timestamp(1_354_080_000, 1)),
        ("timestamp of another increment", RawValue::timestamp(1_354_080_000, 2)),
        ("the last timestamp", RawValue::timestamp(u32::MAX, u32::MAX)),
        ("null", RawValue::bare(tag::NULL)),
        ("true", RawValue::yes()),
        ("false", RawValue::no()),
        ("MinKey", RawValue::bare(tag::MIN_KEY)),
        ("MaxKey", RawValue::bare(tag::MAX_KEY)),
    ]
}

fn documents() -> Vec<(&'static str, RawValue)> {
    let pair = |first: &str, second: &str| {
        let one = RawValue::int32(1);
        let two = RawValue::int32(2);
        RawValue::document(&RawWriter::default().with(first, &one).with(second, &two).finish())
    };
    let holding = |value: &RawValue| RawValue::document(&RawWriter::default().with("v", value).finish());
    vec![
        ("empty document", RawValue::document(&RawWriter::default().finish())),
        ("two members", pair("a", "b")),
        ("two members the other way round", pair("b", "a")),
        ("a number inside", holding(&RawValue::int32(5))),
        ("a string inside", holding(&RawValue::string("5"))),
        ("null inside", holding(&RawValue::bare(tag::NULL))),
        ("an array inside", holding(&RawValue::array(&[RawValue::int32(5)]))),
        ("ObjectId inside", holding(&RawValue::object_id(OBJECT_ID))),
        ("its hex inside", holding(&RawValue::string(&hex(&OBJECT_ID)))),
        ("date inside", holding(&RawValue::date(DATE))),
        ("U+0000 inside a document", holding(&RawValue::string("\0"))),
        ("NaN inside", holding(&RawValue::double(f64::NAN))),
        ("a document inside", holding(&holding(&RawValue::yes()))),
        ("a long string inside", holding(&RawValue::string(&"k".repeat(LONG)))),
    ]
}

/// Groups of `_id`s that are one for MongoDB: the second of a group is refused as a duplicate (11000).
pub fn same_ids() -> Vec<Vec<RawValue>> {
    let holding = |value: &RawValue| RawValue::document(&RawWriter::default().with("v", value).finish());
    let fives = [
        RawValue::int32(5),
        RawValue::int64(5),
        RawValue::double(5.0),
        RawValue::decimal(Sign::Plus, 5, 0),
        RawValue::decimal(Sign::Plus, 500, -2),
    ];
    vec![
        fives.iter().map(holding).collect(),
        fives.to_vec(),
        vec![RawValue::double(-0.0), RawValue::int32(0), RawValue::decimal(Sign::Minus, 0, 3)],
        vec![RawValue::double(f64::NAN), RawValue::decimal_bits(DECIMAL_NAN)],
        vec![RawValue::double(f64::INFINITY), RawValue::decimal_bits(DECIMAL_INFINITY)],
        vec![RawValue::double(0.5), RawValue::decimal(Sign::Plus, 50, -2)],
    ]
}

/// A document with this `_id` and one more field.
pub fn document_with(id: &RawValue, more: &RawValue) -> bson::RawDocumentBuf {
    RawWriter::default().with("_id", id).with("v", more).finish()
}

fn incompressible() -> String {
    let mut seed = crate::seed::Seed::new(5);
    (0..LONG).map(|_| char::from(b'!' + seed.below(90) as u8)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{distinct_ids, same_ids};
    use crate::raw_bson::tag;
    use std::collections::HashSet;

    #[test]
    fn every_type_that_may_be_an_id_is_there_and_no_two_are_the_same_bytes() {
        let ids = distinct_ids();
        let tags: HashSet<u8> = ids.iter().map(|(_, id)| id.tag).collect();
        for wanted in [
            tag::DOUBLE,
            tag::STRING,
            tag::DOCUMENT,
            tag::BINARY,
            tag::OBJECT_ID,
            tag::BOOL,
            tag::DATE,
            tag::NULL,
            tag::CODE,
            tag::INT32,
            tag::TIMESTAMP,
            tag::INT64,
            tag::DECIMAL128,
            tag::MAX_KEY,
            tag::MIN_KEY,
        ] {
            assert!(tags.contains(&wanted), "no _id of type {wanted:#x}");
        }
        let bytes: HashSet<_> = ids.iter().map(|(_, id)| id).collect();
        assert_eq!(bytes.len(), ids.len());
        assert!(same_ids().iter().all(|group| group.len() > 1));
    }
}
