//! Keys from BSON: one encoding exactly where MongoDB sees one `_id`.

use super::*;
use ::bson::spec::BinarySubtype;
use ::bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc, oid::ObjectId,
};
use ::bson::{RawBson, RawDocumentBuf};
use proptest::prelude::*;

fn key(value: &Bson) -> String {
    let raw = RawBson::try_from(value.clone()).expect("a value");
    let mut key = RecordKey::default();
    key.set_bson(raw.as_raw_bson_ref()).expect("a key");
    // The same through the bytes of a document.
    let document = RawDocumentBuf::try_from(&doc! { "x": 1, "_id": value.clone() }).expect("a document");
    let mut found = RecordKey::default();
    found.set_bson_field(document.as_bytes(), &["_id"]).expect("a key");
    assert_eq!(found, key);
    assert!(key.as_bytes().len() <= RecordKey::MAX_BYTES);
    String::from_utf8(key.0).expect("a key is text")
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().expect("a decimal"))
}

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype, bytes: bytes.to_vec() })
}

#[test]
fn each_kind_has_its_tag_and_numbers_go_by_value() {
    let id = ObjectId::parse_str("65f0c1d2e3a4b5c6d7e8f901").expect("an id");
    let uuid: [u8; 16] = std::array::from_fn(|n| n as u8 * 17);
    let tenth = "n:1000000000000000055511151231257827021181583404541015625e-55";
    let cases = [
        (Bson::Int32(5), "n:5"),
        (Bson::Int64(5), "n:5"),
        (Bson::Double(5.0), "n:5"),
        (decimal("5"), "n:5"),
        (decimal("5.00"), "n:5"),
        (decimal("0.5E+1"), "n:5"),
        (Bson::Double(-0.0), "n:0"),
        (decimal("-0E+3"), "n:0"),
        (Bson::Double(0.1), tenth),
        (decimal("0.1"), "n:0.1"),
        (Bson::Double(0.5), "n:0.5"),
        (decimal("5E-1"), "n:0.5"),
        (Bson::Int64(i64::MIN), "n:-9223372036854775808"),
        (Bson::Double(-9_223_372_036_854_775_808.0), "n:-9223372036854775808"),
        (Bson::Int64(i64::MAX), "n:9223372036854775807"),
        (decimal("1E+6111"), "n:1e6111"),
        (Bson::Double(f64::NAN), "n:NaN"),
        (Bson::Double(-f64::NAN), "n:NaN"),
        (decimal("NaN"), "n:NaN"),
        (Bson::Double(f64::INFINITY), "n:Infinity"),
        (decimal("-Infinity"), "n:-Infinity"),
        (Bson::String("5".into()), "s:5"),
        (Bson::Symbol("5".into()), "s:5"),
        (Bson::String("a\0\\b".into()), r"s:a\0\\b"),
        (Bson::ObjectId(id), "o:65f0c1d2e3a4b5c6d7e8f901"),
        (Bson::String("65f0c1d2e3a4b5c6d7e8f901".into()), "s:65f0c1d2e3a4b5c6d7e8f901"),
        (binary(BinarySubtype::Uuid, &uuid), "u:00112233-4455-6677-8899-aabbccddeeff"),
        (binary(BinarySubtype::UuidOld, &uuid), "b:0300112233445566778899aabbccddeeff"),
        (binary(BinarySubtype::Uuid, &[1]), "b:0401"),
        (binary(BinarySubtype::BinaryOld, &[1, 2]), "b:020102"),
        (binary(BinarySubtype::Generic, &[]), "b:00"),
        (Bson::DateTime(DateTime::from_millis(i64::MIN)), "d:-9223372036854775808"),
        (Bson::Timestamp(Timestamp { time: u32::MAX, increment: 7 }), "t:4294967295.7"),
        (Bson::Null, "z:"),
        (Bson::Boolean(true), "T:"),
        (Bson::Boolean(false), "F:"),
        (Bson::MinKey, "m:"),
        (Bson::MaxKey, "M:"),
        (Bson::Undefined, "v:"),
        (Bson::JavaScriptCode("f\"".into()), r#"c:"f\"""#),
        (
            Bson::Document(doc! { "b": [1.0, "A\n"], "a": Bson::Null, "c": {}, "d": [] }),
            r#"x:{"b":[1,"A\u000a"],"a":null,"c":{},"d":[]}"#,
        ),
        (
            Bson::Document(doc! { "o": id, "n": f64::NAN, "t": true, "m": Bson::MinKey }),
            r#"x:{"o":o:65f0c1d2e3a4b5c6d7e8f901,"n":NaN,"t":true,"m":m:}"#,
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(key(&value), expected, "{value:?}");
    }
}

#[test]
fn what_json_can_say_has_the_key_that_it_has_in_json() {
    for raw in ["5", "-17.25", "\"a\\u0000\\\\b\"", "true", r#"{"b":[1,null,"\u0001"],"a":{"x":false}}"#, "[]"] {
        let mut from_json = RecordKey::default();
        from_json.set_json(raw.as_bytes()).expect("a key");
        let value: serde_json::Value = serde_json::from_str(raw).expect("JSON");
        // `serde_json` sorts members; these stand sorted or in arrays.
        let from_bson = key(&Bson::try_from(value).expect("a value"));
        if !raw.contains("\"b\":[") {
            assert_eq!(from_bson.as_bytes(), from_json.as_bytes(), "{raw}");
        }
    }
    let ordered = Bson::Document(doc! { "b": [1, Bson::Null, "\u{1}"], "a": { "x": false } });
    assert_eq!(key(&ordered), r#"x:{"b":[1,null,"\u0001"],"a":{"x":false}}"#);
}

#[test]
fn a_symbol_is_the_string_it_holds_at_any_depth() {
    let with = |text: Bson| Bson::Document(doc! { "a": [{ "b": text }] });
    assert_eq!(key(&with(Bson::Symbol("x".into()))), key(&with("x".into())));
    assert_ne!(key(&with(Bson::JavaScriptCode("x".into()))), key(&with("x".into())));
}

#[test]
fn long_deep_and_missing_ids_are_told_apart() {
    let long = |end: &str| key(&Bson::String(format!("{}{end}", "k".repeat(5_000))));
    assert!(long("a").starts_with("h:") && long("a").len() == 66 && long("a") != long("b"));
    let mut deep = doc! {};
    for _ in 0..MAX_LEVELS {
        deep = doc! { "d": deep };
    }
    let raw = RawDocumentBuf::try_from(&doc! { "_id": deep }).expect("a document");
    let mut key = RecordKey::default();
    assert_eq!(key.set_bson_field(raw.as_bytes(), &["_id"]), Err(RejectCode::TooDeep));
    assert_eq!(key.as_bytes(), b"");
    let without = RawDocumentBuf::try_from(&doc! { "id": 1 }).expect("a document");
    assert_eq!(key.set_bson_field(without.as_bytes(), &["_id"]), Err(RejectCode::KeyMissing));
    assert_eq!(key.set_bson_field(b"\x05\0\0", &["_id"]), Err(RejectCode::Malformed));
    let nested = RawDocumentBuf::try_from(&doc! { "a": { "b": 7 } }).expect("a document");
    assert_eq!(key.set_bson_field(nested.as_bytes(), &["a", "b"]), Ok(()));
    assert_eq!(key.as_bytes(), b"n:7");
}

const MAX_LEVELS: usize = 201;

/// A number as residue × 2^a × 5^b, the residue free of both: unique, so equality needs no digits at all.
#[derive(PartialEq, Debug)]
enum Number {
    Not,
    Infinite(bool),
    Factors(bool, u128, i32, i32),
}

fn factors(negative: bool, mut residue: u128, mut twos: i32, mut fives: i32) -> Number {
    if residue == 0 {
        return Number::Factors(false, 0, 0, 0);
    }
    while residue.is_multiple_of(2) {
        (residue, twos) = (residue / 2, twos + 1);
    }
    while residue.is_multiple_of(5) {
        (residue, fives) = (residue / 5, fives + 1);
    }
    Number::Factors(negative, residue, twos, fives)
}

fn number(value: &Bson) -> Option<Number> {
    Some(match value {
        Bson::Int32(value) => factors(*value < 0, u128::from(value.unsigned_abs()), 0, 0),
        Bson::Int64(value) => factors(*value < 0, u128::from(value.unsigned_abs()), 0, 0),
        Bson::Double(value) if value.is_nan() => Number::Not,
        Bson::Double(value) if value.is_infinite() => Number::Infinite(*value < 0.0),
        Bson::Double(value) => {
            let bits = value.to_bits();
            let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
            let (mantissa, power) =
                if exponent == 0 { (fraction, -1074) } else { (fraction + (1 << 52), exponent - 1075) };
            factors(value.is_sign_negative(), u128::from(mantissa), power, 0)
        }
        Bson::Decimal128(value) => match value.to_string().as_str() {
            "NaN" => Number::Not,
            "Infinity" => Number::Infinite(false),
            "-Infinity" => Number::Infinite(true),
            text => {
                let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
                let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len()) as i32;
                let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
                let exponent = exponent.parse::<i32>().expect("an exponent") - places;
                factors(text.starts_with('-'), digits.parse().expect("digits"), exponent, exponent)
            }
        },
        _ => return None,
    })
}

/// Equality as MongoDB has it: numbers by value, symbols are strings, documents member by member.
fn same(a: &Bson, b: &Bson) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => return a == b,
        (None, None) => {}
        _ => return false,
    }
    let same_documents =
        |a: &Document, b: &Document| a.len() == b.len() && a.iter().zip(b).all(|((x, a), (y, b))| x == y && same(a, b));
    match (a, b) {
        (Bson::String(a) | Bson::Symbol(a), Bson::String(b) | Bson::Symbol(b)) => a == b,
        (Bson::Array(a), Bson::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Bson::Document(a), Bson::Document(b)) => same_documents(a, b),
        (Bson::JavaScriptCodeWithScope(a), Bson::JavaScriptCodeWithScope(b)) => {
            a.code == b.code && same_documents(&a.scope, &b.scope)
        }
        (a, b) => a == b,
    }
}

fn close_number() -> impl Strategy<Value = Bson> {
    prop_oneof![
        (-3_i32..4).prop_map(Bson::Int32),
        (-3_i64..4).prop_map(Bson::Int64),
        prop::sample::select(vec![i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1, 1 << 60]).prop_map(Bson::Int64),
        (-6_i32..7).prop_map(|n| Bson::Double(f64::from(n) / 2.0)),
        prop::sample::select(vec![
            0.1,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            5e-324,
            9_007_199_254_740_992.0,
            1_152_921_504_606_846_976.0,
            9_223_372_036_854_775_808.0,
            1e22,
            1e23,
            1e300,
            -9_223_372_036_854_775_808.0,
        ])
        .prop_map(Bson::Double),
        (-30_i32..31, -1_i32..2, any::<bool>()).prop_map(|(n, e, pad)| {
            let zeros = if pad { "00" } else { "" };
            decimal(&format!("{n}{zeros}E{e}"))
        }),
        prop::sample::select(vec![
            "0.1",
            "-0",
            "NaN",
            "Infinity",
            "-Infinity",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775808",
            "1E+22",
            "1E+23",
            "99999999999999991611392",
            "0.5",
            "0.50",
            "9999999999999999999999999999999999E+6111",
            "1E-6176",
            "1152921504606846976",
        ])
        .prop_map(decimal),
    ]
}

fn close_value() -> impl Strategy<Value = Bson> {
    let text = "[05ns:\\\\\u{0}\"]{0,2}";
    let leaf = prop_oneof![
        6 => close_number(),
        2 => text.prop_map(Bson::String),
        1 => text.prop_map(Bson::Symbol),
        1 => text.prop_map(Bson::JavaScriptCode),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => prop::sample::select(vec![Bson::Null, Bson::Undefined, Bson::MinKey, Bson::MaxKey]),
        1 => (0_i64..3).prop_map(|n| Bson::DateTime(DateTime::from_millis(n))),
        1 => (0_u32..2, 0_u32..3).prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        1 => (0_u8..3).prop_map(|n| Bson::ObjectId(ObjectId::from_bytes([n; 12]))),
        1 => (0_u8..7, 0_usize..3).prop_map(|(s, n)| binary(BinarySubtype::from(s), &[1, 2][..n.min(2)])),
        1 => (0_u8..2).prop_map(|n| binary(BinarySubtype::Uuid, &[n; 16])),
        1 => ("[a,\"]{0,2}", "[im]{0,1}").prop_map(|(pattern, options)| {
            Bson::RegularExpression(Regex { pattern: pattern.try_into().expect("no NUL"), options: options.try_into().expect("no NUL") })
        }),
    ];
    leaf.prop_recursive(3, 6, 3, |inner| {
        let document = prop::collection::vec(("[ab]", inner.clone()), 0..3)
            .prop_map(|members| members.into_iter().collect::<Document>());
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Bson::Array),
            document.clone().prop_map(Bson::Document),
            ("[ab]", document)
                .prop_map(|(code, scope)| { Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope }) }),
        ]
    })
}

/// A document of one member `_id` that holds a string of any bytes.
fn with_string(text: &[u8]) -> Vec<u8> {
    let mut document = Vec::new();
    document.extend_from_slice(&(4 + 1 + 4 + 4 + text.len() as i32 + 1 + 1).to_le_bytes());
    document.extend_from_slice(b"\x02_id\0");
    document.extend_from_slice(&(text.len() as i32 + 1).to_le_bytes());
    document.extend_from_slice(text);
    document.extend_from_slice(b"\0\0");
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn two_ids_share_a_key_exactly_when_mongodb_holds_them_equal(a in close_value(), b in close_value()) {
        prop_assert_eq!(key(&a) == key(&b), same(&a, &b), "{:?} {:?}", a, b);
    }

    #[test]
    fn numbers_share_a_key_exactly_when_they_are_equal(a in close_number(), b in close_number()) {
        prop_assert_eq!(key(&a) == key(&b), same(&a, &b), "{:?} {:?}", a, b);
    }

    #[test]
    fn any_bytes_of_a_string_make_a_key_of_text_that_reads_back(
        a in prop::collection::vec(prop::sample::select(b"ax0f\\\0\xff\xc3\xa9\xe2".to_vec()), 0..6),
        b in prop::collection::vec(prop::sample::select(b"ax0f\\\0\xff\xc3\xa9\xe2".to_vec()), 0..6),
    ) {
        let key = |text: &[u8]| {
            let mut key = RecordKey::default();
            key.set_bson_field(&with_string(text), &["_id"]).expect("a key");
            key
        };
        let (left, right) = (key(&a), key(&b));
        prop_assert_eq!(left == right, a == b);
        prop_assert!(std::str::from_utf8(left.as_bytes()).is_ok() && !left.as_bytes().contains(&0));
        let read = match KeyView::of(left.as_bytes()) {
            Some(KeyView::Text(text)) => text.into_owned().into_bytes(),
            Some(KeyView::Octets(bytes)) => bytes,
            _ => b"unread".to_vec(),
        };
        prop_assert_eq!(read, a);
    }
}
