//! BSON: what is let through, what its texts say, against the `bson` crate and `jiff`.

use super::*;
use crate::rejection::RejectCode;
use ::bson::{Bson, Document, RawDocumentBuf, doc};
use proptest::prelude::*;

fn bytes(document: &Document) -> Vec<u8> {
    RawDocumentBuf::try_from(document).expect("a document").into_bytes()
}

fn check(record: &[u8]) -> Result<(), RejectCode> {
    Scan::default().check(record).map_err(|rejection| rejection.code)
}

/// A document with this member, given as kind, name and bytes of the value.
fn raw(members: &[(u8, &[u8], &[u8])]) -> Vec<u8> {
    let inner: Vec<u8> =
        members.iter().flat_map(|(kind, name, value)| [&[*kind], *name, b"\0", *value].concat()).collect();
    [&(inner.len() as i32 + 5).to_le_bytes()[..], &inner, b"\0"].concat()
}

#[test]
fn structure_that_is_wrong_is_malformed_wherever_it_stands() {
    let string = |length: i32, text: &[u8]| [&length.to_le_bytes()[..], text].concat();
    let code = |total: i32| [&total.to_le_bytes()[..], &string(2, b"c\0"), &raw(&[])].concat();
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("too short", vec![4, 0, 0, 0]),
        ("no terminator", vec![5, 0, 0, 0, 1]),
        ("longer than it is", vec![6, 0, 0, 0, 0]),
        ("bytes behind it", [raw(&[]), vec![0]].concat()),
        ("negative length", vec![0xff, 0xff, 0xff, 0xff, 0]),
        ("unknown kind", raw(&[(0x14, b"a", b"")])),
        ("kind zero", raw(&[(0, b"a", b"")])),
        ("bool of two", raw(&[(0x08, b"a", &[2])])),
        ("string of length zero", raw(&[(0x02, b"a", &string(0, b""))])),
        ("string without end", raw(&[(0x02, b"a", &string(2, b"xy"))])),
        ("string too long", raw(&[(0x02, b"a", &string(3, b"x\0"))])),
        ("string of negative length", raw(&[(0x02, b"a", &string(-1, b"x\0"))])),
        ("int cut short", raw(&[(0x10, b"a", &[1, 2, 3])])),
        ("inner document too long", raw(&[(0x03, b"a", &[6, 0, 0, 0, 0])])),
        ("binary too long", raw(&[(0x05, b"a", &[9, 0, 0, 0, 0, 1])])),
        ("old binary with a wrong inner length", raw(&[(0x05, b"a", &[5, 0, 0, 0, 2, 2, 0, 0, 0, 9])])),
        ("regex without options", raw(&[(0x0b, b"a", b"x\0")])),
        ("code whose total is short", raw(&[(0x0f, b"a", &code(14))])),
        ("code whose total is long", raw(&[(0x0f, b"a", &code(16))])),
    ];
    for (what, record) in wrong {
        assert_eq!(check(&record), Err(RejectCode::Malformed), "{what}");
        let inside = raw(&[(0x03, b"in", &record)]);
        assert_eq!(check(&inside), Err(RejectCode::Malformed), "{what}, inside");
    }
    assert_eq!(check(&raw(&[(0x0f, b"a", &code(15))])), Ok(()));
    assert_eq!(check(&raw(&[(0x05, b"a", &[5, 0, 0, 0, 2, 1, 0, 0, 0, 9])])), Ok(()));
    assert_eq!(check(&raw(&[(0x02, b"\xff", &string(4, b"\xff\0x\0"))])), Ok(()));
    assert_eq!(check(&vec![0; crate::json::MAX_RECORD_BYTES + 1]), Err(RejectCode::TooLarge));
}

#[test]
fn depth_and_members_have_limits() {
    let deep = |levels: usize| {
        let mut record = raw(&[]);
        for level in 1..levels {
            record = raw(&[(if level.is_multiple_of(2) { 0x03 } else { 0x04 }, b"0", &record)]);
        }
        record
    };
    assert_eq!(check(&deep(MAX_DEPTH)), Ok(()));
    assert_eq!(check(&deep(MAX_DEPTH + 1)), Err(RejectCode::TooDeep));
    assert_eq!(check(&deep(2_000)), Err(RejectCode::TooDeep));
    let wide = |members: usize| -> Vec<u8> {
        let inner: Vec<u8> = (0..members).flat_map(|n| [b"\x0a", n.to_string().as_bytes(), b"\0"].concat()).collect();
        [&(inner.len() as i32 + 5).to_le_bytes()[..], &inner, b"\0"].concat()
    };
    assert_eq!(check(&wide(MAX_MEMBERS)), Ok(()));
    assert_eq!(check(&wide(MAX_MEMBERS + 1)), Err(RejectCode::TooComplex));
    assert_eq!(check(&raw(&[(0x04, b"a", &wide(MAX_MEMBERS + 1))])), Ok(()), "arrays have no such limit");
}

#[test]
fn members_named_twice_are_found_at_any_depth_and_arrays_have_none() {
    let mut scan = Scan::default();
    let inner = raw(&[(0x0a, b"x", b""), (0x0a, b"y", b""), (0x0a, b"x", b""), (0x0a, b"x", b"")]);
    let record = raw(&[(0x0a, b"x", b""), (0x04, b"a", &raw(&[(0x03, b"7", &inner), (0x0a, b"7", b"")]))]);
    scan.check(&record).expect("structure");
    // Offsets: 4 + 3 for x, then kind, name and length of a, of 7.
    let first = 4 + 3 + 3 + 4 + 3 + 4;
    assert_eq!(scan.superseded(), [first, first + 6]);
    assert_eq!(scan.repeated(), Some(first as usize + 6));
    assert_eq!(pointer_at(&record, first as usize + 6), "/a/0/x");
    let many: Vec<Vec<u8>> = (0..60).map(|n| format!("n{}", n % 30).into_bytes()).collect();
    let members: Vec<(u8, &[u8], &[u8])> = many.iter().map(|name| (0x0a_u8, &name[..], &b""[..])).collect();
    scan.check(&raw(&members)).expect("structure");
    assert_eq!(scan.superseded().len(), 30);
    assert!(scan.superseded().is_sorted());
    scan.check(&raw(&[(0x0a, b"a", b"")])).expect("structure");
    assert!(scan.superseded().is_empty() && scan.repeated().is_none(), "one record is forgotten before the next");
}

#[test]
fn kinds_have_mongodbs_names() {
    let all = doc! { "d": 1.0, "s": "", "o": {}, "a": [], "n": Bson::Null, "i": 1, "l": 1_i64, "m": Bson::MinKey };
    let record = RawDocumentBuf::try_from(&all).expect("a document");
    let names: Vec<_> = record.iter().map(|member| bson_kind_name(member.expect("a member").1)).collect();
    assert_eq!(names, ["double", "string", "object", "array", "null", "int", "long", "minKey"]);
    for kind in Kind::ALL {
        assert_eq!(Kind::of(kind as u8), Some(kind));
    }
    assert_eq!(Kind::of(0), None);
}

fn decimal_text(bits: u128) -> String {
    let mut out = Vec::new();
    Decimal128::of(bits.to_le_bytes()).append_text(&mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn decimals_that_are_not_canonical_are_zero() {
    // Both high bits of the combination, and a coefficient of 10³⁴.
    assert_eq!(decimal_text(0x6c00_0000_0000_0000_0000_0000_0000_0001), "0E-32");
    assert_eq!(decimal_text((6_176_u128 << 113) | 10_u128.pow(34)), "0");
    assert_eq!(decimal_text((6_176_u128 << 113) | (10_u128.pow(34) - 1)), "9".repeat(34));
}

#[test]
fn dates_beyond_the_iso_years_are_numbers() {
    for (millis, expected) in [(-1, None), (0, Some("1970-01-01T00:00:00Z")), (253_402_300_800_000, None)] {
        let mut out = Vec::new();
        let written = date::append_iso(millis, &mut out);
        assert_eq!(written.then(|| String::from_utf8(out).expect("text")).as_deref(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn decimals_read_as_the_driver_reads_them(coefficient in 0..10_u128.pow(34), short in any::<u16>(), exponent in 0..12_288_u128, sign in any::<bool>(), which in 0..3) {
        let coefficient = [coefficient, u128::from(short), coefficient % 10_u128.pow(12)][which as usize];
        let bits = (u128::from(sign) << 127) | (exponent << 113) | coefficient;
        prop_assert_eq!(decimal_text(bits), ::bson::Decimal128::from_bytes(bits.to_le_bytes()).to_string());
    }

    #[test]
    fn exact_texts_of_doubles_are_exact(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut exact = Vec::new();
        append_exact(value, &mut exact);
        let all_places = format!("{value:.1100}");
        let (exact, all_places) = (crate::json::Decimal::parse(&exact), crate::json::Decimal::parse(all_places.as_bytes()));
        prop_assert!(exact.expect("a number").equals(&all_places.expect("a number")));
    }

    #[test]
    fn iso_dates_are_those_of_the_calendar(millis in 0..253_402_300_800_000_i64) {
        let mut out = Vec::new();
        prop_assert!(date::append_iso(millis, &mut out));
        let text = String::from_utf8(out).expect("text");
        let read: jiff::Timestamp = text.parse().expect("a time");
        prop_assert_eq!(read.as_millisecond(), millis);
        prop_assert!(text.len() == 20 || text.len() == 24);
    }

    /// Bytes changed at random: never a panic, and what passes can be read to its end.
    #[test]
    fn damaged_documents_are_refused_or_readable(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut record = bytes(&doc! {
            "a": { "b": [1, "x", { "c": 1.5 }] }, "s": "text", "r": ::bson::Regex { pattern: "p".try_into().expect("no NUL"), options: "i".try_into().expect("no NUL") },
            "y": ::bson::Binary { subtype: ::bson::spec::BinarySubtype::BinaryOld, bytes: vec![1, 2] }, "t": true, "l": 5_i64,
            "w": Bson::JavaScriptCodeWithScope(::bson::JavaScriptCodeWithScope { code: "f".into(), scope: doc! { "v": 1 } }),
        });
        for (at, byte) in changes {
            let at = at.index(record.len());
            record[at] = byte;
        }
        if let Some(cut) = cut {
            record.truncate(cut.index(record.len() + 1));
        }
        let mut scan = Scan::default();
        let passed = scan.check(&record).is_ok();
        let writer = Writer { form: Form::Canonical, unstorable: Unstorable::Wrap, scan: &scan };
        let mut out = Vec::new();
        let written = writer.record(&record, &mut out);
        if passed {
            prop_assert_eq!(written, Ok(()));
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
        // What the driver reads whole, names and texts included, passes here too.
        let by_driver = ::bson::RawDocument::from_bytes(&record).ok().and_then(|raw| Document::try_from(raw).ok());
        prop_assert!(passed || by_driver.is_none());
    }
}
