//! What the page may not do: make markup of text, keep a token, reach beyond the service.

use crate::sources::{SourceFile, all, none};

/// Where the page lives.
const ROOM: &str = "pipeline/src/http/page/";
/// A module that is longer is two.
const MAX_LINES: usize = 400;
/// What turns text into markup, script or style, and what keeps things beyond the life of the page.
const FORBIDDEN: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "createContextualFragment",
    "document.write",
    "eval(",
    "new Function",
    ".style.",
    " style=",
    "javascript:",
    "localStorage",
    "sessionStorage",
    "indexedDB",
    "document.cookie",
    "@import",
];
/// A name of a language, not an address.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

fn page() -> Vec<SourceFile> {
    let files: Vec<SourceFile> = all().into_iter().filter(|file| file.path.starts_with(ROOM)).collect();
    assert!(files.len() > 3, "the rules look at the page");
    files
}

#[test]
fn no_text_of_the_page_becomes_markup_and_nothing_is_kept() {
    let mut found = Vec::new();
    for file in page() {
        for word in FORBIDDEN.iter().filter(|word| file.text.contains(**word)) {
            found.push(format!("{}: {word}", file.path));
        }
        let outside = file.text.replace(NAMESPACE, "");
        for word in ["http://", "https://"].iter().filter(|word| outside.contains(**word)) {
            found.push(format!("{}: {word}", file.path));
        }
    }
    none("the page works under its policy and without any network but this one", &found);
}

#[test]
fn modules_of_the_page_are_short_and_those_they_import_are_there() {
    let files = page();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".js")) {
        if file.text.lines().count() > MAX_LINES || !file.text.starts_with("// ") {
            found.push(format!("{}: opens with what it owns, and ends by {MAX_LINES} lines", file.path));
        }
        for name in file.text.lines().filter_map(|line| line.split_once(" from \"./")?.1.strip_suffix("\";")) {
            if !files.iter().any(|other| other.path == format!("{ROOM}{name}")) {
                found.push(format!("{}: {name}", file.path));
            }
        }
    }
    none("one concept per module", &found);
}
