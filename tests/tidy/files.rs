//! Names, lengths and openings of files.

use crate::sources::{all, none};

/// Split by then.
const MAX_LINES: usize = 400;
/// A file of unit tests is a list of sentences, read one at a time.
const MAX_TEST_LINES: usize = 600;
/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "types", "base", "core", "manager", "context", "shared",
    "stuff",
];

#[test]
fn no_rust_file_is_longer_than_four_hundred_lines() {
    let long: Vec<String> = all()
        .iter()
        .filter(|file| {
            let bound = if file.name() == "tests.rs" { MAX_TEST_LINES } else { MAX_LINES };
            file.is_rust() && file.text.lines().count() > bound
        })
        .map(|file| format!("{}: {} lines", file.path, file.text.lines().count()))
        .collect();
    none("one concept per file, split by 400 lines", &long);
}

#[test]
fn no_file_or_folder_has_a_name_that_says_nothing() {
    let empty: Vec<String> = all()
        .iter()
        .filter(|file| {
            file.path.split('/').any(|part| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default()))
                && !file.path.starts_with("schemas/examples/")
        })
        .map(|file| file.path.clone())
        .collect();
    none("a file is named by a noun of the domain", &empty);
}

#[test]
fn every_rust_file_opens_with_what_it_owns() {
    let silent: Vec<String> = all()
        .iter()
        .filter(|file| file.is_rust() && !file.text.starts_with("//! "))
        .map(|file| file.path.clone())
        .collect();
    none("each .rs file opens with //!", &silent);
}

#[test]
fn the_top_level_has_its_rooms_and_no_others() {
    let rooms = ["pipeline", "connectors", "schemas", "deploy", "tests", "benches", ".ci"];
    let mut others: Vec<String> = all()
        .iter()
        .filter_map(|file| file.path.split_once('/').map(|(room, _)| room.to_owned()))
        .filter(|room| !rooms.contains(&room.as_str()))
        .collect();
    others.dedup();
    none("no further top-level folder", &others);
}

#[test]
fn no_test_is_switched_off() {
    let mark = concat!("#[", "ignore");
    let ignored: Vec<String> =
        all().iter().filter(|file| file.is_rust() && file.text.contains(mark)).map(|file| file.path.clone()).collect();
    none("a test that does not run proves nothing", &ignored);
}
