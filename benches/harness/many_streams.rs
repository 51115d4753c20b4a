//! A pipeline of many small streams: one JSON document with an array for each, as a store with many collections has.

use crate::site::Site;
use std::fmt::Write;
use std::path::Path;

/// Records of each stream: enough to be a table, too few to matter.
pub const RECORDS: usize = 100;

/// Writes store and configuration into `folder`, which is fresh; everything else is as it is by default.
pub fn write(folder: &Path, url: &str, streams: usize) -> Site {
    let mut text = String::from(
        "name: bench\ntarget: { url: \"${DATABASE_URL}\", schema: public }\nstate: { dir: ./state }\n\
         sources:\n  store: { kind: json_document, path: store.json }\nstreams:\n",
    );
    let mut store = String::from("{");
    for stream in 0..streams {
        let name = name(stream);
        let columns = "{ name: text, amount: \"numeric(12,2)\", made: { from: made, type: timestamptz }, tags: jsonb }";
        let _ =
            writeln!(text, "  {name}:\n    source: store\n    select: /{name}\n    key: {{ from: id, type: bigint }}");
        let _ = writeln!(text, "    columns: {columns}");
        let records: Vec<String> = (0..RECORDS).map(record).collect();
        let comma = if stream == 0 { "" } else { "," };
        let _ = write!(store, "{comma}\"{name}\":[{}]", records.join(","));
    }
    store.push('}');
    std::fs::write(folder.join("store.json"), store).expect("a bench's own disk has room");
    Site::write(folder, url, &text)
}

/// What the stream of a number and its table are called.
pub fn name(stream: usize) -> String {
    format!("s{stream:03}")
}

fn record(number: usize) -> String {
    format!(
        r#"{{"id":{number},"name":"record {number}","amount":{number}.25,"made":"2026-01-01T00:00:00Z","tags":["a","b"],"note":"n{number}"}}"#
    )
}
