//! A whole JSON file that a program keeps and rewrites: arrays of records under their names, edited in memory.

use crate::manner::Manner;
use crate::record::record;
use crate::seed::Seed;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The store.
#[derive(Debug)]
pub struct DocumentStore {
    path: PathBuf,
    collections: BTreeMap<String, BTreeMap<u64, String>>,
    next_key: u64,
    seed: Seed,
}

impl DocumentStore {
    /// A store at `path` with these collections, `records` in each; written at once.
    pub fn create(path: &Path, collections: &[&str], records: u64, seed: Seed) -> Self {
        let mut store = Self { path: path.to_path_buf(), collections: BTreeMap::new(), next_key: 0, seed };
        for name in collections {
            store.collections.insert((*name).to_owned(), BTreeMap::new());
            for _ in 0..records {
                store.insert(name);
            }
        }
        store.write(Manner::Atomic);
        store
    }

    /// Adds a record with a new key.
    pub fn insert(&mut self, collection: &str) -> u64 {
        self.next_key += 1;
        self.put(collection, self.next_key);
        self.next_key
    }

    /// Adds so many records under new keys and replaces the file at once.
    pub fn add(&mut self, collection: &str, records: usize) {
        for _ in 0..records {
            let _ = self.insert(collection);
        }
        self.write(Manner::Atomic);
    }

    /// Gives a key a new record.
    pub fn put(&mut self, collection: &str, key: u64) {
        // Every third key is a string, so that 5 and "5" both occur in a long enough life.
        let spelled = if key.is_multiple_of(3) { format!("\"{key}\"") } else { key.to_string() };
        let text = record(&spelled, &mut self.seed);
        self.records(collection).insert(key, text);
    }

    /// Removes a key.
    pub fn remove(&mut self, collection: &str, key: u64) {
        self.records(collection).remove(&key);
    }

    /// Keys of a collection.
    pub fn keys(&self, collection: &str) -> Vec<u64> {
        self.collections.get(collection).map(|records| records.keys().copied().collect()).unwrap_or_default()
    }

    /// A few random edits; never so many deletes that the deletion guard has a say.
    pub fn edit(&mut self) {
        let names: Vec<String> = self.collections.keys().cloned().collect();
        for _ in 0..self.seed.range(1, 6) {
            let name = self.seed.pick(&names).clone();
            let keys = self.keys(&name);
            match self.seed.below(10) {
                0..=2 => _ = self.insert(&name),
                3..=7 if !keys.is_empty() => {
                    let key = *self.seed.pick(&keys);
                    self.put(&name, key);
                }
                _ if keys.len() > 30 => {
                    let key = *self.seed.pick(&keys);
                    self.remove(&name, key);
                }
                _ => _ = self.insert(&name),
            }
        }
    }

    /// Writes the file.
    pub fn write(&mut self, manner: Manner) {
        let text = self.text();
        manner.write(&self.path, text.as_bytes(), &mut self.seed);
    }

    /// An edit and a write in a random manner.
    pub fn live(&mut self) {
        self.edit();
        let manner = *self.seed.pick(&Manner::ALL);
        self.write(manner);
    }

    /// The file as it should stand.
    pub fn text(&self) -> String {
        let arrays: Vec<String> = self
            .collections
            .iter()
            .map(|(name, records)| {
                let list: Vec<&str> = records.values().map(String::as_str).collect();
                format!("  \"{name}\": [\n    {}\n  ]", list.join(",\n    "))
            })
            .collect();
        format!("{{\n{}\n}}\n", arrays.join(",\n"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn records(&mut self, collection: &str) -> &mut BTreeMap<u64, String> {
        self.collections.entry(collection.to_owned()).or_default()
    }
}
