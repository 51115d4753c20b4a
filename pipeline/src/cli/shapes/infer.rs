//! A JSON Schema of values, put together from examples of them: what they all have is required, what some have is not.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Places whose keys are names of a pipeline, not of the shape.
pub(super) const MAPS: &[&str] = &["/by_code", "/parked/by_code"];
/// Places where any JSON may stand: keys and values of records.
pub(super) const FREE: &[&str] = &["/findings/*/key", "/columns/*/source", "/columns/*/target"];

/// The schema of these examples.
pub(super) fn schema(title: &str, examples: &[Value]) -> Value {
    let mut schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": title });
    let shape = shape(&examples.iter().collect::<Vec<_>>(), "");
    if let (Some(schema), Value::Object(shape)) = (schema.as_object_mut(), shape) {
        schema.extend(shape);
    }
    schema
}

fn stands_at(place: &str, list: &[&str]) -> bool {
    list.iter().any(|end| place.ends_with(end))
}

fn shape(examples: &[&Value], place: &str) -> Value {
    if stands_at(place, FREE) {
        return json!({});
    }
    let mut shape = Map::new();
    let kinds: BTreeSet<&str> = examples.iter().map(|value| kind(value)).collect();
    let kinds: Vec<&str> =
        kinds.iter().copied().filter(|kind| *kind != "integer" || !kinds.contains("number")).collect();
    let kinds = if let [one] = kinds[..] { json!(one) } else { json!(kinds) };
    shape.insert("type".to_owned(), kinds);
    let objects: Vec<&Map<String, Value>> = examples.iter().filter_map(|value| value.as_object()).collect();
    if !objects.is_empty() {
        members(&objects, place, &mut shape);
    }
    let arrays: Vec<&Value> = examples.iter().filter_map(|value| value.as_array()).flatten().collect();
    if !arrays.is_empty() {
        shape.insert("items".to_owned(), self::shape(&arrays, &format!("{place}/*")));
    }
    Value::Object(shape)
}

fn members(objects: &[&Map<String, Value>], place: &str, shape: &mut Map<String, Value>) {
    let mut values: BTreeMap<&String, Vec<&Value>> = BTreeMap::new();
    for (name, value) in objects.iter().flat_map(|object| object.iter()) {
        values.entry(name).or_default().push(value);
    }
    if stands_at(place, MAPS) {
        let all: Vec<&Value> = values.into_values().flatten().collect();
        shape.insert("additionalProperties".to_owned(), self::shape(&all, &format!("{place}/*")));
        return;
    }
    let required: Vec<&String> =
        values.iter().filter(|(_, values)| values.len() == objects.len()).map(|(name, _)| *name).collect();
    shape.insert("required".to_owned(), json!(required));
    let one =
        |(name, values): (&&String, &Vec<&Value>)| ((*name).clone(), self::shape(values, &format!("{place}/{name}")));
    shape.insert("properties".to_owned(), Value::Object(values.iter().map(one).collect()));
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn what_all_examples_have_is_required_and_what_some_have_is_known() {
    let examples =
        [json!({ "a": 1, "b": null, "by_code": { "x": 1 } }), json!({ "a": 1.5, "b": "t", "c": [{ "d": true }, {}] })];
    let schema = schema("one", &examples);
    assert_eq!(schema["required"], json!(["a", "b"]));
    assert_eq!(schema["properties"]["a"], json!({ "type": "number" }));
    assert_eq!(schema["properties"]["b"], json!({ "type": ["null", "string"] }));
    let item = json!({ "type": "object", "required": [], "properties": { "d": { "type": "boolean" } } });
    assert_eq!(schema["properties"]["c"], json!({ "type": "array", "items": item }));
    let map = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    assert_eq!(schema["properties"]["by_code"], map);
}
