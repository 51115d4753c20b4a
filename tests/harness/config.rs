//! Configurations for the process under test, written as JSON, which is YAML: the oracle reads the same file.

use crate::oracle::MONGO_VARIABLE;
use serde_json::{Map, Value, json};

/// A configuration being put together.
#[derive(Clone, Debug)]
pub struct Config(Value);

impl Config {
    /// A pipeline of this name whose target comes from the environment variable `DATABASE_URL`.
    pub fn new(name: &str) -> Self {
        Self(json!({
            "name": name,
            "target": { "url": "${DATABASE_URL}", "schema": "public", "max_connections": 2 },
            "state": { "dir": "./state" },
            "sources": {},
            "streams": {},
        }))
    }

    /// Answers over HTTP on a port that the system chooses; orders need what stands in the site's file `token`.
    #[must_use]
    pub fn http(self) -> Self {
        self.section("http", json!({ "listen": "127.0.0.1:0", "token": "file:token" }))
    }

    /// A document source.
    #[must_use]
    pub fn document(self, source: &str, path: &str) -> Self {
        self.source(source, json!({ "kind": "json_document", "path": path }))
    }

    /// A line source.
    #[must_use]
    pub fn lines(self, source: &str, path: &str) -> Self {
        self.source(source, json!({ "kind": "json_lines", "path": path }))
    }

    /// A directory source.
    #[must_use]
    pub fn directory(self, source: &str, path: &str, glob: &str) -> Self {
        self.source(source, json!({ "kind": "json_directory", "path": path, "glob": glob }))
    }

    /// A SQLite source.
    #[must_use]
    pub fn sqlite(self, source: &str, path: &str) -> Self {
        self.source(source, json!({ "kind": "sqlite", "path": path }))
    }

    /// A MongoDB source, reached at the URI that the site puts into the environment (see `Site::mongo`). Streams `select` a collection.
    #[must_use]
    pub fn mongo(self, source: &str, database: &str) -> Self {
        self.source(source, json!({ "kind": "mongodb", "uri": format!("${{{MONGO_VARIABLE}}}"), "database": database }))
    }

    /// A landing stream of a collection: `raw` and everything else as the product has it by default.
    #[must_use]
    pub fn collection(self, stream: &str, source: &str, collection: &str) -> Self {
        self.stream(stream, source, json!({ "select": collection }))
    }

    /// Any source.
    #[must_use]
    pub fn source(mut self, name: &str, source: Value) -> Self {
        self.member("sources").insert(name.to_owned(), source);
        self
    }

    /// A stream: `source` and whatever `more` says.
    #[must_use]
    pub fn stream(mut self, name: &str, source: &str, more: Value) -> Self {
        let mut stream = Map::new();
        stream.insert("source".to_owned(), json!(source));
        if let Value::Object(more) = more {
            stream.extend(more);
        }
        self.member("streams").insert(name.to_owned(), Value::Object(stream));
        self
    }

    /// Any other top-level section.
    #[must_use]
    pub fn section(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// One entry of a top-level section.
    #[must_use]
    pub fn entry(mut self, section: &str, name: &str, value: Value) -> Self {
        self.0[section][name] = value;
        self
    }

    /// The pipeline's name.
    pub fn name(&self) -> &str {
        self.0["name"].as_str().expect("a configuration has a name")
    }

    /// Stream names and their tables.
    pub fn tables(&self) -> Vec<(String, String)> {
        let streams = self.0["streams"].as_object().expect("a configuration has streams");
        streams
            .iter()
            .map(|(name, stream)| (name.clone(), stream["table"].as_str().unwrap_or(name).to_owned()))
            .collect()
    }

    /// As text for `landfall.yaml`.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.0).expect("JSON can be written")
    }

    fn member(&mut self, name: &str) -> &mut Map<String, Value> {
        self.0[name].as_object_mut().expect("sources and streams are maps")
    }
}
