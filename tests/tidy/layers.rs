//! Dependencies run one way: schemas ← connectors ← pipeline ← tests, benches.

use crate::sources::{all, none};

/// Rooms from the bottom up.
const LAYERS: &[(&str, &[&str])] = &[
    ("schemas", &[]),
    ("connectors", &["landfall-schemas"]),
    ("pipeline", &["landfall-schemas", "landfall-connectors"]),
    ("tests", &["landfall-schemas", "landfall-connectors", "landfall-pipeline"]),
    ("benches", &["landfall-schemas", "landfall-connectors", "landfall-pipeline"]),
];

#[test]
fn crates_depend_on_what_is_below_them() {
    let mut broken = Vec::new();
    for file in all().iter().filter(|file| file.name() == "Cargo.toml") {
        let Some((room, _)) = file.path.split_once('/') else { continue };
        let below = LAYERS.iter().find(|(name, _)| *name == room).map(|(_, below)| *below);
        let Some(below) = below else {
            broken.push(format!("{} is not a room", file.path));
            continue;
        };
        for line in file.text.lines().filter(|line| line.starts_with("landfall-") && line.contains("workspace = true"))
        {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !below.contains(&name) {
                broken.push(format!("{}: {name}", file.path));
            }
        }
    }
    none("dependencies run one way", &broken);
}

#[test]
fn the_product_switches_no_test_hook_on() {
    let broken: Vec<String> = all()
        .iter()
        .filter(|file| file.name() == "Cargo.toml" && !file.path.starts_with("tests/"))
        .flat_map(|file| {
            file.text
                .lines()
                .filter(|line| {
                    line.starts_with("landfall-") && (line.contains("failpoints") || line.contains("mutants"))
                })
                .map(|line| format!("{}: {line}", file.path))
                .collect::<Vec<_>>()
        })
        .collect();
    none("failpoints and mutants are for tests only", &broken);
}

#[test]
fn only_assemble_names_concrete_edges() {
    let mut broken = Vec::new();
    for file in all().iter().filter(|file| file.is_rust() && file.path.starts_with("pipeline/src/")) {
        let allowed =
            ["pipeline/src/assemble", "pipeline/src/cli/", "pipeline/src/config/", "pipeline/src/infer/sample/"]
                .iter()
                .any(|place| file.path.starts_with(place));
        let names_one = ["landfall_connectors::postgres", "landfall_connectors::files", "landfall_connectors::memory"]
            .iter()
            .any(|edge| file.text.contains(edge));
        if names_one && !allowed && !file.path.contains("tests") {
            broken.push(file.path.clone());
        }
    }
    none(
        "concrete edges are named in pipeline/src/assemble (beside the commands that ask the target itself, the configuration, which fills in what edges are told, and the samplers of init, which look at stores without any pipeline)",
        &broken,
    );
}
