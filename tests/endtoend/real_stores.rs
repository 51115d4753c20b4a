//! All three shapes of the real stores land completely, and each value equals its source.

use landfall_tests::config::Config;
use landfall_tests::repository::shared_data;
use landfall_tests::run_dir;
use landfall_tests::site::Site;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn data(path: &str) -> String {
    shared_data().join(path).to_string_lossy().into_owned()
}

fn land(config: Config) -> Site {
    let site = Site::new(config);
    site.apply_schema_with_audit();
    site.catch_up();
    site.expect_equal("after the first load");
    site.expect_witness("after the first load");
    site
}

#[test]
fn six_arrays_of_one_document_land_in_six_tables() {
    let names = ["posts", "comments", "albums", "photos", "users", "todos"];
    let config = Config::new("jsonplaceholder").document("store", &data("stores/jsonplaceholder/db.json"));
    let config = names.iter().fold(config, |config, name| {
        config.stream(name, "store", json!({ "select": format!("/{name}"), "key": "id" }))
    });
    let site = land(config);
    let mut database = site.database();
    for (name, records) in
        [("posts", 100), ("comments", 500), ("albums", 100), ("photos", 5_000), ("users", 10), ("todos", 200)]
    {
        assert_eq!(database.count(&format!("select count(*) from {name}")), records, "{name}");
    }
}

#[test]
fn a_map_of_objects_lands_under_its_property_names() {
    let config = Config::new("mime_db").document("store", &data("stores/mime-db/revisions/0020.json")).stream(
        "mime",
        "store",
        json!({}),
    );
    let site = land(config);
    let kind = site.database().value("select doc->>'source' from mime where key = 's:application/json'");
    assert_eq!(kind.as_deref(), Some("iana"));
}

#[test]
fn an_array_of_objects_lands_under_its_natural_key() {
    let config = Config::new("countries").document("store", &data("stores/countries/revisions/0016.json")).stream(
        "countries",
        "store",
        json!({ "key": "cca3" }),
    );
    let site = land(config);
    assert_eq!(site.database().count("select count(*) from countries"), 250);
}

#[test]
fn a_folder_of_files_lands_one_record_a_file() {
    let config = Config::new("tate_artists")
        .directory("artists", &data("directories/tate-artists/records"), "**/*.json")
        .stream("artists", "artists", json!({ "key": "id" }));
    let site = land(config);
    // Of 3,538 files four repeat the id of another one: real data, parked by name of both places.
    assert_eq!(site.database().count("select count(*) from artists"), 3_534);
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters where code = 'duplicate_key'"), 4);
}

#[test]
fn collections_as_lines_land_under_their_ids_of_every_shape() {
    let files = [
        ("students", "mongo/practice/students.ndjson"),
        ("grades", "mongo/practice/grades.ndjson"),
        ("products", "mongo/practice/products.ndjson"),
        ("profiles", "mongo/practice/profiles.ndjson"),
        ("restaurant", "mongo/practice/restaurant.ndjson"),
        ("accounts", "mongo/sample_analytics/accounts.ndjson"),
        ("customers", "mongo/sample_analytics/customers.ndjson"),
        ("zips", "mongo/sample_training/zips.ndjson"),
    ];
    let config = files.iter().fold(Config::new("collections"), |config, (name, file)| {
        // Profiler output has no `_id`: its lines are told apart by their place.
        let key = if *name == "profiles" { "position" } else { "_id" };
        config.lines(name, &data(file)).stream(name, name, json!({ "key": key }))
    });
    let site = land(config);
    let mut database = site.database();
    assert_eq!(database.count("select count(*) from zips"), 10_000);
    assert_eq!(database.count("select count(*) from profiles"), 1_515);
    assert_eq!(database.count("select count(*) from products where key like 's:%'"), 2);
}

#[test]
fn a_folder_and_every_commit_that_changed_it_end_equal() {
    let site = Site::new(
        Config::new("caniuse")
            .directory("features", "features-json", "*.json")
            .entry(
                "sources",
                "features",
                json!({ "kind": "json_directory", "path": "features-json", "glob": "*.json", "rescan": "2s" }),
            )
            .stream("features", "features", json!({})),
    );
    let folder = site.path("features-json");
    copy_folder(&shared_data().join("directories/caniuse-features/records"), &folder);
    site.apply_schema_with_audit();
    let mut service = site.run();
    site.expect_soon_equal("the folder at its base commit");
    let changes = std::fs::read_to_string(shared_data().join("directories/caniuse-features/changes.ndjson")).unwrap();
    for line in changes.lines() {
        let commit: Value = serde_json::from_str(line).unwrap();
        for change in commit["changes"].as_array().unwrap() {
            let name = change["path"].as_str().unwrap().rsplit('/').next().unwrap();
            match change["op"].as_str().unwrap() {
                "put" => std::fs::write(folder.join(name), change["text"].as_str().unwrap()).unwrap(),
                _ => std::fs::remove_file(folder.join(name)).unwrap(),
            }
        }
    }
    site.expect_soon_equal("the folder at its head commit");
    site.expect_witness("after 48 commits");
    assert!(service.is_running(), "{}", service.stderr());
    service.terminate();
    let _ = service.finish(std::time::Duration::from_secs(30)).expect(0);
}

fn copy_folder(from: &Path, to: &PathBuf) {
    assert!(to.starts_with(run_dir::run_dir()));
    std::fs::create_dir_all(to).unwrap();
    let done = Command::new("cp").args(["-r", "--no-preserve=mode"]).arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success());
}
