//! The files of the repository as git knows them, and what the other rules share.

use landfall_tests::repository;
use std::path::Path;
use std::process::Command;

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root.
    pub(crate) path: String,
    /// Its text; binary files are left out of the list.
    pub(crate) text: String,
}

impl SourceFile {
    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Its name without folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// All text files: committed ones and new ones that are not ignored.
pub(crate) fn all() -> Vec<SourceFile> {
    let root = repository::root();
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .expect("git can be run");
    let mut paths: Vec<String> = String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
    if paths.is_empty() {
        // An export without git's folder: walk instead.
        walk(&root, "", &mut paths);
    }
    let files: Vec<SourceFile> = paths
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(root.join(&path)).ok().map(|text| SourceFile { path, text }))
        .collect();
    assert!(files.iter().filter(|file| file.is_rust()).count() > 20, "the rules look at the whole repository");
    files
}

fn walk(root: &Path, below: &str, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(root.join(below)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if entry.path().is_dir() {
            if !matches!(name.as_str(), "target" | ".run" | ".git") {
                walk(root, &path, paths);
            }
        } else {
            paths.push(path);
        }
    }
}

/// Panics with the list unless it is empty.
#[track_caller]
pub(crate) fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}
