//! The published shapes of JSON, and whether an output has its shape: the harness asks of every one it sees.
//!
//! Knows as much of JSON Schema as `schemas/shapes/` uses, and is stricter than it: a member that no shape names is one that nobody was told of.

use crate::repository::root;
use serde_json::Value;

/// What `landfall <words>` printed, if it was asked for JSON: envelopes, one a line.
#[track_caller]
pub fn expect_printed(words: &[String], stdout: &str) {
    if !words.windows(2).any(|pair| (pair[0] == "-o" || pair[0] == "--output") && pair[1] == "json") {
        return;
    }
    for line in stdout.lines().filter(|line| !line.is_empty()) {
        let Ok(envelope) = serde_json::from_str::<Value>(line) else { continue };
        expect("envelope", &without_result(&envelope));
        let command = envelope["command"].as_str().unwrap_or_default().replace(' ', "-");
        match (&envelope["result"], &envelope["error"]) {
            (Value::Null, _) => {}
            (result, Value::Null) => expect(&command, result),
            // Only a refused configuration has more to say.
            (result, _) => expect("problems", result),
        }
    }
}

/// A result is judged by the shape of its command.
fn without_result(envelope: &Value) -> Value {
    let mut bare = envelope.clone();
    bare["result"] = Value::Null;
    bare
}

/// Panics unless a value has the shape of this name.
#[track_caller]
pub fn expect(name: &str, value: &Value) {
    let mut faults = Vec::new();
    judge(&published(name), value, "", &mut faults);
    assert!(
        faults.is_empty(),
        "this is not of the shape schemas/shapes/{name}.json:\n  {}\n{value}",
        faults.join("\n  ")
    );
}

fn published(name: &str) -> Value {
    let path = root().join("schemas/shapes").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn judge(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(other) = schema["$ref"].as_str() {
        return judge(&published(other.trim_end_matches(".json")), value, at, faults);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &&Value| {
            let mut found = Vec::new();
            judge(choice, value, at, &mut found);
            found.is_empty()
        };
        if choices.iter().find(fits).is_none() {
            faults.push(format!("{at}: of none of the shapes there are"));
        }
        return;
    }
    let kinds = [&schema["type"]].into_iter().chain(schema["type"].as_array().into_iter().flatten());
    if !schema["type"].is_null() && !kinds.filter_map(Value::as_str).any(|kind| is(kind, value)) {
        return faults.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let Some(object) = value.as_object().filter(|_| !schema["type"].is_null()) {
        let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        faults.extend(missing.filter(|name| !object.contains_key(*name)).map(|name| format!("{at}: no {name}")));
        for (name, member) in object {
            let (at, known) = (format!("{at}/{name}"), &schema["properties"][name]);
            match (known.is_null(), &schema["additionalProperties"]) {
                (false, _) => judge(known, member, &at, faults),
                (true, Value::Null) => faults.push(format!("{at}: nobody was told of it")),
                (true, any) => judge(any, member, &at, faults),
            }
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        judge(&schema["items"], item, &format!("{at}/{number}"), faults);
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_that_lacks_adds_or_changes_a_member_is_not_of_the_shape() {
        let one = json!({ "type": "object", "required": ["a"],
            "properties": { "a": { "type": ["null", "integer"] }, "b": { "type": "array", "items": { "type": "string" } } } });
        let faults = |value: Value| {
            let mut faults = Vec::new();
            judge(&one, &value, "", &mut faults);
            faults
        };
        assert_eq!(faults(json!({ "a": null, "b": ["x"] })), Vec::<String>::new());
        assert_eq!(faults(json!({ "b": [] })), [": no a"]);
        assert_eq!(faults(json!({ "a": 1, "c": 1 })), ["/c: nobody was told of it"]);
        assert_eq!(
            faults(json!({ "a": "1", "b": [2] })),
            ["/a: \"1\" is no [\"null\",\"integer\"]", "/b/0: 2 is no \"string\""]
        );
    }
}
