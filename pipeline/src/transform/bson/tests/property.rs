//! Documents of every type, extremes and damage included: each becomes a row that says it exactly, or a named rejection.

use super::expected::{BROKEN, TWICE, Told, document as expected, is_unstorable, same, spoil};
use super::*;
use ::bson::{JavaScriptCodeWithScope, Regex};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-c\"\\\\é😀\u{1}\n]{0,4}",
        1 => "[a\u{0}]{1,3}",
        1 => "[ab]{0,2}".prop_map(|text| format!("{text}{BROKEN}{text}")),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => "[a-d.\"é]{0,2}",
        1 => prop::sample::select(vec!["$oid", "$date", "$ref", "$landfall", "$numberLong", "$code"]).prop_map(str::to_owned),
        1 => prop::sample::select(TWICE.to_vec()).prop_map(str::to_owned),
        1 => "[ab]".prop_map(|name| format!("{name}{BROKEN}")),
    ]
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        (-1_000_i32..1_000).prop_map(|n| f64::from(n) / 8.0),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1e15,
            1e16,
            1e17,
            9_007_199_254_740_993.0,
            9.3e18,
            1.9e19,
            1e-5,
            1e-7,
            1e21,
            1e22,
            5.0,
        ]),
    ]
}

fn leaf() -> impl Strategy<Value = Bson> {
    let odd = json!({"$dbPointer": {"$ref": "db.c", "$id": {"$oid": "65f0c1d2e3a4b5c6d7e8f901"}}});
    let pointer = Bson::try_from(odd).expect("a database pointer");
    let decimals = vec![
        "NaN",
        "Infinity",
        "-Infinity",
        "-0",
        "0E+3",
        "1E+3",
        "1.00",
        "9.999999999999999999999999999999999E+6144",
        "1E-6176",
        "1234567890123456789012345678901234",
        "-0.000001234567890123456789012345678901234",
    ];
    let dates = vec![
        0,
        -1,
        1,
        1_700_000_000_123,
        253_402_300_799_999,
        253_402_300_800_000,
        -210_866_803_200_001,
        9_224_318_016_000_000,
        i64::MIN,
        i64::MAX,
    ];
    prop_oneof![
        2 => double().prop_map(Bson::Double),
        2 => text().prop_map(Bson::String),
        1 => (0_u8..=255, prop::collection::vec(any::<u8>(), 0..5)).prop_map(|(s, b)| binary(BinarySubtype::from(s), &b)),
        1 => any::<[u8; 16]>().prop_map(|bytes| binary(BinarySubtype::Uuid, &bytes)),
        1 => any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => prop_oneof![any::<i64>(), prop::sample::select(dates)].prop_map(date),
        1 => prop::sample::select(vec![Bson::Null, Bson::Undefined, Bson::MinKey, Bson::MaxKey, pointer]),
        1 => ("[a/\"]{0,3}", "[im]{0,1}").prop_map(|(pattern, options)| Bson::RegularExpression(Regex {
            pattern: pattern.try_into().expect("no NUL"), options: options.try_into().expect("no NUL"),
        })),
        1 => text().prop_map(Bson::JavaScriptCode),
        1 => text().prop_map(Bson::Symbol),
        1 => prop_oneof![any::<i32>(), -3..4].prop_map(Bson::Int32),
        1 => prop_oneof![any::<i64>(), -3_i64..4].prop_map(Bson::Int64),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        1 => prop_oneof![
            prop::sample::select(decimals).prop_map(decimal),
            any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(Decimal128::from_bytes(bytes))),
        ],
    ]
}

fn value() -> impl Strategy<Value = Bson> {
    leaf().prop_recursive(4, 20, 4, |inner| {
        let document = prop::collection::vec((name(), inner.clone()), 0..4)
            .prop_map(|members| members.into_iter().collect::<Document>())
            .boxed();
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Bson::Array),
            document.clone().prop_map(Bson::Document),
            (text(), document)
                .prop_map(|(code, scope)| Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })),
        ]
    })
}

fn record() -> impl Strategy<Value = Document> {
    (value(), prop::collection::vec((name(), value()), 0..5), 0_usize..200).prop_map(|(id, members, deep)| {
        let mut document = doc! { "_id": id };
        document.extend(members);
        if deep > 190 {
            // `serde_json` reads 127 levels.
            document = (0..90).fold(document, |inner, _| doc! { "_id": 1, "d": inner });
        }
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_document_becomes_a_row_that_says_it_exactly(document in record()) {
        let record = spoil(&document);
        let unstorable = is_unstorable(&Bson::Document(document.clone()));

        let landed = row_of(&mapping(None, vec![], Beside::DocAndRaw), &record).expect("with its bytes everything lands");
        prop_assert_eq!(landed[2].as_ref(), Some(&record));
        let doc = json_of(&landed[1]).expect("a doc");
        let wanted = expected(&document, Told::Relaxed);
        prop_assert!(same(&doc, &wanted), "{} is not {}", doc, wanted);

        match row_of(&mapping(None, vec![], Beside::Doc), &record) {
            Ok(alone) => prop_assert!(!unstorable && alone[1] == landed[1]),
            Err(rejection) => prop_assert!(unstorable && matches!(
                rejection.code, RejectCode::NulCharacter | RejectCode::InvalidUtf8 | RejectCode::DuplicateMember
            )),
        }
    }

    #[test]
    fn the_rest_tells_every_type(document in record()) {
        let record = spoil(&document);
        let fields = row_of(&mapping(None, vec![], Beside::RestAndRaw), &record).expect("with its bytes everything lands");
        let mut without = document.clone();
        let id = without.remove("_id").expect("an id");
        match json_of(&fields[1]) {
            None => prop_assert!(without.is_empty()),
            Some(rest) if same(&rest, &expected(&document, Told::Canonical)) => {}
            Some(rest) => {
                let wanted = expected(&without, Told::Canonical);
                prop_assert!(same(&rest, &wanted), "{} is not {}", rest, wanted);
                let told = !matches!(id, Bson::Double(_) | Bson::Decimal128(_) | Bson::Document(_) | Bson::Array(_) | Bson::Symbol(_));
                prop_assert!(told, "the key does not tell the type of {:?}", id);
            }
        }
    }

    /// Whatever the columns: a value of each is in its column or in the rest, and nothing panics.
    #[test]
    fn typed_columns_take_or_park(document in record(), ty in prop::sample::select(vec![
        PgType::Text, PgType::Bool, PgType::Int2, PgType::Int4, PgType::Int8, PgType::Float4, PgType::Float8,
        PgType::Numeric(None), PgType::Numeric(Some((10, 2))), PgType::Date, PgType::Time, PgType::Timestamp,
        PgType::TimestampTz, PgType::Uuid, PgType::Bytea, PgType::Jsonb, PgType::ObjectId,
    ])) {
        let columns = vec![column("a", ty), column("a.b", PgType::Jsonb), column("d", PgType::Jsonb)];
        let record = spoil(&document);
        match row_of(&mapping(None, columns, Beside::RestAndRaw), &record) {
            Ok(fields) => {
                let rest = json_of(&fields[4]).unwrap_or_default();
                let rest = rest.pointer("/$landfall/document").unwrap_or(&rest);
                let found = document.get("a");
                prop_assert_eq!(fields[1].is_some(), found.is_some_and(|value| *value != Bson::Null));
                if found.is_some() && fields[1].is_none() {
                    prop_assert_eq!(rest.get("a"), Some(&Value::Null));
                }
                prop_assert_eq!(fields[5].as_ref(), Some(&record));
            }
            Err(rejection) => prop_assert!(document.contains_key("a") && rejection.path.starts_with("/a")),
        }
    }
}

#[test]
fn nesting_of_150_lands_and_of_201_is_parked() {
    let deep = |levels: usize| (1..levels).fold(doc! { "_id": 1 }, |inner, _| doc! { "_id": 1, "d": inner });
    for levels in [150, 200] {
        assert!(row(&mapping(None, vec![], Beside::Doc), &deep(levels)).is_ok());
        assert!(row(&mapping(None, vec![column("d.d", PgType::Jsonb)], Beside::Rest), &deep(levels)).is_ok());
    }
    for levels in [201, 1_000] {
        let parked = row(&mapping(None, vec![], Beside::DocAndRaw), &deep(levels)).expect_err("too deep");
        assert_eq!(parked.code, RejectCode::TooDeep);
    }
}
