//! Keys: one encoding a value, one value an encoding.

use super::*;
use crate::ident::Ident;
use crate::json::tests::value;
use crate::mapping::{FieldPath, KeyFrom, KeySpec};
use proptest::prelude::*;
use serde_json::Value;

fn key(raw: &str) -> Result<String, RejectCode> {
    let mut key = RecordKey::default();
    key.set_json(raw.as_bytes()).map(|()| String::from_utf8(key.0).expect("a key is text"))
}

#[test]
fn each_kind_has_its_tag_and_numbers_one_spelling() {
    let cases = [
        ("5", "n:5"),
        ("5.0", "n:5"),
        ("5e0", "n:5"),
        ("50e-1", "n:5"),
        ("-0.0", "n:0"),
        ("1e300", "n:1e300"),
        ("\"5\"", "s:5"),
        ("\"\\u0041\"", "s:A"),
        ("\"\"", "s:"),
        (r#""a\\b""#, r"s:a\\b"),
        (r#""a\u0000b""#, r"s:a\0b"),
        (r#""a\\0b""#, r"s:a\\0b"),
        ("true", "T:"),
        ("false", "F:"),
        (
            r#"{ "b" : [1.0, "\u0041\n"], "a": null, "c": {} , "d":[]}"#,
            r#"x:{"b":[1,"A\u000a"],"a":null,"c":{},"d":[]}"#,
        ),
        ("[]", "x:[]"),
        (r#"["\u0000\"\\"]"#, r#"x:["\u0000\"\\"]"#),
    ];
    for (raw, expected) in cases {
        assert_eq!(key(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn what_cannot_be_a_key_leaves_it_empty() {
    let long = "1".repeat(MAX_NUMBER_TEXT + 1);
    let deep = format!("{}{}", "[".repeat(201), "]".repeat(201));
    let cases = [
        ("null", RejectCode::KeyMissing),
        ("", RejectCode::Malformed),
        ("nul", RejectCode::Malformed),
        ("01", RejectCode::Malformed),
        ("1 ", RejectCode::Malformed),
        ("\"a", RejectCode::Malformed),
        ("\"a\"b\"", RejectCode::Malformed),
        ("\"\n\"", RejectCode::Malformed),
        ("[1", RejectCode::Malformed),
        (r#""\ud800""#, RejectCode::LoneSurrogate),
        (r#"["\ud800"]"#, RejectCode::LoneSurrogate),
        (long.as_str(), RejectCode::TooComplex),
        (deep.as_str(), RejectCode::TooDeep),
        ("1e999999999999999999", RejectCode::NumberRange),
    ];
    let mut key = RecordKey::default();
    for (raw, code) in cases {
        key.string("before");
        assert_eq!(key.set_json(raw.as_bytes()), Err(code), "{raw}");
        assert_eq!(key.as_bytes(), b"");
    }
    assert_eq!(key.set_json(b"\"a\xff\""), Err(RejectCode::InvalidUtf8));
    assert_eq!(key.set_json(b"\"\\n\xff\""), Err(RejectCode::InvalidUtf8));
}

#[test]
fn long_keys_become_hashes_and_stay_apart() {
    let long = |end: &str| key(&format!("\"{}{end}\"", "k".repeat(RecordKey::MAX_BYTES))).expect("a key");
    assert_eq!(long("a").len(), 66);
    assert!(long("a").starts_with("h:") && long("a") != long("b"));
    let fits = "k".repeat(RecordKey::MAX_BYTES - 2);
    assert_eq!(key(&format!("\"{fits}\"")), Ok(format!("s:{fits}")));
    // printf 's:%s' "$(head -c 1024 /dev/zero | tr '\0' k)" | sha256sum
    let expected = "h:".to_owned() + KNOWN_HASH;
    assert_eq!(long(""), expected);
}

const KNOWN_HASH: &str = "c05c4d6f5013b1e5457969a67827a08481300882ac93e034aa039446c4932653";

#[test]
fn keys_are_found_where_the_mapping_says() {
    let spec = |from| KeySpec { from, column: Ident::new("id").expect("a name"), ty: None };
    let field = spec(KeyFrom::Field(FieldPath::parse("meta.id").expect("a path")));
    let mut key = RecordKey::default();
    assert_eq!(key_of(&field, br#"{"meta":{"id":7.0}}"#, None, &mut key), Ok(()));
    assert_eq!(key.as_bytes(), b"n:7");
    for record in [&b"{}"[..], br#"{"meta":{"id":null}}"#, b"[1]"] {
        assert_eq!(key_of(&field, record, Some("name"), &mut key), Err(RejectCode::KeyMissing));
    }
    assert_eq!(key_of(&field, b"{\"meta\"", None, &mut key), Err(RejectCode::Malformed));
    assert_eq!(key_of(&spec(KeyFrom::Name), b"[1]", Some("a\\b"), &mut key), Ok(()));
    assert_eq!(key.as_bytes(), br"s:a\\b");
    assert_eq!(key_of(&spec(KeyFrom::Stem), b"{}", None, &mut key), Err(RejectCode::KeyMissing));
    assert_eq!(key_of(&spec(KeyFrom::Position), b"{}", Some("x"), &mut key), Err(RejectCode::KeyMissing));
}

#[test]
fn an_encoding_that_is_none_is_not_read() {
    for bad in [&b""[..], b"s", b"z:1", b"T:x", br"s:a\x", br"s:a\", b"s:\xff", "é".as_bytes()] {
        assert_eq!(KeyView::of(bad), None, "{bad:?}");
    }
}

/// Equality of JSON values with numbers by value and members in order: the oracle of injectivity. Integers and quarters
/// only, so `f64` is exact.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((x, a), (y, b))| x == y && same(a, b))
        }
        (a, b) => a == b,
    }
}

/// Small values out of few, so that equal ones and near misses are common.
fn close_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-3_i64..4).prop_map(Value::from),
        (-6_i32..7).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        "[0-3\\\\\u{0}n:]{0,2}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn two_values_share_a_key_exactly_when_they_are_equal(a in close_value(), b in close_value()) {
        let (left, right) = (key(&a.to_string()), key(&b.to_string()));
        prop_assert_eq!(left == right, same(&a, &b), "{} {}", a, b);
    }

    #[test]
    fn white_space_and_escapes_do_not_change_a_key(value in value()) {
        prop_assume!(!value.is_null());
        let plain = key(&value.to_string());
        prop_assert!(plain.is_ok());
        let pretty = serde_json::to_string_pretty(&value).expect("prints");
        let escaped: String = pretty.chars().map(|c| if c.is_ascii() { c.to_string() } else {
            c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }).collect();
        prop_assert_eq!(key(&pretty), plain.clone());
        prop_assert_eq!(key(&escaped), plain);
    }

    #[test]
    fn a_key_is_text_without_nul_and_reads_back(text in "[a-c\\\\\u{0}é😀]{0,20}") {
        let mut made = RecordKey::default();
        made.string(&text);
        prop_assert!(!made.as_bytes().contains(&0));
        prop_assert_eq!(KeyView::of(made.as_bytes()), Some(KeyView::Text(text.as_str().into())));
        let mut from_json = RecordKey::default();
        from_json.set_json(serde_json::to_string(&text).expect("prints").as_bytes()).expect("a key");
        prop_assert_eq!(from_json, made);
    }
}
