//! Files of deploy/, and the programs that look at them.

use landfall_tests::{repository, run_dir};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A path below deploy/.
pub(crate) fn place(path: &str) -> PathBuf {
    repository::root().join("deploy").join(path)
}

/// The text of a file below deploy/.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(place(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// A YAML file below deploy/.
pub(crate) fn yaml(path: &str) -> Value {
    parsed(&text(path), &format!("deploy/{path}"))
}

/// YAML, as JSON has it; merge keys are merged.
pub(crate) fn parsed(text: &str, name: &str) -> Value {
    let value = serde_saphyr::from_str::<Value>(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    merged(value)
}

/// `<<` laid under the members beside it, where the parser left it standing.
fn merged(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            let below = members.remove("<<").map(merged);
            let mut out: serde_json::Map<String, Value> =
                members.into_iter().map(|(name, value)| (name, merged(value))).collect();
            for (name, value) in below.as_ref().and_then(Value::as_object).into_iter().flatten() {
                out.entry(name.clone()).or_insert_with(|| value.clone());
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(merged).collect()),
        other => other,
    }
}

/// A folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    run_dir::fresh(&format!("deployment-{name}"))
}

/// A program of the set-up script, or `None` when it is not here.
pub(crate) fn found(name: &str) -> Option<PathBuf> {
    let script = place("setup/deployment.sh");
    let said = Command::new(script).arg(format!("--{name}")).output().expect("the set-up script can be run");
    said.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()))
}

/// The same, where a test proves nothing without it.
pub(crate) fn needed(name: &str) -> PathBuf {
    found(name).unwrap_or_else(|| panic!("not tested: no {name} here; run make setup"))
}

/// Runs a program in a folder and gives what it said; panics with that when it fails.
pub(crate) fn run(program: &Path, arguments: &[&str], at: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(at).output().expect("the program can be run");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {}: {said}", program.display(), arguments.join(" "));
    said
}

/// Panics with the list unless it is empty.
#[track_caller]
pub(crate) fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// The product takes a configuration, as a command would that connects to nothing. Secrets named as files under `secrets` are made up.
pub(crate) fn assert_configuration(text: &str, secrets: &str, name: &str) {
    let at = folder(name);
    let mut value = parsed(&text.replace(secrets, &format!("{}/", at.display())), name);
    for (file, secret) in [
        ("database_url", "postgres://landfall@localhost/shop"),
        ("mongodb_uri", "mongodb://localhost/?replicaSet=rs0"),
        ("http_token", "0123456789abcdef0123456789abcdef"),
    ] {
        std::fs::write(at.join(file), secret).expect("a secret can be written");
    }
    assert!(value["http"]["token"].is_string(), "{name}: http has a token");
    value["http"]["token"] = json!(format!("file:{}", at.join("http_token").display()));
    // JSON is YAML.
    let file = at.join("landfall.yaml");
    std::fs::write(&file, value.to_string()).expect("the configuration can be written");
    if let Err(error) = landfall_pipeline::config::load(&file, &|_| None) {
        panic!("{name}: {error}");
    }
}
