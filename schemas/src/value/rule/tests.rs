//! Rules: what each makes of values, and that what it does not read is named and refused.

use super::*;
use crate::mapping::{EpochUnit, MoneyMarks, Normalizer, Offset, Spellings};
use crate::value::Encoder;

fn put(rule: &ValueRule, ty: PgType, raw: &str) -> Result<Vec<u8>, RejectCode> {
    let mut out = b"before".to_vec();
    let done = Ruler::default().put((rule, ty), raw.as_bytes(), &mut Encoder::default(), &mut out);
    match done {
        Ok(()) => Ok(out.split_off(6)),
        Err(rejection) => {
            assert_eq!(out, b"before", "an error leaves the buffer as it was");
            assert!(!rejection.to_string().contains("secret"), "{rejection}");
            Err(rejection.code)
        }
    }
}

/// The field that a column without a rule makes of a value: how results are told apart.
fn plain(ty: PgType, raw: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::default().field(ty, raw.as_bytes(), &mut out).unwrap();
    out
}

fn parse(parse: Parse) -> ValueRule {
    ValueRule { parse: Some(parse), ..ValueRule::default() }
}

fn normalize(steps: &[Normalizer]) -> ValueRule {
    ValueRule { normalize: steps.to_vec(), ..ValueRule::default() }
}

fn list(listed: &[(&str, &str)], otherwise: Otherwise) -> ValueRule {
    let listed = listed.iter().map(|(spelling, stored)| ((*spelling).into(), (*stored).into())).collect();
    ValueRule { values: Some(Spellings { listed, otherwise }), ..ValueRule::default() }
}

#[test]
fn text_is_made_uniform_step_by_step() {
    let all =
        [Normalizer::Trim, Normalizer::Lower, Normalizer::Nfc, Normalizer::CollapseSpace, Normalizer::EmptyToNull];
    for (raw, made) in [
        (r#""  Ada  LOVELACE ""#, r#""ada lovelace""#),
        (r#""E\u0301""#, r#""é""#),
        (r#"" \t ""#, "null"),
        (r#""""#, "null"),
        ("null", "null"),
        (r#""ÅNGSTRÖM""#, r#""ångström""#),
    ] {
        assert_eq!(put(&normalize(&all), PgType::Text, raw), Ok(plain(PgType::Text, made)), "{raw}");
    }
    let upper = normalize(&[Normalizer::Upper]);
    assert_eq!(put(&upper, PgType::Text, r#""straße""#), Ok(plain(PgType::Text, r#""STRASSE""#)));
    assert_eq!(put(&upper, PgType::Text, "5"), Err(RejectCode::ColumnType), "a number is no text");
    assert_eq!(put(&upper, PgType::Text, r#""a\u0000b""#), Err(RejectCode::NulCharacter));
    assert_eq!(put(&upper, PgType::Text, r#"["secret"]"#), Err(RejectCode::ColumnType));
}

#[test]
fn spellings_become_what_their_list_says_and_others_are_parked_or_pass() {
    let flags =
        list(&[("yes", "true"), ("1", "true"), ("no", "false"), ("false", "false"), ("n/a", "null")], Otherwise::Park);
    for (raw, made) in
        [(r#""yes""#, "true"), ("1", "true"), (r#""1""#, "true"), ("false", "false"), (r#""n/a""#, "null")]
    {
        assert_eq!(put(&flags, PgType::Bool, raw), Ok(plain(PgType::Bool, made)), "{raw}");
    }
    for raw in [r#""Yes""#, r#""secret""#, "0", "true", "1.0"] {
        assert_eq!(put(&flags, PgType::Bool, raw), Err(RejectCode::ValueNotListed), "{raw}");
    }
    let loose = list(&[("In Progress", r#""in_progress""#)], Otherwise::Pass);
    assert_eq!(put(&loose, PgType::Text, r#""done""#), Ok(plain(PgType::Text, r#""done""#)));
    let folded = ValueRule { normalize: vec![Normalizer::Lower], ..list(&[("yes", "true")], Otherwise::Park) };
    assert_eq!(
        put(&folded, PgType::Bool, r#""YES""#),
        Ok(plain(PgType::Bool, "true")),
        "uniform before it is looked up"
    );
}

#[test]
fn counts_since_1970_are_exact_or_refused() {
    let at = |text: &str| plain(PgType::TimestampTz, text);
    for (unit, raw, moment) in [
        (EpochUnit::Seconds, "0", r#""1970-01-01T00:00:00Z""#),
        (EpochUnit::Seconds, "-1", r#""1969-12-31T23:59:59Z""#),
        (EpochUnit::Seconds, "1700000000.25", r#""2023-11-14T22:13:20.25Z""#),
        (EpochUnit::Seconds, r#""1700000000""#, r#""2023-11-14T22:13:20Z""#),
        (EpochUnit::Millis, "1700000000001", r#""2023-11-14T22:13:20.001Z""#),
        (EpochUnit::Millis, "1.7e12", r#""2023-11-14T22:13:20Z""#),
        (EpochUnit::Millis, "1700000000000.500", r#""2023-11-14T22:13:20.0005Z""#),
        (EpochUnit::Micros, "1700000000000001", r#""2023-11-14T22:13:20.000001Z""#),
        (EpochUnit::Millis, "-0", r#""1970-01-01T00:00:00Z""#),
    ] {
        assert_eq!(put(&parse(Parse::Epoch(unit)), PgType::TimestampTz, raw), Ok(at(moment)), "{raw}");
    }
    for (raw, code) in [
        ("1700000000.1234567", RejectCode::TimeRange),
        ("1e400", RejectCode::TimeRange),
        ("99999999999999999999999999", RejectCode::TimeRange),
        ("1e-9", RejectCode::TimeRange),
        (r#""secret""#, RejectCode::ColumnType),
        (r#"" 5""#, RejectCode::ColumnType),
        (r#""""#, RejectCode::ColumnType),
        ("true", RejectCode::ColumnType),
    ] {
        assert_eq!(put(&parse(Parse::Epoch(EpochUnit::Seconds)), PgType::TimestampTz, raw), Err(code), "{raw}");
    }
    let seconds = parse(Parse::Epoch(EpochUnit::Seconds));
    assert_eq!(put(&seconds, PgType::Date, "1699920000"), Ok(plain(PgType::Date, r#""2023-11-14""#)));
    assert_eq!(put(&seconds, PgType::Date, "1699920001"), Err(RejectCode::TimeRange), "no midnight");
}

#[test]
fn iso_texts_without_an_offset_are_placed_by_the_zone_or_refused() {
    let (bare, placed) = (parse(Parse::Iso(None)), parse(Parse::Iso(Some(Offset(7_200)))));
    let at = |text: &str| Ok(plain(PgType::TimestampTz, text));
    let told = r#""2024-03-05T10:00:00+01:00""#;
    assert_eq!(put(&bare, PgType::TimestampTz, told), at(r#""2024-03-05T09:00:00Z""#));
    assert_eq!(put(&placed, PgType::TimestampTz, told), at(r#""2024-03-05T09:00:00Z""#));
    let untold = r#""2024-03-05 10:00""#;
    assert_eq!(put(&bare, PgType::TimestampTz, untold), Err(RejectCode::ColumnType));
    assert_eq!(put(&placed, PgType::TimestampTz, untold), at(r#""2024-03-05T08:00:00Z""#));
    assert_eq!(put(&placed, PgType::TimestampTz, r#""2024-03-05""#), at(r#""2024-03-04T22:00:00Z""#));
    assert_eq!(put(&bare, PgType::Timestamp, untold), Ok(plain(PgType::Timestamp, r#""2024-03-05T10:00:00""#)));
    assert_eq!(put(&bare, PgType::Date, r#""2024-02-29""#), Ok(plain(PgType::Date, r#""2024-02-29""#)));
    assert_eq!(put(&bare, PgType::Date, r#""2023-02-29""#), Err(RejectCode::ColumnType));
}

#[test]
fn patterns_read_what_they_write_and_nothing_else() {
    let german = parse(Parse::Pattern("%d.%m.%Y".into(), Some(Offset(0))));
    assert_eq!(put(&german, PgType::Date, r#""05.03.2024""#), Ok(plain(PgType::Date, r#""2024-03-05""#)));
    for raw in [r#""2024-03-05""#, r#""32.01.2024""#, r#""05.03.2024 ""#, "5"] {
        assert_eq!(put(&german, PgType::Date, raw), Err(RejectCode::ColumnType), "{raw}");
    }
    let american = parse(Parse::Pattern("%m/%d/%Y %H:%M:%S".into(), Some(Offset(-18_000))));
    let made = put(&american, PgType::TimestampTz, r#""03/05/2024 10:20:30""#);
    assert_eq!(made, Ok(plain(PgType::TimestampTz, r#""2024-03-05T15:20:30Z""#)));
    let zoned = parse(Parse::Pattern("%Y%m%d %H%M%S %z".into(), None));
    let made = put(&zoned, PgType::TimestampTz, r#""20240305 102030 +0200""#);
    assert_eq!(made, Ok(plain(PgType::TimestampTz, r#""2024-03-05T08:20:30Z""#)));
    assert_eq!(pattern_fault("%Y-%m-%d"), None);
    assert!(pattern_fault("%H:%M").is_some(), "no date");
    assert!(pattern_fault("%&").is_some());
}

#[test]
fn amounts_are_read_to_the_cent_or_not_at_all() {
    let (english, german) = (MoneyMarks::default(), MoneyMarks { decimal: ',', group: Some('.') });
    let ty = PgType::Numeric(Some((14, 2)));
    for (marks, raw, number) in [
        (english, r#""$1,234.50""#, "1234.50"),
        (english, r#""1234.5""#, "1234.5"),
        (english, r#""(12.00)""#, "-12.00"),
        (english, r#""-$5""#, "-5"),
        (english, r#""$-5""#, "-5"),
        (english, r#""USD 1,000,000""#, "1000000"),
        (english, r#""0.00""#, "0.00"),
        (english, r#""-0.00""#, "0.00"),
        (english, r#""007""#, "7"),
        (english, "19.99", "19.99"),
        (german, r#""1.234,50 €""#, "1234.50"),
        (german, r#""−3,10""#, "-3.10"),
    ] {
        assert_eq!(put(&parse(Parse::Money(marks)), ty, raw), Ok(plain(ty, number)), "{raw}");
    }
    for raw in [
        r#""1.234,50""#,
        r#""12,34.00""#,
        r#""1,23""#,
        r#""$5 USD""#,
        r#""--5""#,
        r#""(-5)""#,
        r#""5.""#,
        r#""""#,
        r#""$""#,
        r#""secret""#,
        r#""1 234""#,
        r#""１２""#,
        r#""1e3""#,
    ] {
        assert_eq!(put(&parse(Parse::Money(english)), ty, raw), Err(RejectCode::ColumnType), "{raw}");
    }
    let cents = put(&parse(Parse::Money(english)), ty, r#""1.005""#);
    assert_eq!(cents, Err(RejectCode::NumberRange), "never rounded");
}

#[test]
fn numbers_in_text_and_text_of_numbers_stand_as_they_are() {
    let number = parse(Parse::Number);
    let long = r#""12345678901234567890123.10""#;
    assert_eq!(put(&number, PgType::Numeric(None), long), Ok(plain(PgType::Numeric(None), &long.replace('"', ""))));
    assert_eq!(put(&number, PgType::Int4, "5"), Ok(plain(PgType::Int4, "5")));
    for raw in [r#"" 5""#, r#""5 ""#, r#""0x5""#, r#""05""#, r#""NaN""#, r#""""#, "true"] {
        assert_eq!(put(&number, PgType::Int4, raw), Err(RejectCode::ColumnType), "{raw}");
    }
    let text = parse(Parse::Text);
    for (raw, made) in [("1.10", r#""1.10""#), ("true", r#""true""#), (r#""x""#, r#""x""#)] {
        assert_eq!(put(&text, PgType::Text, raw), Ok(plain(PgType::Text, made)), "{raw}");
    }
}

#[test]
fn values_of_bson_are_read_by_the_same_rules_and_dates_pass() {
    let put = |rule: &ValueRule, ty, value: Value<'_>| {
        let mut out = Vec::new();
        let done = Ruler::default().put_bson((rule, ty), &value, &mut Encoder::default(), &mut out);
        done.map(|done| done.map(|()| out).map_err(|rejection| rejection.code))
    };
    let millis = parse(Parse::Epoch(EpochUnit::Millis));
    let at = plain(PgType::TimestampTz, r#""2023-11-14T22:13:20Z""#);
    for value in [Value::Int64(1_700_000_000_000), Value::Double(1.7e12), Value::String(b"1700000000000")] {
        assert_eq!(put(&millis, PgType::TimestampTz, value), Some(Ok(at.clone())), "{value:?}");
    }
    assert_eq!(put(&millis, PgType::TimestampTz, Value::Date(5)), None, "a date is one already");
    assert_eq!(put(&millis, PgType::TimestampTz, Value::String(b"\xff")), Some(Err(RejectCode::InvalidUtf8)));
    let flags = list(&[("1", "true")], Otherwise::Park);
    assert_eq!(put(&flags, PgType::Bool, Value::Double(1.0)), Some(Ok(plain(PgType::Bool, "true"))));
    assert_eq!(put(&flags, PgType::Bool, Value::Int32(2)), Some(Err(RejectCode::ValueNotListed)));
}
