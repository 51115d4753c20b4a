//! Where things stand: the repository, the shared data beside it, and the program under test.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the repository").to_path_buf()
}

/// The real stores the proofs read: `../shared/data` beside the repository, or `LANDFALL_SHARED_DATA`. A test that needs
/// them and does not find them fails: not tested is not passed.
pub fn shared_data() -> PathBuf {
    let found = match std::env::var_os("LANDFALL_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => root().join("../shared/data"),
    };
    assert!(
        found.join("stores").is_dir(),
        "not tested: {} holds no stores; put the shared data there or name its folder in LANDFALL_SHARED_DATA",
        found.display()
    );
    found
}

/// The process under test: `landfall-under-test` beside this test's own executable, or `LANDFALL_BIN`.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("LANDFALL_BIN") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().expect("a running test has an executable");
    // target/<profile>/deps/<test>: the binaries of the package stand one folder up.
    let folder = own.parent().and_then(Path::parent).expect("test executables stand in target/<profile>/deps");
    let program = folder.join("landfall-under-test");
    assert!(program.is_file(), "{} is not built; cargo build -p landfall-tests --bins", program.display());
    program
}
