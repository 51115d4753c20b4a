//! The real collections of the shared data: `mongo/<database>/<collection>.ndjson` (Extended JSON, relaxed or canonical, a document a
//! line) or `.bson` (a dump: documents one behind the other).
//!
//! Where both stand, the dump is taken: it is what the server held, byte for byte.

use crate::repository;
use bson::{Document, RawDocumentBuf};
use std::path::{Path, PathBuf};

/// A collection of the shared data.
#[derive(Clone, Debug)]
pub struct StoredCollection {
    /// Its database: the folder.
    pub database: String,
    /// Its name: the file's stem.
    pub name: String,
    file: PathBuf,
}

/// Every collection, in the order of their paths.
pub fn all() -> Vec<StoredCollection> {
    let root = repository::shared_data().join("mongo");
    let mut found: Vec<StoredCollection> = Vec::new();
    for folder in listed(&root) {
        for file in listed(&folder) {
            let text = |path: &Path| path.to_string_lossy().into_owned();
            let dump = file.with_extension("bson");
            let wanted = match file.extension().and_then(|extension| extension.to_str()) {
                Some("bson") => true,
                Some("ndjson") => !dump.exists(),
                _ => false,
            };
            if wanted {
                let database = text(Path::new(folder.file_name().expect("a listed folder has a name")));
                let name = text(Path::new(file.file_stem().expect("a listed file has a name")));
                found.push(StoredCollection { database, name, file });
            }
        }
    }
    assert!(!found.is_empty(), "not tested: {} holds no collections", root.display());
    found
}

/// One collection, which must be there.
pub fn one(database: &str, name: &str) -> StoredCollection {
    let found = all().into_iter().find(|stored| stored.database == database && stored.name == name);
    found.unwrap_or_else(|| panic!("not tested: the shared data has no collection {database}.{name}"))
}

impl StoredCollection {
    /// Its documents, in the order of the file, fields in their order.
    pub fn documents(&self) -> Vec<RawDocumentBuf> {
        let bytes = std::fs::read(&self.file).expect("a listed file can be read");
        if self.file.extension().is_some_and(|extension| extension == "bson") {
            return dumped(&bytes);
        }
        let text = String::from_utf8(bytes).expect("the shared data is UTF-8");
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| self.parsed(line)).collect()
    }

    fn parsed(&self, line: &str) -> RawDocumentBuf {
        // Read straight into a document, which keeps the order of the fields; a JSON value in between would sort them.
        let document: Document =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.file.display()));
        RawDocumentBuf::try_from(&document).expect("a document that was read can be written")
    }
}

fn dumped(mut bytes: &[u8]) -> Vec<RawDocumentBuf> {
    let mut documents = Vec::new();
    while let Some(head) = bytes.first_chunk::<4>() {
        let length = usize::try_from(i32::from_le_bytes(*head)).expect("a document's length is positive");
        let (document, rest) = bytes.split_at(length);
        documents.push(RawDocumentBuf::from_bytes(document.to_vec()).expect("a dump holds documents"));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a dump ends with its last document");
    documents
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder);
    let mut paths: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::{all, one};
    use bson::RawBsonRef;

    #[test]
    fn every_collection_is_read_whole() {
        let counted: Vec<(String, usize)> =
            all().iter().map(|stored| (stored.name.clone(), stored.documents().len())).collect();
        for (name, count) in [
            ("accounts", 1_746),
            ("customers", 500),
            ("grades", 280),
            ("products", 11),
            ("profiles", 1_515),
            ("restaurant", 2_548),
            ("students", 200),
            ("zips", 10_000),
        ] {
            assert!(counted.contains(&(name.to_owned(), count)), "{name} in {counted:?}");
        }
    }

    #[test]
    fn extended_json_becomes_types_and_look_alikes_stay_fields() {
        let grades = one("practice", "grades").documents();
        assert!(matches!(grades[0].get("_id"), Ok(Some(RawBsonRef::ObjectId(_)))));
        let profiles = one("practice", "profiles").documents();
        assert!(matches!(profiles[0].get("ts"), Ok(Some(RawBsonRef::DateTime(_)))));
        let exists = profiles.iter().filter(|profile| profile.as_bytes().windows(7).any(|bytes| bytes == b"$exists"));
        assert_eq!(exists.count(), 9);
    }
}
