//! The image and the compose project: pinned, without privileges, secrets from files, nothing published beyond this machine.

use crate::files::{assert_configuration, none, place, text, yaml};
use serde_json::Value;

fn services() -> serde_json::Map<String, Value> {
    let services = yaml("container/compose.yaml")["services"].as_object().cloned().expect("compose has services");
    assert!(services.len() >= 6, "store, target, service and watchers");
    services
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A name with a version that is more than a major one.
fn is_pinned(image: &str) -> bool {
    image == "landfall:local"
        || image.rsplit_once(':').is_some_and(|(_, tag)| tag.contains('.') && !tag.starts_with("latest"))
}

#[test]
fn every_service_is_pinned_and_without_privileges() {
    let mut broken = Vec::new();
    for (name, service) in services() {
        let mut ask = |holds: bool, what: &str| {
            if !holds {
                broken.push(format!("{name}: {what}"));
            }
        };
        ask(is_pinned(service["image"].as_str().unwrap_or_default()), "an image with a version");
        ask(service["read_only"] == true, "read_only");
        ask(texts(&service["cap_drop"]) == ["ALL"] && service["cap_add"].is_null(), "cap_drop: [ALL]");
        ask(texts(&service["security_opt"]) == ["no-new-privileges:true"], "no-new-privileges");
        ask(service["privileged"].is_null() && service["network_mode"].is_null(), "no privileges, no foreign network");
        let ports = texts(&service["ports"]);
        ask(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "published on the loopback address only");
        // Landfall's own user is in its image.
        let user = service["user"].as_str().unwrap_or_default().split(':').next().unwrap_or_default().parse::<u32>();
        ask(user.is_ok_and(|user| user > 0) || service["image"] == "landfall:local", "a user by number, not root");
    }
    none("compose services are hardened", &broken);
}

#[test]
fn secrets_are_files_that_are_made_and_never_values() {
    let compose = yaml("container/compose.yaml");
    let made = text("container/secrets.sh");
    let mut broken = Vec::new();
    let declared = compose["secrets"].as_object().cloned().unwrap_or_default();
    for (name, secret) in &declared {
        if secret["file"] != format!("./secrets/{name}") || !made.contains(name.as_str()) {
            broken.push(format!("{name} is no file that secrets.sh makes"));
        }
    }
    for (service, described) in services() {
        broken.extend(
            texts(&described["secrets"])
                .iter()
                .filter(|name| !declared.contains_key(*name))
                .map(|name| format!("{service}: {name}")),
        );
        for (name, value) in described["environment"].as_object().into_iter().flatten() {
            let secret = ["PASSWORD", "TOKEN", "SECRET", "URI", "URL"].iter().any(|word| name.contains(word));
            if secret && !name.ends_with("_FILE") && !name.ends_with("__FILE") {
                broken.push(format!("{service}: {name}={value}"));
            }
        }
    }
    none("secrets come from files", &broken);
    let ignored = std::fs::read_to_string(landfall_tests::repository::root().join(".gitignore")).unwrap_or_default();
    assert!(ignored.lines().any(|line| line == "/deploy/container/secrets/"), "what secrets.sh makes is not committed");
}

#[test]
fn every_mounted_file_is_there() {
    let mut missing = Vec::new();
    for (service, described) in services() {
        for mount in texts(&described["volumes"]).iter().filter(|mount| mount.starts_with('.')) {
            let (from, to) = mount.split_once(':').unwrap_or_default();
            if !place("container").join(from).exists() || !to.ends_with(":ro") {
                missing.push(format!("{service}: {mount}"));
            }
        }
    }
    none("what is mounted is there, and mounted to be read", &missing);
}

#[test]
fn the_image_is_small_and_its_user_a_number() {
    let file = text("container/Dockerfile");
    let bases: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(bases.len(), 2, "built in one stage, run in another");
    assert!(bases[1].contains("distroless"), "no shell in what runs: {}", bases[1]);
    let toolchain = std::fs::read_to_string(landfall_tests::repository::root().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")).expect("a pinned toolchain");
    let minor = channel.trim_end_matches('"').rsplit_once('.').expect("a version").0;
    assert!(bases[0].starts_with(&format!("rust:{minor}-")), "{} builds with {minor}", bases[0]);
    let user = file.lines().rev().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert!(user.split(':').all(|number| number.parse::<u32>().is_ok_and(|number| number > 0)), "USER {user}");
    assert!(file.contains("deploy/dist/cargo.sh build --release --locked"), "built as everywhere else");
    assert!(file.contains("deploy/dist/fit.sh target/release/landfall"), "and looked at");
}

#[test]
fn what_is_built_is_sent_to_the_builder() {
    let sent: Vec<String> = text("container/Dockerfile.dockerignore")
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .map(str::to_owned)
        .collect();
    let manifest = std::fs::read_to_string(landfall_tests::repository::root().join("Cargo.toml")).unwrap();
    for room in ["schemas", "connectors", "pipeline"] {
        assert!(manifest.contains(&format!("\"{room}\"")) && sent.iter().any(|path| path == room), "{room} is sent");
    }
    for path in &sent {
        let path = path.strip_suffix("/*.sh").unwrap_or(path);
        assert!(landfall_tests::repository::root().join(path).exists(), "{path} is there to be sent");
    }
    assert!(sent.iter().any(|path| path == "deploy/dist/*.sh"), "what it is built with is sent");
}

#[test]
fn the_product_takes_its_configuration() {
    assert_configuration(&text("container/landfall.yaml"), "/run/secrets/", "container-config");
}
