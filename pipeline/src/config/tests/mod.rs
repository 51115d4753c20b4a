//! Bad configurations and what is said about them (`problems.txt`), and what good ones become.

mod accepted;
mod book;
mod golden;
mod schema;

use super::pipeline::Pipeline;
use super::problem::Problems;
use super::reference::Surroundings;
use std::path::{Path, PathBuf};

/// A fresh directory for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("landfall-{name}-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&path).expect("a scratch directory");
    path
}

fn variable(name: &str) -> Option<String> {
    match name {
        "DATABASE_URL" => Some("postgres://app:canary-password@localhost/app".to_owned()),
        "LANDFALL_TOKEN" => Some("canary-password-of-http".to_owned()),
        "LANDFALL_HOOK" => Some("https://hooks.example/canary-path".to_owned()),
        "MONGODB_URI" => Some("mongodb://app:canary-password@localhost/?replicaSet=rs".to_owned()),
        "INJECTION" => Some("x, schema: other }\nname: taken".to_owned()),
        _ => None,
    }
}

fn validate(source: &str) -> Result<Pipeline, Problems> {
    let surroundings = Surroundings { base: PathBuf::from("/etc/landfall"), variable: &variable };
    super::validate(Path::new("landfall.yaml"), source, &surroundings)
}
