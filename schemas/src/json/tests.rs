//! The scanner against `serde_json`, against hand-made broken input, and against bombs.

use super::*;
use crate::mapping::FieldPath;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The oracle: `serde_json` reading the same text as exactly one value.
fn serde_accepts(text: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read: Result<serde::de::IgnoredAny, _> = serde::Deserialize::deserialize(&mut reader);
    read.is_ok() && reader.end().is_ok()
}

/// Any JSON value, small.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters: `serde_json` reads them back exactly.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-c\"\\\\\n\u{0}\u{1f}é😀]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-dé\\\\]{0,4}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Text that is JSON or nearly so: a good value with a few characters put in, taken out or exchanged.
fn nearly_json() -> impl Strategy<Value = String> {
    let edits =
        prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, "[\\[\\]{},:\"\\\\eE.+0-9tnu \n-]"), 0..4);
    (value(), any::<bool>(), edits).prop_map(|(value, pretty, edits)| {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let mut chars: Vec<char> = text.expect("a value prints").chars().collect();
        for (place, edit, character) in edits {
            let new = character.chars().next().unwrap_or(' ');
            let at = place.index(chars.len() + 1);
            match edit {
                0 => chars.insert(at, new),
                1 if at < chars.len() => drop(chars.remove(at)),
                _ if at < chars.len() => chars[at] = new,
                _ => {}
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_members_noted_by_a_check_are_those_a_cursor_finds(text in nearly_json()) {
        let mut check = StorableCheck::default();
        if check.check_record(text.as_bytes()).is_ok() {
            let noted: Vec<_> = check.members(text.as_bytes()).map(|m| (m.start, m.value, m.kind, m.name)).collect();
            let mut found = Vec::new();
            if let Some(mut members) = Members::of(text.as_bytes(), 0) {
                while let Ok(Some(m)) = members.next_member() {
                    found.push((m.start, m.value, m.kind, m.name));
                }
            }
            prop_assert_eq!(noted.len(), found.len());
            for (noted, found) in noted.iter().zip(&found) {
                prop_assert_eq!((noted.0, &noted.1, noted.2), (found.0, &found.1, found.2));
                prop_assert_eq!(noted.3.raw(), found.3.raw());
                prop_assert_eq!(noted.3.is_escaped(), found.3.is_escaped());
            }
        }
    }

    #[test]
    fn every_value_of_a_storable_record_is_storable(text in nearly_json()) {
        let mut check = StorableCheck::default();
        match check.check_record(text.as_bytes()) {
            Ok(Checked::Storable) => {
                prop_assert_eq!(check_storable(text.as_bytes()), Ok(()));
                let values: Vec<_> = check.members(text.as_bytes()).map(|member| member.value).collect();
                for value in values {
                    prop_assert_eq!(check_storable(&text.as_bytes()[value]), Ok(()));
                }
            }
            Ok(Checked::Structure) => prop_assert!(check_storable(text.as_bytes()).is_err()),
            Err(_) => prop_assert!(check.check_structure(text.as_bytes()).is_err()),
        }
    }

    #[test]
    fn syntax_is_accepted_exactly_where_serde_json_accepts_it(text in nearly_json()) {
        prop_assert_eq!(check_syntax(text.as_bytes()).is_ok(), serde_accepts(&text), "{}", text);
    }

    #[test]
    fn soup_of_json_characters_is_judged_like_serde_json_does(text in "[\\[\\]{},:\"\\\\eE.+0-9truefalsn \t-]{0,12}") {
        prop_assert_eq!(check_syntax(text.as_bytes()).is_ok(), serde_accepts(&text), "{}", text);
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0..64_usize) {
        let path = FieldPath::parse("a.b").expect("a path");
        let _ = (check_syntax(&bytes), check_storable(&bytes), field(&bytes, &path), skip_value(&bytes, at));
        let _ = (pointer_at(&bytes, at), check_number(&bytes), Decimal::parse(&bytes));
        let mut members = Members::of(&bytes, at);
        while let Some(Ok(Some(_))) = members.as_mut().map(Members::next_member) {}
    }

    #[test]
    fn nothing_panics_on_nearly_json(text in nearly_json()) {
        let path = FieldPath::parse("a.b").expect("a path");
        let _ = (check_storable(text.as_bytes()), field(text.as_bytes(), &path));
        let mut members = Members::of(text.as_bytes(), 0);
        while let Some(Ok(Some(_))) = members.as_mut().map(Members::next_member) {}
    }

    #[test]
    fn members_are_those_that_serde_json_sees(value in value(), pretty in any::<bool>()) {
        let wrapped = serde_json::json!({ "in": value, "b": 1 });
        let text = if pretty { serde_json::to_string_pretty(&wrapped) } else { serde_json::to_string(&wrapped) }.expect("prints");
        let mut members = Members::of(text.as_bytes(), 0).expect("an object");
        let mut seen = Map::new();
        while let Some(member) = members.next_member().expect("good text") {
            let raw: &RawValue = serde_json::from_slice(&text.as_bytes()[member.value]).expect("a whole value");
            let mut buffer = Vec::new();
            let name = member.name.decode(&mut buffer).expect("text").to_owned();
            prop_assert!(member.name.is(&name));
            seen.insert(name, serde_json::from_str(raw.get()).expect("a value"));
        }
        prop_assert_eq!(Value::Object(seen), wrapped);
    }

    #[test]
    fn a_field_is_the_one_that_serde_json_finds(value in value(), first in "[a-dé\\\\]{0,2}", second in "[a-d]{0,2}") {
        let text = serde_json::to_string(&value).expect("prints");
        let pointer = format!("/{first}/{second}");
        let path = FieldPath::parse(&pointer).expect("a path");
        let found = field(text.as_bytes(), &path).expect("good text");
        let expected = value.get(&first).filter(|v| v.is_object()).and_then(|v| v.get(&second));
        let found: Option<Value> = found.map(|raw| serde_json::from_slice(raw).expect("a whole value"));
        prop_assert_eq!(found.as_ref(), expected);
    }

    #[test]
    fn strings_unescape_as_serde_json_does(text in "[a-c\"\\\\/\n\u{0}\u{7f}é😀]{0,12}", ascii in any::<bool>()) {
        let mut raw = serde_json::to_string(&text).expect("prints");
        if ascii {
            raw = raw.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
            }).collect();
        }
        let string = RawString::of_value(raw.as_bytes()).expect("a string");
        let mut buffer = Vec::new();
        prop_assert_eq!(string.decode(&mut buffer), Ok(text.as_str()));
        prop_assert!(string.is(&text));
        let longer = format!("{text}x");
        prop_assert!(!string.is(&longer));
        prop_assert_eq!(string.has_nul(), Ok(text.contains('\0')));
    }

    #[test]
    fn good_values_without_nul_are_storable(value in value()) {
        let text = serde_json::to_string(&value).expect("prints");
        let negative_zero = text.contains("-0.0");
        prop_assume!(!negative_zero);
        prop_assert_eq!(check_storable(text.as_bytes()).is_ok(), !text.contains("\\u0000"));
    }
}

#[test]
fn broken_input_is_refused_at_the_byte_that_breaks_it() {
    let cases: &[(&str, usize)] = &[
        ("", 0),
        ("  ", 2),
        ("{", 1),
        ("[", 1),
        ("{]", 1),
        ("[}", 1),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1,}", 7),
        ("{,}", 1),
        ("{a:1}", 1),
        ("{1:1}", 1),
        ("[1,]", 3),
        ("[,1]", 1),
        ("[1 2]", 3),
        ("1 2", 2),
        ("01", 1),
        ("+1", 0),
        ("-", 1),
        (".5", 0),
        ("5.", 2),
        ("1e", 2),
        ("1e+", 3),
        ("1.e1", 2),
        ("0x10", 1),
        ("NaN", 0),
        ("Infinity", 0),
        ("-Infinity", 1),
        ("nul", 0),
        ("truex", 4),
        ("True", 0),
        ("\"", 1),
        ("\"a\nb\"", 2),
        ("\"\\x\"", 1),
        ("\"\\u12\"", 1),
        ("\"\\u12g4\"", 1),
        ("'a'", 0),
        ("{\"a\":1}}", 7),
        ("[1]]", 3),
        ("// c\n1", 0),
        ("{\"a\":1 /* c */}", 7),
        ("\u{feff}1", 0),
        ("\u{a0}1", 0),
    ];
    for (text, at) in cases {
        let error = check_syntax(text.as_bytes()).expect_err(text);
        assert_eq!((error.at, error.code), (*at, RejectCode::Malformed), "{text}");
        assert!(!serde_accepts(text), "{text}");
    }
}

#[test]
fn good_input_passes_with_white_space_around() {
    for text in
        ["0", "-0", "-0.0e-0", "\"\"", "{}", "[]", " \r\n\t[ ] ", "{\"\":{}}", "[[],{}]", "\"\\ud800\"", "\"\u{7f}\""]
    {
        assert_eq!(check_syntax(text.as_bytes()), Ok(()), "{text}");
        assert!(serde_accepts(text), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_named_with_their_place() {
    for bad in [&b"\"a\xff\""[..], b"\"a\xc0\xaf\"", b"\"a\xed\xa0\x80\"", b"\"a\xf5\x80\x80\x80\"", b"\"a\xe2\x82\""] {
        let error = check_syntax(bad).expect_err("not UTF-8");
        assert_eq!((error.at, error.code), (2, RejectCode::InvalidUtf8));
    }
}

#[test]
fn strings_end_rightly_at_every_length_and_place_of_their_special_bytes() {
    for length in 0..40 {
        for special in ["", "\\\"", "\\\\", "\\n", "é", "😀", "\u{7f}", "\u{80}"] {
            for place in 0..=length {
                let text = format!("[\"{}{special}{}\",1]", "x".repeat(place), "y".repeat(length - place));
                assert_eq!(check_syntax(text.as_bytes()), Ok(()), "{text}");
            }
        }
        for control in ["\u{0}", "\u{1f}", "\n"] {
            let text = format!("\"{}{control}\"", "x".repeat(length));
            assert_eq!(check_syntax(text.as_bytes()).expect_err("control").at, length + 1);
        }
    }
}

#[test]
fn a_million_levels_cost_neither_stack_nor_time() {
    let depth = 1_000_000;
    let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let path = FieldPath::parse("b").expect("a path");
    for text in [&arrays, &objects] {
        assert_eq!(check_syntax(text.as_bytes()), Ok(()));
        assert_eq!(field(text.as_bytes(), &path), Ok(None));
        let open = &text.as_bytes()[..text.len() - 1];
        assert_eq!(check_syntax(open).expect_err("open").at, open.len());
        let rejection = check_storable(text.as_bytes()).expect_err("too deep");
        assert_eq!(rejection.code, RejectCode::TooDeep);
        assert!(rejection.path.len() < 300);
    }
}

#[test]
fn depth_is_accepted_up_to_its_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(check_storable(nested(MAX_DEPTH).as_bytes()), Ok(()));
    assert_eq!(check_storable(nested(MAX_DEPTH + 1).as_bytes()).expect_err("deep").code, RejectCode::TooDeep);
}

#[test]
fn a_member_named_twice_is_found_at_every_depth_and_in_every_spelling() {
    let cases = [
        (r#"{"a":1,"a":1}"#, 7, "/a"),
        (r#"{"a":1,"\u0061":2}"#, 7, "/a"),
        (r#"{"\u0061":1,"a":2}"#, 12, "/a"),
        (r#"{"x":[{"y":{"é":1,"b":2,"\u00e9":3}}]}"#, 25, "/x/0/y/é"),
        (r#"[0,{"":1,"":2}]"#, 9, "/1/"),
        (r#"{"😀":1,"\ud83d\uDE00":2}"#, 10, "/😀"),
    ];
    for (text, at, path) in cases {
        let rejection = check_storable(text.as_bytes()).expect_err(text);
        assert_eq!(
            (rejection.code, rejection.at, &*rejection.path),
            (RejectCode::DuplicateMember, Some(at), path),
            "{text}"
        );
    }
    for text in
        [r#"{"a":{"a":1},"b":{"a":1}}"#, r#"[{"a":1},{"a":1}]"#, "{\"a\":1,\"A\":1,\"\u{e1}\":1,\"a\u{301}\":1}"]
    {
        assert_eq!(check_storable(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn large_objects_are_searched_for_duplicates_too() {
    let object =
        |names: &[String]| format!("{{{}}}", names.iter().map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    let mut names: Vec<String> = (0..MAX_MEMBERS).map(|n| format!("name{n}")).collect();
    assert_eq!(check_storable(object(&names).as_bytes()), Ok(()));
    names[9_000] = "name17".into();
    let text = object(&names);
    let rejection = check_storable(text.as_bytes()).expect_err("twice");
    assert_eq!((rejection.code, &*rejection.path), (RejectCode::DuplicateMember, "/name17"));
    assert_eq!(rejection.at, text.rfind("\"name17\"").map(|at| at as u64));
    names[9_000] = "one more".into();
    names.push("too many".into());
    assert_eq!(check_storable(object(&names).as_bytes()).expect_err("many").code, RejectCode::TooComplex);
}

#[test]
fn what_jsonb_cannot_hold_is_told_with_its_place() {
    let cases = [
        (r#"{"a":"x\u0000"}"#, RejectCode::NulCharacter, "/a"),
        (r#"{"\u0000":1}"#, RejectCode::NulCharacter, "/\u{20}"),
        (r#"{"a":["ok","\ud800"]}"#, RejectCode::LoneSurrogate, "/a/1"),
        (r#"["\udc00\ud800"]"#, RejectCode::LoneSurrogate, "/0"),
        (r#"["\ud800\u0041"]"#, RejectCode::LoneSurrogate, "/0"),
        (r#"{"\ud800":1}"#, RejectCode::LoneSurrogate, "/\\ud800"),
        (r#"{"a":{"b":-0}}"#, RejectCode::NumberRange, "/a/b"),
        ("[-0.00]", RejectCode::NumberRange, "/0"),
        ("-0e7", RejectCode::NumberRange, ""),
        ("1e131072", RejectCode::NumberRange, ""),
        ("1e-16384", RejectCode::NumberRange, ""),
        ("0e-16384", RejectCode::NumberRange, ""),
        ("1e999999999999999999999", RejectCode::NumberRange, ""),
        ("0e1073741823", RejectCode::NumberRange, ""),
    ];
    for (text, code, path) in cases {
        let rejection = check_storable(text.as_bytes()).expect_err(text);
        assert_eq!((rejection.code, &*rejection.path), (code, path), "{text}");
    }
    let fits = [
        "1e131071",
        "-1e131071",
        "1e-16383",
        "0.5e131072",
        "0e131072",
        "-1",
        "1.50",
        "1e3",
        "0.0",
        "-0.1",
        r#""\ud83d\ude00""#,
    ];
    for text in fits {
        assert_eq!(check_storable(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn structure_alone_leaves_values_to_their_columns() {
    let mut check = StorableCheck::default();
    let text = r#"{"a":"\u0000","b":"\ud800","c":-0,"d":1e999999}"#;
    assert_eq!(check.check_structure(text.as_bytes()), Ok(()));
    for text in [r#"{"a":1,"a":2}"#, r#"{"a":1"#, r#"{"\ud800":1}"#] {
        assert!(check.check_structure(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(check.check_structure(br#"{"a":1}"#), Ok(()), "an error leaves nothing behind");
}

#[test]
fn bombs_are_refused_quickly() {
    let digits = "9".repeat(10_000_000);
    assert_eq!(check_storable(digits.as_bytes()).expect_err("long").code, RejectCode::TooComplex);
    let exponents = format!("[{}1]", "1e131071,".repeat(100_000));
    assert_eq!(check_storable(exponents.as_bytes()).expect_err("expands").code, RejectCode::TooComplex);
    let large = format!("\"{}\"", "x".repeat(MAX_RECORD_BYTES));
    assert_eq!(check_storable(large.as_bytes()).expect_err("large").code, RejectCode::TooLarge);
}

#[test]
fn a_field_is_the_first_of_its_name_and_what_follows_is_not_read() {
    let get = |text: &'static str, path: &str| {
        field(text.as_bytes(), &FieldPath::parse(path).expect("a path"))
            .map(|found| found.map(|raw| String::from_utf8_lossy(raw)))
    };
    assert_eq!(get(r#"{"a":1,"a":2}"#, "a"), Ok(Some("1".into())));
    assert_eq!(get(r#"{"a":{"b":[1, 2]} garbage"#, "a.b"), Ok(Some("[1, 2]".into())));
    assert_eq!(get(r#"{"x":"}{\"","\u0061":"v"}"#, "a"), Ok(Some("\"v\"".into())));
    assert_eq!(get("[1]", "a"), Ok(None));
    assert_eq!(get(r#"{"a":1}"#, "a.b"), Ok(None));
    assert_eq!(get(r#"{"a.b":1}"#, "/a.b"), Ok(Some("1".into())));
    assert_eq!(get(r#" { "a" : null } "#, "a"), Ok(Some("null".into())));
    assert_eq!(get(r#"{"a" 1}"#, "a").map_err(|error| error.at), Err(5));
    assert_eq!(get(r#"{"b":"#, "a").map_err(|error| error.code), Err(RejectCode::Malformed));
}

#[test]
fn a_long_or_deep_pointer_is_cut() {
    let text = format!("{{\"{}\":{{\"end\":-0}}}}", "n".repeat(5_000));
    let rejection = check_storable(text.as_bytes()).expect_err("negative zero");
    assert!(rejection.path.len() <= 260 && rejection.path.starts_with('…') && rejection.path.ends_with("n/end"));
}

mod decimal {
    use super::*;

    fn normal(text: &str) -> String {
        let mut out = Vec::new();
        Decimal::parse(text.as_bytes()).expect(text).append_normal(&mut out).expect(text);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn equal_numbers_share_one_spelling() {
        for text in ["5", "5.0", "5e0", "50e-1", "0.05e2", "5.000E+0"] {
            assert_eq!(normal(text), "5");
        }
        for text in ["0", "-0", "0.000", "0e99999999999999999999999"] {
            assert_eq!(normal(text), "0");
        }
        let cases = [
            ("-1.50", "-1.5"),
            ("0.00012", "0.00012"),
            ("12e3", "12000"),
            ("1e39", "1000000000000000000000000000000000000000"),
            ("1e40", "1e40"),
            ("-15e-200", "-15e-200"),
            ("0.1e-40", "1e-41"),
            ("1e-40", "0.0000000000000000000000000000000000000001"),
            ("9007199254740993", "9007199254740993"),
            ("1e1000000", "1e1000000"),
        ];
        for (text, expected) in cases {
            assert_eq!(normal(text), expected, "{text}");
            assert_eq!(normal(&normal(text)), expected, "the spelling is stable");
        }
    }

    #[test]
    fn exponents_without_end_are_refused() {
        let number = b"1e99999999999999999999999";
        assert_eq!(
            Decimal::parse(number).expect("a number").append_normal(&mut Vec::new()),
            Err(RejectCode::NumberRange)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Oracle: digits and exponent brought to one scale by plain integer arithmetic.
        #[test]
        fn two_texts_share_a_spelling_exactly_when_they_are_equal(
            a in any::<i32>(), shift_a in 0..12_u32, b in any::<i32>(), shift_b in 0..12_u32, same in any::<bool>()
        ) {
            let b = if same { a } else { b };
            let value = |n: i32, shift: u32| i128::from(n) * 10_i128.pow(12 - shift);
            let text = |n: i32, shift: u32| format!("{n}e-{shift}");
            let equal = value(a, shift_a) == value(b, shift_b);
            let (left, right) = (text(a, shift_a), text(b, shift_b));
            prop_assert_eq!(normal(&left) == normal(&right), equal);
            let (left, right) = (left.into_bytes(), right.into_bytes());
            let equals = Decimal::parse(&left).expect("a number").equals(&Decimal::parse(&right).expect("a number"));
            prop_assert_eq!(equals, equal);
        }

        #[test]
        fn moving_the_point_against_the_exponent_changes_nothing(digits in "[1-9][0-9]{0,30}", point in 0..31_usize, exp in -60..60_i64) {
            let point = point.min(digits.len() - 1) + 1;
            let (whole, fraction) = digits.split_at(point);
            let moved = if fraction.is_empty() { format!("{whole}.0e{exp}") } else { format!("{whole}.{fraction}e{exp}") };
            let plain = format!("{digits}E{}", exp - fraction.len() as i64);
            prop_assert_eq!(normal(&moved), normal(&plain));
        }
    }
}
