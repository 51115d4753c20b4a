//! What expressions give, what they refuse, and that neither tells data.

use super::{Expression, Input};
use crate::pgtype::PgType;
use crate::rejection::RejectCode;
use crate::value::Encoder;

fn json(expression: &str, input: &str) -> Result<Option<String>, RejectCode> {
    let expression = Expression::parse(expression).unwrap();
    expression.json(&Input::json(input.as_bytes()).unwrap()).map_err(|found| found.code)
}

fn refusal(expression: &str) -> String {
    Expression::parse(expression).unwrap_err().to_string()
}

#[test]
fn computes_one_value() {
    let cart = r#"{"items":[{"price":2,"qty":3},{"price":5,"qty":1}],"tags":["a","b"],"name":" Ann "}"#;
    for (expression, expected) in [
        ("[.items[] | .price * .qty] | add", "11"),
        (".tags | join(\",\")", "\"a,b\""),
        (".missing // \"none\"", "\"none\""),
        (".name | ascii_downcase | trim", "\"ann\""),
        ("if .items | length > 1 then \"many\" else \"few\" end", "\"many\""),
        ("{n: (.items | length), t: .tags}", r#"{"n":2,"t":["a","b"]}"#),
        ("[range(3)]", "[0,1,2]"),
        ("[..] | length", "12"),
        ("reduce .items[] as {price: $p} (0; . + $p)", "7"),
    ] {
        assert_eq!(json(expression, cart), Ok(Some(expected.to_owned())), "{expression}");
    }
    assert_eq!(json("empty", "{}"), Ok(None));
    assert_eq!(json(".a", "{}"), Ok(Some("null".into())));
}

#[test]
fn numbers_that_are_passed_on_keep_their_digits() {
    for number in ["9007199254740993", "12345678901234567890123", "0.1000000000000000055511151231257827", "1.50"] {
        assert_eq!(json(".n", &format!("{{\"n\":{number}}}")), Ok(Some(number.to_owned())));
    }
}

#[test]
fn failures_are_told_without_data() {
    for (expression, input) in [
        ("error(.secret)", r#"{"secret":"s3cr3t"}"#),
        (".a.b", r#"{"a":5}"#),
        (".[]", "[1,2]"),
        ("0 / 0", "{}"),
        (".a | tobytes", r#"{"a":"x"}"#),
        // One odd value must not fill the memory.
        (".price * .qty", r#"{"price":"12","qty":9223372036854775807}"#),
        ("[range(.n)]", r#"{"n":1e18}"#),
        ("[range(0; .n; 0)]", r#"{"n":5}"#),
    ] {
        let parsed = Expression::parse(expression).unwrap();
        let found = parsed.json(&Input::json(input.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(found.code, RejectCode::ExpressionFailed, "{expression}");
        assert!(!found.to_string().contains("s3cr3t"), "{found}");
    }
}

#[test]
fn what_depends_on_more_than_the_record_or_may_never_end_is_refused() {
    for expression in [
        "now",
        "env",
        "$ENV.HOME",
        "input",
        "[inputs]",
        "debug",
        "localtime",
        ".a | [repeat(.)]",
        "until(false; .)",
        "while(true; .)",
        "recurse(.a)",
        "[[1, 2]] | [combinations(3)]",
        "def f: f; f",
        "\"\\(now)\"",
        ".[now]",
        "{(env): 1}",
        ".a *= 2",
        "reduce inputs as $x (0; .)",
        "try now catch .",
        "if now then 1 else 2 end",
        "first(inputs)",
        ". as [$a, {b: $c}] | now",
    ] {
        assert!(Expression::parse(expression).is_err(), "{expression}");
    }
    assert!(refusal("now").contains("`now` asks for more than the record holds"));
    assert!(refusal("until(false; .)").contains("may never end"));
}

#[test]
fn what_is_not_jq_is_refused_with_its_place() {
    assert!(refusal(".a | ]").contains("character 6"), "{}", refusal(".a | ]"));
    assert!(refusal("").contains("at its end"), "{}", refusal(""));
    assert!(refusal("(.a").contains("not jq"), "{}", refusal("(.a"));
    assert!(refusal("nosuch(.a)").contains("nosuch"), "{}", refusal("nosuch(.a)"));
    assert!(refusal("$x").contains("$x"), "{}", refusal("$x"));
    assert!(refusal(&".".repeat(5_000)).contains("4000"));
    assert!(refusal("import \"a\" as a; .").contains("not jq"));
}

#[test]
fn a_filter_passes_by_truth() {
    let passes = |expression: &str, input: &str| {
        Expression::parse(expression)
            .unwrap()
            .passes(&Input::json(input.as_bytes()).unwrap())
            .map_err(|found| found.code)
    };
    assert_eq!(passes(".deleted | not", r#"{"deleted":true}"#), Ok(false));
    assert_eq!(passes(".deleted | not", "{}"), Ok(true));
    assert_eq!(passes("select(.a > 1)", r#"{"a":1}"#), Ok(false));
    assert_eq!(passes("select(.a > 1)", r#"{"a":2}"#), Ok(true));
    assert_eq!(passes(".n", r#"{"n":0}"#), Ok(true), "zero is true in jq");
    assert_eq!(passes(".[]", r#"{"a":1,"b":2}"#), Err(RejectCode::ExpressionFailed));
}

#[test]
fn the_column_decides_what_fits() {
    let put = |expression: &str, ty: PgType, input: &str| {
        let mut out = Vec::new();
        let input = Input::json(input.as_bytes()).unwrap();
        Expression::parse(expression).unwrap().field(ty, &input, &mut Encoder::default(), &mut out).map(|()| out)
    };
    assert_eq!(put(".a + .b", PgType::Int4, r#"{"a":1,"b":2}"#).unwrap(), [0, 0, 0, 4, 0, 0, 0, 3]);
    assert_eq!(put(".a", PgType::Text, "{}").unwrap(), [255; 4]);
    assert_eq!(put("empty", PgType::Text, "{}").unwrap(), [255; 4]);
    assert_eq!(put(".a", PgType::Int4, r#"{"a":"x"}"#).unwrap_err().code, RejectCode::ColumnType);
    assert_eq!(put("{a: \"\\u0000\"}", PgType::Jsonb, "{}").unwrap_err().code, RejectCode::NulCharacter);
    assert_eq!(put("[128, 255] | implode", PgType::Text, "{}").map(|out| out.len()).ok(), Some(8));
}
