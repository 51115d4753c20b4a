//! `problems.txt`: blocks of `=== name`, a configuration, `---`, and exactly what is said. Set LANDFALL_BLESS=1 to write
//! it anew, then read the difference.

use super::validate;
use std::fmt::Write as _;
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/problems.txt")
}

fn actual(source: &str) -> String {
    match validate(source) {
        Err(problems) => problems.to_string(),
        Ok(_) => "accepted\n".to_owned(),
    }
}

#[test]
fn every_bad_configuration_is_answered_with_all_its_problems() {
    let text = std::fs::read_to_string(file()).expect("the golden file");
    let mut fresh = String::new();
    for block in text.split("=== ").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a name");
        let (source, expected) = rest.split_once("---\n>>>\n").expect("an answer");
        let actual = actual(source);
        let _ = write!(fresh, "=== {name}\n{source}---\n>>>\n{actual}");
        if std::env::var_os("LANDFALL_BLESS").is_none() {
            assert_eq!(actual, expected, "{name}\n\n{actual}");
        }
    }
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        std::fs::write(file(), fresh).expect("write the golden file");
    }
}

#[test]
fn no_answer_shows_a_secret() {
    let text = std::fs::read_to_string(file()).expect("the golden file");
    for block in text.split("=== ").skip(1) {
        let (_, rest) = block.split_once('\n').expect("a name");
        let (source, _) = rest.split_once("---\n>>>\n").expect("an answer");
        let shown = actual(source);
        assert!(!shown.contains("hunter2") && !shown.contains("canary"), "{shown}");
        let Err(problems) = validate(source) else { continue };
        let json = serde_json::to_string(&problems.reports()).expect("reports are JSON");
        assert!(!json.contains("hunter2") && !json.contains("canary"), "{json}");
    }
}
