//! Words that may not stand in the tree.

use crate::sources::{SourceFile, all, none};

fn holding(word: &str, here: impl Fn(&SourceFile) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in all().iter().filter(|file| here(file)) {
        for (number, line) in file.text.lines().enumerate() {
            if line.contains(word) && !line.trim_start().starts_with("//") {
                found.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    found
}

/// The product's own sources: not proofs, not numbers.
fn product(file: &SourceFile) -> bool {
    file.is_rust()
        && ["schemas/src/", "connectors/src/", "pipeline/src/"].iter().any(|room| file.path.starts_with(room))
}

#[test]
fn tasks_are_started_in_supervise_only() {
    for word in [concat!("tokio::", "spawn("), concat!("task::", "spawn("), concat!("tokio::task::", "spawn_local(")] {
        let elsewhere = holding(word, |file| product(file) && !file.path.starts_with("pipeline/src/supervise/"));
        none("tasks are started and watched in pipeline/src/supervise only", &elsewhere);
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    for word in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X")] {
        none("no stubs", &holding(word, |file| file.is_rust()));
    }
}

#[test]
fn no_path_of_a_machine_stands_in_the_tree() {
    // Roots of machines and homes; examples in docs use relative paths.
    for word in [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Use", "rs/")] {
        none("no machine paths", &holding(word, |file| !file.path.ends_with("Cargo.lock")));
    }
}

#[test]
fn files_are_read_and_never_mapped() {
    for word in [concat!("mem", "map"), concat!("mm", "ap(")] {
        none("a truncation under a mapping kills the process (promise 10)", &holding(word, product));
    }
}

#[test]
fn the_one_unmaintained_crate_stays_behind_its_module() {
    let users = holding(concat!("backoff", "::"), |file| product(file) && file.path != "connectors/src/retry.rs");
    none("backoff is used in connectors/src/retry.rs only", &users);
}

/// Where wall-clock time may be asked for: the clock itself, and a fingerprint that distrusts files younger than the file system's
/// time steps (it errs towards reading again).
const CLOCKS: &[&str] = &["pipeline/src/queue/clock.rs", "connectors/src/files/look.rs"];

#[test]
fn no_clock_decides_anything() {
    let users = holding(concat!("SystemTime", "::now("), |file| product(file) && !CLOCKS.contains(&file.path.as_str()));
    none("wall-clock time comes through a clock (promise 19)", &users);
}

#[test]
fn mutants_and_kill_points_are_behind_features() {
    let mutants: Vec<String> = holding(concat!("LANDFALL_", "MUTANT"), product)
        .into_iter()
        .filter(|place| !place.contains("mutant"))
        .collect();
    none("seeded bugs stand in modules named for them", &mutants);
    let manifest = std::fs::read_to_string(landfall_tests::repository::root().join("pipeline/Cargo.toml")).unwrap();
    assert!(!manifest.contains("default = ["), "no feature of the product is on by itself");
}
