//! The pipeline that the product runs in a bench: the users table out of lines or out of a document.
//!
//! Written as a user would write it, and read by the product itself, so that mapping and table are the ones a real run has.

use crate::site::Site;
use std::fs;
use std::path::Path;

/// Where the users come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `lines/*.ndjson`: `{"op":"u","row":{…}}`.
    Lines,
    /// `users.json`: an array.
    Document,
}

/// Writes the configuration into `folder`, which is fresh. Two connections.
pub fn write(folder: &Path, url: &str, source: Source) -> Site {
    fs::create_dir_all(folder.join("lines")).expect("a bench's own folder is writable");
    Site::write(folder, url, &config_text(source))
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
