//! The shapes of all JSON that is printed or answered, as `schemas/shapes/` publishes them.
//!
//! Each is made from examples with everything and with as little as there can be: of `status`, `verify` and the events from the types that are
//! serialised, of the commands from what makes their results, or, where that is one line, from a value like it. `LANDFALL_BLESS=1` writes them anew;
//! a changed shape fails until then. That real outputs have these shapes is proven end to end: the harness looks at every one it sees.

mod infer;
mod results;
mod status;

use super::golden;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn publish(name: &str, schema: &Value) {
    // Plain values: this cannot fail.
    let text = serde_json::to_string_pretty(schema).unwrap_or_default();
    golden::check_in_repository(&format!("schemas/shapes/{name}.json"), &(text + "\n"));
}

#[test]
fn every_shape_is_published() {
    for (name, title, examples) in status::all().into_iter().chain(results::all()) {
        publish(name, &infer::schema(title, &examples));
    }
    publish("run", &run());
}

/// `run` tells the last status, or what is to be decided and the last status.
fn run() -> Value {
    let status = json!({ "$ref": "status.json" });
    let waiting = json!({ "type": "object", "required": ["state", "stream"],
        "properties": { "state": { "type": "string" }, "stream": { "type": "string" } } });
    let decision = json!({ "type": "object", "required": ["needs_decision", "status"],
        "properties": { "needs_decision": { "type": "array", "items": waiting }, "status": status } });
    json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "result of `landfall run`",
        "anyOf": [status, decision] })
}

#[test]
fn every_command_has_a_shape_and_every_shape_a_command() {
    let mut commands: BTreeSet<String> = BTreeSet::new();
    super::tests::every(|command, path| {
        if !command.has_subcommands() || path == "replay " {
            commands.insert(path.trim_end().replace(' ', "-"));
        }
    });
    let known = status::all().into_iter().chain(results::all()).map(|(name, ..)| name.to_owned());
    let mut shapes: BTreeSet<String> = known.chain(["run".to_owned()]).collect();
    for beside in ["events", "readyz", "envelope", "problems"] {
        assert!(shapes.remove(beside), "{beside}");
    }
    assert_eq!(commands, shapes);
}
