//! `landfall deadletter`: what is parked is listed by its heads, shown with its place, given out whole, and never tells a value unasked.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

const SECRET: &str = "canary-7f3a";

/// Six lines: two keys are parked, one of them with two changes behind it, and one line is not JSON.
fn parked(name: &str) -> Site {
    let log = json!({ "kind": "json_lines", "path": "log.ndjson" });
    let stream = json!({ "key": "id", "columns": { "n": "integer", "t": "text" } });
    let site = Site::new(Config::new(name).source("log", log).stream("things", "log", stream));
    let lines = [
        format!("{{\"id\":\"a-{SECRET}\",\"n\":\"{SECRET}\",\"t\":\"x\"}}"),
        "{\"id\":\"b\",\"n\":1,\"t\":\"y\"}".to_owned(),
        format!("{{\"id\":\"a-{SECRET}\",\"n\":2,\"t\":\"later\"}}"),
        format!("{{\"id\":\"a-{SECRET}\",\"n\":3,\"t\":\"latest\"}}"),
        "{\"id\":\"c\",\"n\":99999999999,\"t\":\"z\"}".to_owned(),
        format!("not json {SECRET}"),
    ];
    std::fs::write(site.path("log.ndjson"), lines.join("\n") + "\n").unwrap();
    site.apply_schema();
    let _ = site.catch_up();
    site
}

fn said(site: &Site, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().chain(&["-o", "json"]).copied().collect();
    let finished = site.finish(&words).expect(0);
    serde_json::from_str::<Value>(finished.stdout.trim()).unwrap()["result"].clone()
}

#[test]
fn what_is_parked_is_listed_with_its_place_and_what_waits_behind_it() {
    let site = parked("letters_listed");
    let listed = said(&site, &["deadletter", "list"]);
    assert_eq!(listed["parked"], 3);
    assert_eq!(listed["by_code"], json!({ "column_type": 1, "malformed": 1, "number_range": 1 }));
    let letters = listed["letters"].as_array().unwrap();
    let first = letters.iter().find(|letter| letter["code"] == "column_type").unwrap();
    assert_eq!((&first["path"], &first["behind"], &first["op"]), (&json!("/n"), &json!(2), &json!("upsert")));
    assert!(first["place"].as_str().unwrap().ends_with("log.ndjson"), "{first}");
    assert_eq!(first["at"], 0);
    let range = said(&site, &["deadletter", "list", "--code", "number_range", "--stream", "things"]);
    assert_eq!((range["parked"].clone(), range["letters"].as_array().unwrap().len()), (json!(1), 1));
    // The byte at which its line begins in the file.
    let text = std::fs::read_to_string(site.path("log.ndjson")).unwrap();
    assert_eq!(range["letters"][0]["at"], text.find("{\"id\":\"c\"").unwrap());
    assert_eq!(said(&site, &["deadletter", "list", "--limit", "1"])["letters"].as_array().unwrap().len(), 1);
    assert_eq!(said(&site, &["deadletter", "list", "--older-than", "1h"])["parked"], 0);
    let id = first["id"].to_string();
    let shown = site.finish(&["deadletter", "show", &id]).expect(0);
    assert!(shown.stdout.contains("behind it: 2") && shown.stdout.contains("column_type at /n"), "{}", shown.stdout);
    for wrong in [vec!["deadletter", "list", "--code", "no_such"], vec!["deadletter", "list", "--stream", "nobody"]] {
        assert_eq!(site.finish(&wrong).code, Some(2));
    }
    assert_eq!(site.finish(&["deadletter", "show", "999999"]).code, Some(1));
}

#[test]
fn values_are_told_only_where_they_were_asked_for_and_an_export_is_whole() {
    let site = parked("letters_values");
    let id = said(&site, &["deadletter", "list", "--code", "column_type"])["letters"][0]["id"].to_string();
    for quiet in [vec!["deadletter", "list"], vec!["deadletter", "show", &id], vec!["deadletter", "export"]] {
        let output = site.finish(&quiet).expect(0).output();
        assert!(!output.contains(SECRET), "{quiet:?}: {output}");
    }
    for told in [vec!["deadletter", "list"], vec!["deadletter", "show", &id], vec!["deadletter", "export"]] {
        let words: Vec<&str> = told.iter().copied().chain(["--show-values"]).collect();
        assert!(site.finish(&words).expect(0).output().contains(SECRET), "{words:?}");
    }
    let to = site.path("letters.ndjson");
    let export = ["deadletter", "export", "--show-values", "--to", to.to_str().unwrap()];
    let _ = site.finish(&export).expect(0);
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let lines: Vec<Value> =
        std::fs::read_to_string(&to).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Keys of several partitions come in any order, the changes of one key in theirs.
    let mut states: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in &lines {
        states.entry(line["key"].as_str().unwrap()).or_default().push(line["state"].as_str().unwrap());
    }
    let mut states: Vec<Vec<&str>> = states.into_values().collect();
    states.sort_by_key(Vec::len);
    assert_eq!(states, [vec!["parked"], vec!["parked"], vec!["parked", "behind", "behind"]]);
    let written = std::fs::read_to_string(site.path("log.ndjson")).unwrap();
    for line in &lines {
        assert!(written.contains(line["payload"].as_str().unwrap()), "{line}");
    }
    assert_eq!(site.finish(&export).code, Some(1), "nothing is written over");
    assert_eq!(site.finish(&["deadletter", "export", "-o", "json"]).code, Some(2), "an envelope is no NDJSON");
}
