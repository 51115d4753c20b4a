//! Single lines in, changes out: each format's operations and rejects.

use super::*;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{KeySpec, Select};
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};

fn stream(id: u16, from: KeyFrom) -> SourceStream {
    SourceStream {
        id: StreamId(id),
        name: StreamName::new("s").unwrap(),
        select: Select::Whole,
        key: KeySpec { from, column: Ident::new("id").unwrap(), ty: None },
        partitions: PartitionCount::DEFAULT,
    }
}

fn by_field() -> KeyFrom {
    KeyFrom::Field(FieldPath::parse("id").unwrap())
}

fn read(format: LinesFormat, line: &[u8]) -> Vec<String> {
    read_for(format, line, vec![stream(1, by_field())])
}

/// Each change as `op key payload`.
fn read_for(format: LinesFormat, line: &[u8], streams: Vec<SourceStream>) -> Vec<String> {
    let mut batch = ChangeBatch::default();
    let place = Place { index: batch.place("f"), at: 10 };
    Interpreter::new(format, streams).line(&mut batch, line, ("gen", place));
    let text = |range: &std::ops::Range<u32>| String::from_utf8_lossy(batch.bytes(range)).into_owned();
    let show = |change: &landfall_schemas::event::Change| {
        let op = change.reject.map_or_else(|| format!("{:?}", change.op), |code| code.to_string());
        format!("{op} {} {}", text(&change.key), text(&change.payload)).trim_end().to_owned()
    };
    batch.changes().iter().map(show).collect()
}

fn operations() -> LinesFormat {
    LinesFormat::Operation {
        field: FieldPath::parse("action").unwrap(),
        delete: vec!["remove".into(), "0".into()],
        upsert: vec!["put".into()],
        record: Some(FieldPath::parse("data").unwrap()),
    }
}

const PLACE: &str = "p:gen:0000000000000010";

#[test]
fn a_line_is_a_record_by_default() {
    assert_eq!(read(LinesFormat::Record, br#"{"id":"a","n":1}"#), [r#"Upsert s:a {"id":"a","n":1}"#]);
    assert_eq!(read(LinesFormat::Record, b" \t "), [""; 0]);
}

#[test]
fn what_is_no_record_is_rejected_at_its_place() {
    for (line, code) in [
        (&b"{\"id\":\"\xff\"}"[..], "invalid_utf8"),
        (b"not json", "malformed"),
        (b"{\"a\":1}", "key_missing"),
        (b"{\"a\":", "malformed"),
    ] {
        let found = read(LinesFormat::Record, line);
        assert!(found[0].starts_with(&format!("{code} {PLACE}")), "{found:?}");
    }
}

#[test]
fn an_operation_field_deletes_and_writes() {
    assert_eq!(read(operations(), br#"{"action":"put","data":{"id":1}}"#), [r#"Upsert n:1 {"id":1}"#]);
    assert_eq!(read(operations(), br#"{"action":"re\u006dove","data":{"id":1}}"#), ["Delete n:1"]);
    assert_eq!(read(operations(), br#"{"action":0,"id":2}"#), ["Delete n:2"]);
    let odd = r#"{"action":"x","data":{"id":1}}"#;
    assert_eq!(read(operations(), odd.as_bytes()), [format!("unknown_operation n:1 {odd}")]);
    let none = r#"{"id":1}"#;
    assert_eq!(read(operations(), none.as_bytes()), [format!("unknown_operation n:1 {none}")]);
    assert_eq!(read(operations(), b"[}"), [format!("malformed {PLACE} [}}")]);
}

#[test]
fn a_debezium_envelope_is_opened() {
    let read = |line: &str| read(LinesFormat::Debezium, line.as_bytes());
    assert_eq!(read(r#"{"op":"c","before":null,"after":{"id":1}}"#), [r#"Upsert n:1 {"id":1}"#]);
    assert_eq!(read(r#"{"schema":{},"payload":{"op":"u","after":{"id":1}}}"#), [r#"Upsert n:1 {"id":1}"#]);
    assert_eq!(read(r#"{"op":"d","before":{"id":1},"after":null}"#), ["Delete n:1"]);
    for odd in [r#"{"op":"t"}"#, "null", r#"{"payload":null}"#] {
        assert_eq!(read(odd), [format!("unknown_operation {PLACE} {odd}")]);
    }
    let cut = r#"{"op":"d","before":null}"#;
    assert_eq!(read(cut), [format!("not_an_object {PLACE} {cut}")]);
}

#[test]
fn each_stream_gets_each_line_under_its_own_key() {
    let streams = vec![stream(1, by_field()), stream(2, KeyFrom::Position)];
    let found = read_for(LinesFormat::Record, br#"{"id":1}"#, streams);
    assert_eq!(found, [r#"Upsert n:1 {"id":1}"#.to_owned(), format!(r#"Upsert {PLACE} {{"id":1}}"#)]);
}

#[test]
fn a_rejected_payload_is_bounded() {
    let line = vec![b'x'; REJECT_BYTES + 1];
    let mut batch = ChangeBatch::default();
    let place = Place { index: batch.place("f"), at: 0 };
    Interpreter::new(LinesFormat::Record, vec![stream(1, by_field())]).line(&mut batch, &line, ("gen", place));
    assert_eq!(batch.changes()[0].payload.len(), REJECT_BYTES);
}

#[test]
fn a_cut_last_line_is_rejected_and_a_whole_one_is_handed_out() {
    let last = |line: &[u8]| {
        let mut batch = ChangeBatch::default();
        let place = Place { index: batch.place("f"), at: 0 };
        Interpreter::new(LinesFormat::Record, vec![stream(1, by_field())]).last_line(&mut batch, line, ("gen", place));
        batch.changes().first().map(|change| change.reject)
    };
    assert_eq!(last(br#"{"id":1,"text":"cu"#), Some(Some(RejectCode::Malformed)));
    assert_eq!(last(br#"{"id":1}"#), Some(None));
    assert_eq!(last(b"  "), None);
}
