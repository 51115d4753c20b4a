//! Where benches keep clusters, stores and results: `.run/bench` in the repository, which is ignored by git.
//!
//! `LANDFALL_BENCH_DIR` overrides it: figures depend on the disk, so say which one it was.

use std::path::{Path, PathBuf};

/// The folder of all benches.
pub fn bench_dir() -> PathBuf {
    let dir = match std::env::var_os("LANDFALL_BENCH_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => repository().join(".run").join("bench"),
    };
    std::fs::create_dir_all(&dir).expect("the bench folder can be made");
    dir
}

/// A fresh, empty folder of this name.
pub fn fresh(name: &str) -> PathBuf {
    let dir = bench_dir().join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("a bench's own folder can be removed");
    }
    std::fs::create_dir_all(&dir).expect("the bench folder can be made");
    dir
}

/// The root of the checkout.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
