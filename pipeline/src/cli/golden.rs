//! Golden files for tests: exact texts beside the code. Set LANDFALL_BLESS=1 to write them anew, then read the difference.

use std::path::PathBuf;

/// Compares `actual` with the golden file `name`.
pub(crate) fn check(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cli/golden").join(name);
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("the golden directory");
        std::fs::write(&path, actual).expect("write the golden file");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file");
    assert_eq!(actual, expected, "{name}\n\n{actual}");
}
