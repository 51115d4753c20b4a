//! Errors of the configuration: all of them at once, with file, line, column, and what to write instead.

use landfall_tests::landfall::Launch;
use landfall_tests::run_dir;
use std::time::Duration;

const FIVE_MISTAKES: &str = r#"name: broken
target: { url: "${DATABASE_URL}", schema: public, max_conections: 4 }
sources:
  store: { kind: json_dokument, path: data/db.json }
  events: { kind: json_lines, path: "logs/*.ndjson" }
streams:
  users:
    source: stroe
    key: id
  logs:
    source: events
    key: id
    columns:
      at: { type: timestamp_with_zone }
    colour: blue
"#;

fn check(text: &str, words: &[&str]) -> landfall_tests::landfall::Finished {
    let folder = run_dir::fresh("config");
    std::fs::write(folder.join("landfall.yaml"), text).unwrap();
    Launch::new(&folder, words)
        .env("DATABASE_URL", "postgres://u:s3cret-canary@127.0.0.1:1/x")
        .finish(Duration::from_secs(60))
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let finished = check(FIVE_MISTAKES, &["check"]).expect(2);
    let said = &finished.stderr;
    for (line, word, advice) in [
        (2, "max_conections", "max_connections"),
        (4, "json_dokument", "json_document"),
        (8, "stroe", "store"),
        (14, "timestamp_with_zone", "timestamptz"),
        (15, "colour", ""),
    ] {
        assert!(said.contains(&format!("landfall.yaml:{line}:")), "line {line} is named:\n{said}");
        assert!(said.contains(word) && said.contains(advice), "{word} → {advice}:\n{said}");
    }
    assert!(!said.contains("s3cret-canary"), "{said}");
}

#[test]
fn machines_get_the_same_mistakes_as_json() {
    let finished = check(FIVE_MISTAKES, &["-o", "json", "check"]).expect(2);
    let text = if finished.stdout.trim().is_empty() { &finished.stderr } else { &finished.stdout };
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let shown = json.to_string();
    assert!(shown.contains("max_connections") && shown.contains("\"line\":2"), "{shown}");
}

#[test]
fn a_file_that_is_not_yaml_names_the_place() {
    let finished = check("name: x\nsources: [\n  {", &["check"]).expect(2);
    assert!(finished.stderr.contains("landfall.yaml:"), "{}", finished.stderr);
}

#[test]
fn names_that_fall_together_are_refused() {
    let long = "n".repeat(63);
    let text = format!(
        "name: same\ntarget: {{ url: \"${{DATABASE_URL}}\" }}\nsources:\n  s: {{ kind: json_lines, path: a.ndjson }}\nstreams:\n  \
         a: {{ source: s, key: id, table: {long}x }}\n  b: {{ source: s, key: id, table: {long}y }}\n  \
         c: {{ source: s, key: id, table: same }}\n  d: {{ source: s, key: id, table: same }}\n"
    );
    let finished = check(&text, &["check"]).expect(2);
    assert!(finished.stderr.contains("63"), "{}", finished.stderr);
    assert!(finished.stderr.contains("same"), "{}", finished.stderr);
}

#[test]
fn shell_and_template_words_are_only_text() {
    let folder = run_dir::fresh("config");
    let canary = folder.join("canary");
    let text = format!(
        "name: shell\ntarget: {{ url: \"postgres://u@127.0.0.1:1/$(touch {0})`touch {0}`{{{{ 1 }}}}\" }}\nsources:\n  s: {{ kind: json_lines, path: \"$(touch {0}).ndjson\" }}\nstreams:\n  a: {{ source: s, key: id }}\n",
        canary.display()
    );
    std::fs::write(folder.join("landfall.yaml"), text).unwrap();
    let finished = Launch::new(&folder, &["check"]).finish(Duration::from_secs(60));
    assert_ne!(finished.code, Some(0), "{}", finished.output());
    assert!(!canary.exists(), "something was executed");
}
