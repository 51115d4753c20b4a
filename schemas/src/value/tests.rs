//! Fields: the very bytes PostgreSQL sends for the value, or a rejection.

use super::*;
use proptest::prelude::*;

fn field(ty: PgType, raw: &str) -> Result<Vec<u8>, RejectCode> {
    let mut out = b"before".to_vec();
    let put = Encoder::default().field(ty, raw.as_bytes(), &mut out);
    match put {
        Ok(()) => {
            let length = i32::from_be_bytes(out[6..10].try_into().expect("a length"));
            assert_eq!(length.max(0) as usize, out.len() - 10, "the length is that of the field");
            Ok(if length < 0 { b"NULL".to_vec() } else { out[10..].to_vec() })
        }
        Err(rejection) => {
            assert_eq!(out, b"before", "an error leaves the buffer as it was");
            assert!(ty == PgType::Jsonb || rejection.path.is_empty());
            Err(rejection.code)
        }
    }
}

const ALL: [PgType; 15] = [
    PgType::Text,
    PgType::Bool,
    PgType::Int2,
    PgType::Int4,
    PgType::Int8,
    PgType::Float4,
    PgType::Float8,
    PgType::Numeric(None),
    PgType::Date,
    PgType::Time,
    PgType::Timestamp,
    PgType::TimestampTz,
    PgType::Uuid,
    PgType::Bytea,
    PgType::Jsonb,
];

#[test]
fn null_is_null_for_every_type() {
    for ty in ALL {
        assert_eq!(field(ty, "null"), Ok(b"NULL".to_vec()));
    }
}

#[test]
fn a_value_of_another_kind_is_named_by_kind_and_never_shown() {
    for ty in ALL.into_iter().filter(|ty| *ty != PgType::Jsonb) {
        for raw in ["[\"secret\"]", "{\"secret\":1}"] {
            let rejection = Encoder::default().field(ty, raw.as_bytes(), &mut Vec::new()).expect_err("nested");
            assert_eq!(rejection.code, RejectCode::ColumnType);
            assert!(matches!(&*rejection.found, "array" | "object"));
            assert!(!rejection.to_string().contains("secret"));
        }
    }
    let rejection = Encoder::default().field(PgType::Int4, b"\"5\"", &mut Vec::new()).expect_err("a string");
    assert_eq!(
        (rejection.code, &*rejection.expected, &*rejection.found),
        (RejectCode::ColumnType, "integer", "string")
    );
    for (ty, raw) in [
        (PgType::Text, "5"),
        (PgType::Bool, "1"),
        (PgType::Numeric(None), "\"1\""),
        (PgType::Float8, "true"),
        (PgType::Date, "20240101"),
    ] {
        assert_eq!(field(ty, raw), Err(RejectCode::ColumnType), "{ty} {raw}");
    }
}

#[test]
fn text_and_bytes_are_what_the_string_says() {
    assert_eq!(field(PgType::Text, r#""aé\u00e9\ud83d\ude00\n""#), Ok("aéé😀\n".into()));
    assert_eq!(field(PgType::Text, r#""""#), Ok(vec![]));
    assert_eq!(field(PgType::Text, r#""a\u0000""#), Err(RejectCode::NulCharacter));
    assert_eq!(field(PgType::Text, r#""\udc00""#), Err(RejectCode::LoneSurrogate));
    assert_eq!(field(PgType::Bool, "true"), Ok(vec![1]));
    assert_eq!(field(PgType::Bool, "false"), Ok(vec![0]));
    assert_eq!(field(PgType::Bytea, r#""AP8Q""#), Ok(vec![0, 255, 16]));
    assert_eq!(field(PgType::Bytea, r#""AP8Q\u0041A==""#), Ok(vec![0, 255, 16, 0]));
    for bad in [r#""AP8""#, r#""A===""#, r#""AA=""#, r#""AB==""#, r#""AA-_""#, r#"" AA==""#] {
        assert_eq!(field(PgType::Bytea, bad), Err(RejectCode::ColumnType), "{bad}");
    }
    let uuid = (0..16).map(|n| n * 17).collect::<Vec<u8>>();
    assert_eq!(field(PgType::Uuid, r#""00112233-4455-6677-8899-aabbccddeeff""#), Ok(uuid.clone()));
    assert_eq!(field(PgType::Uuid, r#""00112233-4455-6677-8899-AABBCCDDEEFF""#), Ok(uuid));
    for bad in [
        r#""00112233445566778899aabbccddeeff""#,
        r#""{00112233-4455-6677-8899-aabbccddeef}""#,
        r#""00112233-4455-6677-8899-aabbccddeefg""#,
        r#""""#,
    ] {
        assert_eq!(field(PgType::Uuid, bad), Err(RejectCode::ColumnType), "{bad}");
    }
}

#[test]
fn jsonb_is_the_raw_text_behind_its_version() {
    assert_eq!(field(PgType::Jsonb, r#"{"a": [1.50 ]}"#), Ok(b"\x01{\"a\": [1.50 ]}".to_vec()));
    assert_eq!(field(PgType::Jsonb, "\"a\""), Ok(b"\x01\"a\"".to_vec()));
    let rejection = Encoder::default().field(PgType::Jsonb, br#"{"a":[0,-0]}"#, &mut Vec::new()).expect_err("-0");
    assert_eq!((rejection.code, &*rejection.path, rejection.at), (RejectCode::NumberRange, "/a/1", Some(8)));
}

#[test]
fn integers_take_every_spelling_of_an_integer_in_range() {
    let cases = [
        (PgType::Int2, "32767", Ok(32_767_i16.to_be_bytes().to_vec())),
        (PgType::Int2, "-32768", Ok((-32_768_i16).to_be_bytes().to_vec())),
        (PgType::Int2, "32768", Err(RejectCode::NumberRange)),
        (PgType::Int4, "2147483647", Ok(i32::MAX.to_be_bytes().to_vec())),
        (PgType::Int4, "2147483648", Err(RejectCode::NumberRange)),
        (PgType::Int4, "5.0", Ok(5_i32.to_be_bytes().to_vec())),
        (PgType::Int4, "-50e-1", Ok((-5_i32).to_be_bytes().to_vec())),
        (PgType::Int8, "9223372036854775807", Ok(i64::MAX.to_be_bytes().to_vec())),
        (PgType::Int8, "-9223372036854775808", Ok(i64::MIN.to_be_bytes().to_vec())),
        (PgType::Int8, "9223372036854775808", Err(RejectCode::NumberRange)),
        (PgType::Int8, "1e18", Ok(1_000_000_000_000_000_000_i64.to_be_bytes().to_vec())),
        (PgType::Int8, "1e400", Err(RejectCode::NumberRange)),
        (PgType::Int8, "1.5", Err(RejectCode::NumberRange)),
        (PgType::Int8, "0.0", Ok(vec![0; 8])),
        (PgType::Int8, "0", Ok(vec![0; 8])),
        (PgType::Int8, "-0", Err(RejectCode::NumberRange)),
        (PgType::Int8, "-0.0", Err(RejectCode::NumberRange)),
    ];
    for (ty, raw, expected) in cases {
        assert_eq!(field(ty, raw), expected, "{ty} {raw}");
    }
}

#[test]
fn floats_take_numbers_that_they_give_back() {
    let good = [
        "0.1",
        "-0.0",
        "1e300",
        "5e-324",
        "1.7976931348623157e308",
        "9007199254740993e3",
        "0.30000000000000004",
        "1e22",
        "1.10",
    ];
    for raw in good {
        let float: f64 = raw.parse().expect("a float");
        assert_eq!(field(PgType::Float8, raw), Ok(float.to_be_bytes().to_vec()), "{raw}");
    }
    for raw in [
        "9007199254740993",
        "1e309",
        "1e-400",
        "0.1000000000000000055511151231257827",
        "3.14159265358979323846",
        "4e-324",
    ] {
        assert_eq!(field(PgType::Float8, raw), Err(RejectCode::NumberRange), "{raw}");
    }
    for raw in ["0.1", "3.4028235e38", "1e-45", "16777216", "-0"] {
        let float: f32 = raw.parse().expect("a float");
        assert_eq!(field(PgType::Float4, raw), Ok(float.to_be_bytes().to_vec()), "{raw}");
    }
    for raw in ["16777217", "0.123456789", "1e39", "1e-46"] {
        assert_eq!(field(PgType::Float4, raw), Err(RejectCode::NumberRange), "{raw}");
    }
}

/// Bytes as `numeric_send` of PostgreSQL 15 gives them.
#[test]
fn numerics_are_the_bytes_that_postgresql_sends() {
    let parts = |digits: &[i16], weight: i16, sign: u16, scale: u16| {
        let mut out = Vec::new();
        out.extend_from_slice(&(digits.len() as i16).to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
        digits.iter().for_each(|digit| out.extend_from_slice(&digit.to_be_bytes()));
        out
    };
    let cases = [
        ("0", parts(&[], 0, 0, 0)),
        ("0.00", parts(&[], 0, 0, 2)),
        ("1", parts(&[1], 0, 0, 0)),
        ("-1.50", parts(&[1, 5000], 0, 0x4000, 2)),
        ("12345.678", parts(&[1, 2345, 6780], 1, 0, 3)),
        ("10000", parts(&[1], 1, 0, 0)),
        ("1e3", parts(&[1000], 0, 0, 0)),
        ("0.0001", parts(&[1], -1, 0, 4)),
        ("0.00001", parts(&[1000], -2, 0, 5)),
        ("123e-6", parts(&[1, 2300], -1, 0, 6)),
        ("100000000", parts(&[1], 2, 0, 0)),
        ("1.5e1", parts(&[15], 0, 0, 0)),
    ];
    for (raw, expected) in cases {
        assert_eq!(field(PgType::Numeric(None), raw), Ok(expected), "{raw}");
    }
    let money = PgType::Numeric(Some((6, 2)));
    assert_eq!(field(money, "1.5"), Ok(parts(&[1, 5000], 0, 0, 2)));
    assert_eq!(field(money, "1.500"), Ok(parts(&[1, 5000], 0, 0, 2)));
    assert_eq!(field(money, "9999.99"), Ok(parts(&[9999, 9900], 0, 0, 2)));
    assert_eq!(field(PgType::Numeric(Some((2, 4))), "0.0099"), Ok(parts(&[99], -1, 0, 4)));
    for (ty, raw) in [
        (money, "10000"),
        (money, "1.005"),
        (money, "1e999999"),
        (PgType::Numeric(Some((2, 4))), "0.01"),
        (PgType::Numeric(None), "-0.0"),
        (PgType::Numeric(None), "1e131072"),
        (PgType::Numeric(None), "1e-16384"),
    ] {
        assert_eq!(field(ty, raw), Err(RejectCode::NumberRange), "{ty} {raw}");
    }
}

fn micros(ty: PgType, text: &str) -> Result<i64, RejectCode> {
    field(ty, &format!("\"{text}\"")).map(|bytes| i64::from_be_bytes(bytes.try_into().expect("eight bytes")))
}

#[test]
fn times_are_read_in_every_usual_spelling() {
    let noon = 43_200_000_000;
    for text in [
        "2000-01-01T12:00:00Z",
        "2000-01-01t12:00:00z",
        "2000-01-01 12:00:00+00",
        "2000-01-01T12:00Z",
        "2000-01-01T14:30:00+02:30",
        "2000-01-01T14:30:00.000000000+0230",
        "1999-12-31T23:00:00-13:00",
        "+002000-01-01T12:00:00.0-00:00",
    ] {
        assert_eq!(micros(PgType::TimestampTz, text), Ok(noon), "{text}");
    }
    assert_eq!(micros(PgType::Timestamp, "2000-01-01T12:00:00.123456"), Ok(noon + 123_456));
    assert_eq!(micros(PgType::Timestamp, "1999-12-31 23:59:59.9"), Ok(-100_000));
    assert_eq!(micros(PgType::Time, "12:00"), Ok(noon));
    assert_eq!(micros(PgType::Time, "24:00:00"), Ok(86_400_000_000));
    let day = |text: &str| {
        field(PgType::Date, &format!("\"{text}\"")).map(|b| i32::from_be_bytes(b.try_into().expect("four")))
    };
    assert_eq!(day("2000-01-01"), Ok(0));
    assert_eq!(day("2024-02-29"), Ok(8_825));
    assert_eq!(day("-004713-11-24"), Ok(-2_451_545));
    assert_eq!(day("-004713-11-23"), Err(RejectCode::TimeRange));
    assert_eq!(day("+5874897-12-31"), Ok(2_145_031_948));
    assert_eq!(day("+5874898-01-01"), Err(RejectCode::TimeRange));
}

#[test]
fn times_that_postgresql_would_refuse_change_or_guess_are_rejected() {
    use RejectCode::{ColumnType, TimeRange};
    let cases = [
        (PgType::TimestampTz, "2024-01-01T00:00:00", ColumnType),
        (PgType::Timestamp, "2024-01-01T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "2024-01-01", ColumnType),
        (PgType::TimestampTz, "2024-02-30T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "2023-02-29T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "1900-02-29T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "2024-13-01T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "2024-01-01T25:00:00Z", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:60:00Z", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:00:00.Z", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:00:00+24:00", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:00:00+0", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:00:00+02:", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:00:00Zx", ColumnType),
        (PgType::TimestampTz, "24-01-01T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "12024-01-01T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "-000000-01-01T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "infinity", ColumnType),
        (PgType::TimestampTz, "now", ColumnType),
        (PgType::TimestampTz, "", ColumnType),
        (PgType::TimestampTz, "２０２４-01-01T00:00:00Z", ColumnType),
        (PgType::TimestampTz, "2024-01-01T00:00:00.1234567Z", TimeRange),
        (PgType::TimestampTz, "2016-12-31T23:59:60Z", TimeRange),
        (PgType::TimestampTz, "2024-01-01T24:00:00Z", TimeRange),
        (PgType::TimestampTz, "+294277-01-01T00:00:00Z", TimeRange),
        (PgType::TimestampTz, "+9999999-12-31T23:59:59Z", TimeRange),
        (PgType::TimestampTz, "-004713-11-23T23:59:59Z", TimeRange),
        (PgType::Time, "24:00:01", TimeRange),
        (PgType::Time, "12:00:00Z", ColumnType),
        (PgType::Date, "2024-01-01T00:00:00Z", ColumnType),
    ];
    for (ty, text, code) in cases {
        assert_eq!(field(ty, &format!("\"{text}\"")), Err(code), "{ty} {text}");
    }
    assert_eq!(micros(PgType::TimestampTz, "+294276-12-31T23:59:59.999999Z"), Ok(time_limit() - 1));
    assert_eq!(micros(PgType::TimestampTz, "-004713-11-24T00:00:00Z"), Ok(-211_813_488_000_000_000));
}

fn time_limit() -> i64 {
    9_223_371_331_200_000_000
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Oracle: the calendar of `jiff`, where it reaches.
    #[test]
    fn timestamps_agree_with_a_calendar_library(second in -210_866_803_200_i64..253_402_207_200, micro in 0..1_000_000_i32) {
        let instant = jiff::Timestamp::new(second, 0).expect("in range").checked_add(jiff::Span::new().microseconds(micro)).expect("in range");
        // The library writes years before 1 with a sign and six digits, as JavaScript does.
        let expected = instant.as_microsecond() - 946_684_800_000_000;
        prop_assert_eq!(micros(PgType::TimestampTz, &instant.to_string()), Ok(expected), "{}", instant);
    }

    /// Oracle: `numeric` bytes summed back with plain integers.
    #[test]
    fn numerics_sum_back_to_their_text(whole in 0..=u64::MAX, fraction in "[0-9]{0,9}", negative in any::<bool>()) {
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{sign}{whole}{point}{fraction}");
        let digits: i128 = format!("{whole}{fraction}").parse().expect("digits");
        prop_assume!(digits != 0 || !negative);
        let bytes = field(PgType::Numeric(None), &text).expect("in range");
        let word = |n: usize| i16::from_be_bytes([bytes[2 * n], bytes[2 * n + 1]]);
        prop_assert_eq!(bytes.len(), 8 + 2 * word(0) as usize);
        prop_assert_eq!(word(3) as usize, fraction.len());
        prop_assert_eq!(word(2) == 0x4000, negative);
        // In units of 10⁻¹²; every group lies at or above it.
        let sum: i128 = (0..word(0)).map(|n| {
            let group = word(4 + n as usize);
            assert!((0..10_000).contains(&group));
            i128::from(group) * 10_i128.pow((12 + 4 * (word(1) - n)) as u32)
        }).sum();
        prop_assert_eq!(sum, digits * 10_i128.pow(12 - fraction.len() as u32));
    }

    #[test]
    fn every_float_is_taken_in_its_shortest_spelling(bits in any::<u64>(), small in any::<u32>()) {
        let (double, single) = (f64::from_bits(bits), f32::from_bits(small));
        prop_assume!(double.is_finite() && single.is_finite());
        prop_assert_eq!(field(PgType::Float8, &format!("{double:e}")), Ok(double.to_be_bytes().to_vec()));
        prop_assert_eq!(field(PgType::Float8, &format!("{double}")), Ok(double.to_be_bytes().to_vec()));
        prop_assert_eq!(field(PgType::Float4, &format!("{single:e}")), Ok(single.to_be_bytes().to_vec()));
    }

    /// The fast way must take nothing that the slow way would not.
    #[test]
    fn short_decimals_are_the_shortest_spelling_of_their_float(digits in 1..1_000_000_000_000_000_u64, exponent in -280..280_i32, short in 1..1_000_000_u32, power in -30..30_i32) {
        let text = format!("{digits}e{exponent}");
        let back = format!("{:e}", text.parse::<f64>().expect("a float"));
        let (text, back) = (text.into_bytes(), back.into_bytes());
        prop_assert!(crate::json::Decimal::parse(&text).expect("a number").equals(&crate::json::Decimal::parse(&back).expect("a number")));
        let text = format!("{short}e{power}");
        let back = format!("{:e}", text.parse::<f32>().expect("a float"));
        let (text, back) = (text.into_bytes(), back.into_bytes());
        prop_assert!(crate::json::Decimal::parse(&text).expect("a number").equals(&crate::json::Decimal::parse(&back).expect("a number")));
    }

    #[test]
    fn no_text_makes_a_field_panic(text in "\\PC{0,20}", like_time in "[-+0-9TZ:. ]{0,30}", n in 0..15_usize) {
        let _ = (field(ALL[n], &text), field(ALL[n], &format!("\"{text}")), field(ALL[n], &format!("\"{like_time}\"")));
    }
}

#[test]
fn arrays_hold_values_and_nulls_and_nothing_nested() {
    let of = |ty| PgType::Array(ElementType::of(ty).expect("a plain type"));
    let put = |ty, json: &str| {
        let mut out = b"before".to_vec();
        let done = Encoder::default().field(ty, json.as_bytes(), &mut out);
        done.map(|()| out[6..].to_vec()).map_err(|found| {
            assert_eq!(out, b"before", "an error leaves nothing behind");
            (found.code, found.path.to_string())
        })
    };
    let head = |dimensions: u8, nulls: u8, oid: u8| vec![0, 0, 0, dimensions, 0, 0, 0, nulls, 0, 0, 0, oid];
    let field = |body: Vec<u8>| [&(body.len() as i32).to_be_bytes()[..], &body].concat();
    assert_eq!(put(of(PgType::Text), "[]"), Ok(field(head(0, 0, 25))));
    let two = [head(1, 0, 23), vec![0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 4, 255, 255, 255, 255]];
    assert_eq!(put(of(PgType::Int4), "[ 7 , -1 ]"), Ok(field(two.concat())));
    let null = [head(1, 1, 25), vec![0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, b'a', 255, 255, 255, 255]];
    assert_eq!(put(of(PgType::Text), "[\"a\",null]"), Ok(field(null.concat())));
    assert_eq!(put(of(PgType::Text), "null"), Ok(vec![255; 4]));
    let refused = |code, path: &str| Err((code, path.to_owned()));
    assert_eq!(put(of(PgType::Int4), "[1,\"x\"]"), refused(RejectCode::ColumnType, "/1"));
    assert_eq!(put(of(PgType::Int4), "[[1]]"), refused(RejectCode::ColumnType, "/0"));
    assert_eq!(put(of(PgType::Int4), "{}"), refused(RejectCode::ColumnType, ""));
    assert_eq!(put(PgType::Int4, "[1]"), refused(RejectCode::ColumnType, ""));
    assert_eq!(ElementType::of(PgType::Jsonb), None);
    assert_eq!(ElementType::of(of(PgType::Text)), None);
    assert_eq!(of(PgType::Numeric(Some((5, 2)))).to_string(), "numeric(5,2)[]");
}
