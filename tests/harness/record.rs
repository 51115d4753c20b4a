//! Made-up records: small, of many types, with the values that programs get wrong. As JSON text, so that spelling is ours.

use crate::seed::Seed;

/// Values on which JSON programs differ, each valid JSON that jsonb can hold.
const ODD_VALUES: &[&str] = &[
    "null",
    "true",
    "-0",
    "0.0",
    "1.50",
    "1e2",
    "5E-3",
    "9007199254740993",
    "18446744073709551616",
    "-123456789012345678901234567890.123456789",
    r#""""#,
    r#"" padded ""#,
    r#""tab\tquote\"backslash\\slash\/""#,
    r#""line\nbreak\r\n""#,
    r#""ünïcödé \ud83d\ude80 🚀""#,
    r#""\\N""#,
    r#""\\.""#,
    "[]",
    "{}",
    r#"[1,"1",null,[[]],{"a":[]}]"#,
    r#"{"":"empty name","a.b":{"c/d":"~"}}"#,
];

/// A record with this key, written as JSON text `key` (a number or a quoted string).
pub fn record(key: &str, seed: &mut Seed) -> String {
    let stamp = seed.draw();
    let odd = seed.pick(ODD_VALUES);
    let extra = if seed.one_in(3) { format!(r#","extra":{}"#, seed.pick(ODD_VALUES)) } else { String::new() };
    let tags = seed.below(4);
    let list: Vec<String> = (0..tags).map(|tag| format!(r#""tag {tag}""#)).collect();
    format!(
        r#"{{"id":{key},"stamp":{stamp},"amount":{}.{:02},"odd":{odd},"tags":[{}]{extra}}}"#,
        stamp % 10_000,
        stamp % 100,
        list.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::record;
    use crate::seed::Seed;

    #[test]
    fn every_record_is_json_with_its_key() {
        let mut seed = Seed::new(11);
        for number in 0..500 {
            let text = record(&number.to_string(), &mut seed);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["id"], number);
        }
    }
}
