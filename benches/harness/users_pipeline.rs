//! The pipeline that the product runs in a bench: the users table out of lines or out of a document.
//!
//! Written as a user would write it, and read by the product itself, so that mapping and table are the ones a real run has.

use landfall_pipeline::config::{self, Pipeline};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the users come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `lines/*.ndjson`: `{"op":"u","row":{…}}`.
    Lines,
    /// `users.json`: an array.
    Document,
}

/// A pipeline in a folder of its own: `landfall.yaml`, `state/`, and the store.
#[derive(Clone, Debug)]
pub struct UsersPipeline {
    folder: PathBuf,
    url: String,
}

impl UsersPipeline {
    /// Writes the configuration into `folder`, which is fresh. Two connections.
    pub fn write(folder: &Path, url: &str, source: Source) -> Self {
        fs::create_dir_all(folder.join("lines")).expect("a bench's own folder is writable");
        let text = config_text(source);
        fs::write(folder.join("landfall.yaml"), text).expect("a bench's own folder is writable");
        Self { folder: folder.to_owned(), url: url.to_owned() }
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.folder.join("landfall.yaml")
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Value of `DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The configuration, read by the product.
    pub fn read(&self) -> Pipeline {
        let variable = |name: &str| (name == "DATABASE_URL").then(|| self.url.clone());
        config::load(&self.file(), &variable).expect("the bench's configuration is valid")
    }
}

/// Columns stand in the order of the table's rows.
const STREAM: &str = "
streams:
  users:
    source: store
    key: { from: id, type: text }
    columns:
      email: { from: email, type: text }
      name: { from: name, type: text }
      balance: { from: balance, type: \"numeric(18,4)\" }
      created_at: { from: created_at, type: timestamptz }
      tags: { from: tags, type: jsonb }
      extra: { from: extra, type: jsonb }
    rest: false
    indexes: [[email]]
";

fn config_text(source: Source) -> String {
    let store = match source {
        Source::Lines => {
            "{ kind: json_lines, path: \"lines/*.ndjson\", operation: { from: op, upsert: [u], delete: [d], record: row } }"
        }
        Source::Document => "{ kind: json_document, path: users.json }",
    };
    format!(
        "name: bench\ntarget: {{ url: \"${{DATABASE_URL}}\", schema: public, max_connections: 2 }}\n\
         state: {{ dir: ./state }}\nsources:\n  store: {store}\n{STREAM}"
    )
}
