//! Golden files for tests: exact texts beside the code. Set LANDFALL_BLESS=1 to write them anew, then read the difference.

use std::path::{Path, PathBuf};

/// Compares `actual` with the golden file `name`.
pub(crate) fn check(name: &str, actual: &str) {
    compare(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cli/golden").join(name), actual);
}

/// Compares `actual` with a file that people read, by its path in the repository.
pub(crate) fn check_in_repository(path: &str, actual: &str) {
    compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path), actual);
}

fn compare(path: &Path, actual: &str) {
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("the golden directory");
        std::fs::write(path, actual).expect("write the golden file");
        return;
    }
    let expected = std::fs::read_to_string(path).expect("the golden file");
    assert!(actual == expected, "{} is stale; LANDFALL_BLESS=1 writes it anew\n\n{actual}", path.display());
}
