//! Documents cut at every read size, and compared with another parser.

use super::*;
use landfall_schemas::json::{MAX_RECORD_BYTES, check_syntax};
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::io::Read;

/// Takes everything, checks every record, and knows those that it was told of.
#[derive(Default)]
struct Taken {
    shapes: HashMap<usize, Shape>,
    records: Vec<(usize, u64, Option<String>, Vec<u8>)>,
    too_large: Vec<(u64, u64, RowHash)>,
    known: Vec<Vec<u8>>,
    stepped_over: usize,
}

impl Taken {
    fn of_stream(&self, stream: usize) -> Vec<String> {
        let own = self.records.iter().filter(|record| record.0 == stream);
        own.map(|record| String::from_utf8(record.3.clone()).unwrap()).collect()
    }
}

fn owned(name: Name<'_>) -> Option<String> {
    match name {
        Name::Text(text) => Some(text.to_owned()),
        Name::None | Name::Broken => None,
    }
}

impl RecordSink for Taken {
    fn container(&mut self, stream: usize, shape: Shape) {
        self.shapes.insert(stream, shape);
    }

    fn known(&mut self, origin: Origin<'_>, window: &[u8]) -> Option<usize> {
        let found = self.known.iter().find(|known| window.starts_with(known))?;
        self.stepped_over += 1;
        self.records.push((origin.stream, origin.at, owned(origin.name), found.clone()));
        Some(found.len())
    }

    fn record(&mut self, origin: Origin<'_>, body: Body<'_>) -> Result<(), NotJson> {
        match body {
            Body::Whole(raw) => {
                check_syntax(raw).map_err(|error| NotJson { at: origin.at + error.at as u64, what: "not JSON" })?;
                self.records.push((origin.stream, origin.at, owned(origin.name), raw.to_vec()));
            }
            Body::TooLarge { head, len, hash } => {
                assert_eq!(head.len(), TOO_LARGE_HEAD);
                self.too_large.push((origin.at, len, hash));
            }
        }
        Ok(())
    }
}

/// Hands out at most so many bytes a read.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.0.len().min(self.1).min(buffer.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

fn split_into(document: &[u8], pointers: &[&str], read: usize, taken: &mut Taken) -> Result<(), NotJson> {
    let tokens: Vec<Vec<String>> =
        pointers.iter().map(|pointer| pointer.split('/').skip(1).map(str::to_owned).collect()).collect();
    let mut splitter = Splitter::new(Selection::new(&tokens).unwrap());
    let mut file = Dribble(document, read);
    loop {
        match splitter.advance(&mut file, taken) {
            Ok(Progress::More) => {}
            Ok(Progress::End) => return Ok(()),
            Err(SplitError::NotJson(error)) => return Err(error),
            Err(SplitError::Read(error)) => panic!("{error}"),
        }
    }
}

fn split(document: &[u8], pointers: &[&str], read: usize) -> Result<Taken, NotJson> {
    let mut taken = Taken::default();
    split_into(document, pointers, read, &mut taken).map(|()| taken)
}

#[test]
fn the_records_of_several_containers_are_found_at_any_read_size() {
    let document = "\u{feff}{ \"users\" : [ {\"id\":1,\"n\":\"]}\\\"\"}, {\"id\":2} ], \"meta\":{\"v\":[1,{\"x\":null}]},\r\n\
                    \"deep\":{\"map\":{\"a\\u00e9\":{\"k\":[[]]},\"b\":7,\"c\":\"s\\\\\"}},\"none\":[], \"t\": true}\n";
    for read in [1, 2, 3, 7, 64, CHUNK] {
        let taken = split(document.as_bytes(), &["/users", "/deep/map", "/none", "/missing", "/t"], read).unwrap();
        assert_eq!(taken.of_stream(0), [r#"{"id":1,"n":"]}\""}"#, r#"{"id":2}"#]);
        assert_eq!(taken.of_stream(1), [r#"{"k":[[]]}"#, "7", r#""s\\""#]);
        let names: Vec<_> = taken.records.iter().filter_map(|record| record.2.as_deref()).collect();
        assert_eq!(names, ["aé", "b", "c"]);
        let shapes: Vec<_> = (0..5).map(|stream| taken.shapes.get(&stream).copied()).collect();
        assert_eq!(shapes, [Some(Shape::Array), Some(Shape::Map), Some(Shape::Array), None, Some(Shape::Scalar)]);
        for (_, at, _, raw) in &taken.records {
            assert!(document.as_bytes()[*at as usize..].starts_with(raw));
        }
    }
}

#[test]
fn an_array_on_the_way_is_entered_by_index() {
    let taken = split(br#"[{"x":[0]},{"x":[1,2]}]"#, &["/1/x"], 4).unwrap();
    assert_eq!(taken.of_stream(0), ["1", "2"]);
}

#[test]
fn what_is_not_json_is_refused_with_its_offset() {
    for (document, at) in [
        (r#"{"a":[1,2]"#, 10),
        (r#"{"a":[1 2]}"#, 8),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[1}}"#, 7),
        (r#"{"a":[1]]"#, 8),
        (r#"{"a":[]} x"#, 9),
        (r#"{"a" []}"#, 5),
        (r#"{a:[]}"#, 1),
        (r#"{"b":tru}"#, 8),
        (r#"{"b":01}"#, 6),
        (r#"{"b":1.}"#, 7),
        (r#"{"b":"\x"}"#, 7),
        ("{\"b\":\"\n\"}", 6),
        (r#"{"a":[],"a":[]}"#, 12),
        ("", 0),
        (" \n", 2),
        ("\u{feff}", 3),
    ] {
        for read in [1, 3, CHUNK] {
            let error = split(document.as_bytes(), &["/a"], read).map(|_| ()).unwrap_err();
            assert_eq!(error.at, at, "{document} read by {read}: {}", error.what);
        }
    }
    assert_eq!(split(b"{\"b\":\"\xe9\"}", &["/a"], 1).map(|_| ()).unwrap_err().at, 6);
    assert_eq!(split(b"\xff\xfe[\0]\0", &[""], 1).map(|_| ()).unwrap_err().at, 0);
}

#[test]
fn nesting_a_million_deep_is_only_long() {
    let deep = 1_000_000;
    let nested = "[".repeat(deep) + &"]".repeat(deep);
    assert_eq!(split(nested.as_bytes(), &["/a"], CHUNK).unwrap().records.len(), 0);
    assert_eq!(split(nested.as_bytes(), &[""], CHUNK).unwrap().records.len(), 1);
    assert!(split("[".repeat(deep).as_bytes(), &["/a"], CHUNK).is_err());
}

#[test]
fn a_record_over_the_limit_is_hashed_and_skipped() {
    let large = format!("{{\"id\":1,\"x\":\"{}\"}}", "é\\\"".repeat(MAX_RECORD_BYTES / 4));
    let document = format!("[{{\"id\":0}},{large},{{\"id\":2}}]");
    for read in [65_537, CHUNK] {
        let taken = split(document.as_bytes(), &[""], read).unwrap();
        assert_eq!(taken.of_stream(0), [r#"{"id":0}"#, r#"{"id":2}"#]);
        assert_eq!(taken.too_large, [(10, large.len() as u64, RowHash::of(large.as_bytes()))]);
    }
    assert!(split(&document.as_bytes()[..document.len() - 20], &[""], CHUNK).is_err());
}

#[test]
fn records_are_the_same_whichever_of_them_are_known_and_however_they_are_read() {
    let rows = [r#"{"a":[1]}"#, r#""s""#, "[2]", r#"{"a":{"b":"}"}}"#, "3", "null", "{}"];
    let spaced = format!("[{}\n]", rows.map(|row| format!(" \r\n{row}\t")).join(","));
    let tight = format!("[{}]", rows.join(","));
    let named = format!("{{{}}}", rows.map(|row| format!("\"k\":{row}")).join(", "));
    for document in [spaced, tight, named] {
        let mut plain = Taken::default();
        split_into(document.as_bytes(), &[""], document.len(), &mut plain).unwrap();
        assert_eq!(plain.of_stream(0), rows);
        for chosen in 0..1 << rows.len() {
            let known = rows.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let known: Vec<Vec<u8>> = known.map(|(_, row)| row.as_bytes().to_vec()).collect();
            for read in [1, 2, 7, document.len()] {
                let mut taken = Taken { known: known.clone(), ..Taken::default() };
                split_into(document.as_bytes(), &[""], read, &mut taken).unwrap();
                assert_eq!(taken.records, plain.records);
            }
        }
    }
}

#[test]
fn what_stands_wrongly_behind_a_known_record_is_found_in_its_place() {
    for (document, at) in
        [("[{},]", 4), ("[{},,{}]", 4), ("[{} {}]", 4), ("[{}}", 3), ("[{},x]", 4), ("[{},", 4), ("[{}", 3)]
    {
        for read in [1, document.len()] {
            let mut taken = Taken { known: vec![b"{}".to_vec()], ..Taken::default() };
            assert_eq!(split_into(document.as_bytes(), &[""], read, &mut taken).unwrap_err().at, at, "{document}");
        }
    }
}

#[test]
fn a_known_record_is_stepped_over() {
    let document = br#"[{"id":1,"x":[]},{"id":2},"text"]"#;
    let known = vec![br#"{"id":1,"x":[]}"#.to_vec(), br#""text""#.to_vec()];
    let mut taken = Taken { known, ..Taken::default() };
    split_into(document, &[""], CHUNK, &mut taken).unwrap();
    assert_eq!(taken.stepped_over, 2);
    assert_eq!(taken.of_stream(0), [r#"{"id":1,"x":[]}"#, r#"{"id":2}"#, r#""text""#]);
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-1.5e+3".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        "[ -~é\u{1f600}\\x00-\\x1f]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let name = "[a-c\"\\\\é]{0,2}".prop_map(|text| serde_json::to_string(&text).unwrap());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((name, inner), 0..5).prop_map(|items| {
                let members: Vec<_> = items.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_is_taken_exactly_when_another_parser_takes_it(
        mut document in json().prop_map(String::into_bytes),
        damage in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[],:0e-. \xe9\x01tn".to_vec()))),
        cut in prop::option::of(any::<prop::sample::Index>()),
        read in 1_usize..40,
    ) {
        if let Some((at, byte)) = damage {
            let at = at.index(document.len());
            document[at] = byte;
        }
        if let Some(cut) = cut {
            document.truncate(cut.index(document.len()));
        }
        let whole = split(&document, &[""], read);
        let expected = serde_json::from_slice::<&RawValue>(&document).is_ok();
        prop_assert_eq!(whole.is_ok(), expected, "{:?}", String::from_utf8_lossy(&document));
        let inner = split(&document, &["/a"], read);
        let twice = inner.as_ref().is_err_and(|error| error.what.contains("second time"));
        prop_assert!(twice || inner.is_ok() == expected, "{:?}", String::from_utf8_lossy(&document));
        if let (Ok(taken), Ok(items)) = (whole, serde_json::from_slice::<Vec<&RawValue>>(&document)) {
            let expected: Vec<_> = items.iter().map(|item| item.get().to_owned()).collect();
            prop_assert_eq!(taken.of_stream(0), expected);
        }
    }
}
