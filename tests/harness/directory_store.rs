//! One JSON file per record in nested folders, edited file by file.

use crate::manner::Manner;
use crate::record::record;
use crate::seed::Seed;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The store.
#[derive(Debug)]
pub struct DirectoryStore {
    root: PathBuf,
    keys: BTreeSet<u64>,
    next_key: u64,
    seed: Seed,
}

impl DirectoryStore {
    /// A store at `root` with `records` files.
    pub fn create(root: &Path, records: u64, seed: Seed) -> Self {
        std::fs::create_dir_all(root).expect("the store's folder can be made");
        let mut store = Self { root: root.to_path_buf(), keys: BTreeSet::new(), next_key: 0, seed };
        for _ in 0..records {
            store.insert(Manner::Atomic);
        }
        store
    }

    /// The file of a key, in one of eight folders.
    pub fn file(&self, key: u64) -> PathBuf {
        self.root.join(format!("group-{}", key % 8)).join(format!("record-{key}.json"))
    }

    /// A new file.
    pub fn insert(&mut self, manner: Manner) -> u64 {
        self.next_key += 1;
        let key = self.next_key;
        self.put(key, manner);
        key
    }

    /// Writes the file of a key.
    pub fn put(&mut self, key: u64, manner: Manner) {
        let file = self.file(key);
        std::fs::create_dir_all(file.parent().expect("a record's file has a folder")).expect("a folder can be made");
        let text = record(&key.to_string(), &mut self.seed);
        manner.write(&file, text.as_bytes(), &mut self.seed);
        self.keys.insert(key);
    }

    /// Removes the file of a key.
    pub fn remove(&mut self, key: u64) {
        if self.keys.remove(&key) {
            std::fs::remove_file(self.file(key)).expect("a record's file can be removed");
        }
    }

    /// Keys there are.
    pub fn keys(&self) -> Vec<u64> {
        self.keys.iter().copied().collect()
    }

    /// One random edit; never so many deletes that the deletion guard has a say.
    pub fn live(&mut self) {
        let manner = *self.seed.pick(&Manner::ALL);
        let keys = self.keys();
        match self.seed.below(10) {
            0..=2 => _ = self.insert(manner),
            8..=9 if keys.len() > 30 => {
                let key = *self.seed.pick(&keys);
                self.remove(key);
            }
            _ => {
                let key = *self.seed.pick(&keys);
                self.put(key, manner);
            }
        }
    }
}
