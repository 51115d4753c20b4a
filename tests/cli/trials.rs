//! `landfall test`: cases that hold, cases that do not and say why, files that are wrong.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use serde_json::{Value, json};

const GOOD: &str = r#"
tests:
  a paid order has a total and lines:
    stream: orders
    record: { id: 1, status: paid, note: { a: [1, 2] }, lines: [{ price: 2, qty: 3 }, { price: 1.5, qty: 2 }] }
    rows:
      orders: [{ id: 1, total: 9.00, rest: { status: paid, note: { a: [1, 2] } } }]
      orders_lines: [{ orders_id: 1, position: 1, price: 1.5 }, { position: 0, price: 2, rest: { qty: 3 } }]
  a draft is left out: { stream: orders, record: { id: 2, status: draft }, left_out: true }
  a text is no price:
    stream: orders
    record: { id: 3, lines: [{ price: "two" }] }
    parked: { code: expression_failed }
  a record without a key: { stream: orders, record: { status: paid }, parked: { code: key_missing } }
"#;

const BAD: &str = r#"
tests:
  another total: { stream: orders, record: { id: 1, lines: [{ price: 2, qty: 3 }] }, rows: { orders: [{ total: 7 }] } }
  lines that nobody expects: { stream: orders, record: { id: 1, lines: [{ price: 2, qty: 3 }] }, rows: { orders_lines: [] } }
  not left out: { stream: orders, record: { id: 1 }, left_out: true }
  not parked: { stream: orders, record: { id: 1 }, parked: { code: column_type } }
  no such stream: { stream: bills, record: { id: 1 }, left_out: true }
  no such column: { stream: orders, record: { id: 1 }, rows: { orders: [{ sum: 1 }] } }
"#;

fn site(name: &str) -> Site {
    Site::new(Config::new(name).document("store", "orders.json").stream(
        "orders",
        "store",
        json!({ "key": { "from": "id", "type": "integer" }, "filter": ".status != \"draft\"", "columns": {
                    "total": { "type": "numeric(12,2)", "expr": "[.lines[]? | .price * .qty] | add // 0" } },
                "children": { "lines": { "columns": { "price": "numeric" } } } }),
    ))
}

#[test]
fn cases_that_hold_need_no_target_and_no_variable() {
    let site = site("trials_good");
    std::fs::write(site.path("landfall.test.yaml"), GOOD).unwrap();
    // Nothing in the environment: a team's CI has no database.
    let done =
        landfall_tests::landfall::Launch::new(site.directory(), &["test"]).finish(std::time::Duration::from_secs(30));
    let done = done.expect(0);
    assert!(done.output().contains("4 cases, all as expected"), "{}", done.output());
}

#[test]
fn cases_that_do_not_hold_say_what_there_is_instead() {
    let site = site("trials_bad");
    std::fs::write(site.path("bad.yaml"), BAD).unwrap();
    let failed = site.finish(&["test", "bad.yaml"]).expect(1);
    for words in [
        r#"orders: no row {"total":7}; there is {"total":"6.00"}"#,
        r#"orders_lines: unexpected row {"#,
        "the filter lets the record pass",
        "it fits, and should be parked as column_type",
        "there is no stream bills",
        "it has no column sum",
        "6 of 6 cases are not as expected",
    ] {
        assert!(failed.output().contains(words), "{words} in {}", failed.output());
    }
    let told: Value = serde_json::from_str(&site.finish(&["test", "bad.yaml", "-o", "json"]).stdout).unwrap();
    assert_eq!(told["result"]["cases"].as_array().map(Vec::len), Some(6));
}

#[test]
fn a_file_that_is_wrong_says_where() {
    let site = site("trials_wrong");
    let nothing = site.finish(&["test"]).expect(2);
    assert!(nothing.stderr.contains("landfall.test.yaml"), "{}", nothing.stderr);
    std::fs::write(site.path("wrong.yaml"), "tests:\n  a: { stream: orders, record: { id: 1 } }\n  b: { strem: x }\n")
        .unwrap();
    let wrong = site.finish(&["test", "wrong.yaml"]).expect(2);
    assert!(wrong.stderr.contains("wrong.yaml:2:3: a case says what comes out"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("wrong.yaml:3:8: unknown key `strem`"), "{}", wrong.stderr);
}
