//! The binary as a user meets it: exit codes, what goes to stdout and what to stderr. Needs no server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn landfall(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        // Nobody listens on port 1.
        .env("DATABASE_URL", "postgres://app:canary-4711@127.0.0.1:1/app")
        .output()
        .expect("the binary runs")
}

fn directory(config: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("landfall-cli-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("landfall.yaml"), config).expect("a configuration");
    std::fs::write(dir.join("db.json"), r#"{"users":[{"id":1},{"id":2}]}"#).expect("a store");
    dir
}

const GOOD: &str = "name: shop\ntarget: { url: \"${DATABASE_URL}\" }\nsources: { store: { kind: json_document, path: db.json } }\n\
                    streams: { users: { source: store, select: /users, key: id } }\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn help_is_an_answer_and_nonsense_is_a_usage_error() {
    let dir = directory(GOOD);
    let help = landfall(&dir, &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("Exit codes:") && help.stderr.is_empty());
    for arguments in [&["frobnicate"][..], &[], &["run", "--untill-caught-up"], &["status", "--interval", "1y"]] {
        let output = landfall(&dir, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_bad_configuration_exits_with_2_and_names_every_problem() {
    let dir = directory(&GOOD.replace("select:", "selct:").replace("json_document", "json_docment"));
    for command in ["check", "run", "status"] {
        let output = landfall(&dir, &[command]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(output.stdout.is_empty());
        let said = text(&output.stderr);
        assert!(said.contains("landfall.yaml:3:27: unknown kind of source; write `json_document` instead"), "{said}");
        assert!(
            said.contains("landfall.yaml:4:36: unknown key `selct` in streams.users; write `select` instead"),
            "{said}"
        );
    }
    let json = landfall(&dir, &["check", "-o", "json"]);
    let envelope: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON value");
    assert_eq!(envelope["error"]["code"], "config_invalid");
    assert_eq!(envelope["result"]["problems"].as_array().map(Vec::len), Some(2));
    assert_eq!(envelope["result"]["problems"][0]["line"], 3);
}

#[test]
fn an_unreachable_target_fails_with_1_and_without_its_password() {
    let dir = directory(GOOD);
    let output = landfall(&dir, &["check", "-vv", "--log-format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("pass  users: records: 2") && out.contains("FAIL  target:"), "{out}");
    assert!(!out.contains("canary") && !err.contains("canary"));
    let json = landfall(&dir, &["-o", "json", "check"]);
    let envelope: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON value");
    assert_eq!(
        (&envelope["command"], &envelope["ok"], &envelope["error"]),
        (&"check".into(), &false.into(), &serde_json::Value::Null)
    );
    let plan = landfall(&dir, &["schema", "plan"]);
    assert_eq!(plan.status.code(), Some(1));
    assert!(text(&plan.stderr).starts_with("error: "));
}

#[test]
fn a_decision_needs_a_running_service() {
    let dir = directory(GOOD);
    let output = landfall(&dir, &["accept", "users", "9f2c"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("[not_running]"));
    assert_eq!(landfall(&dir, &["accept", "nobody", "9f2c"]).status.code(), Some(2));
}
