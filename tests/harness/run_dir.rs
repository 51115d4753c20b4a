//! Where a test process keeps its clusters, stores and logs: `.run/<name>-<pid>` in the repository, removed at the next run.
//!
//! When the unprivileged user cannot walk down to the repository (a checkout in root's home), a folder in the system's
//! temporary directory is used instead. `LANDFALL_RUN_DIR` overrides both.

use crate::repository;
use crate::unprivileged::Unprivileged;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The directory of this test process. Anybody may walk through it, so that unprivileged children find what is theirs.
pub fn run_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let parent = parent();
        std::fs::create_dir_all(&parent).expect("the run directory can be made");
        remove_leftovers(&parent);
        let own = std::env::current_exe().ok().and_then(|exe| Some(exe.file_stem()?.to_string_lossy().into_owned()));
        let name = own.as_deref().and_then(|stem| stem.split('-').next()).unwrap_or("tests").to_owned();
        let dir = parent.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the run directory can be made");
        dir
    })
}

/// A fresh directory of this name inside [`run_dir`].
pub fn fresh(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = run_dir().join(format!("{number:03}-{name}"));
    std::fs::create_dir_all(&dir).expect("a directory inside the run directory can be made");
    dir
}

/// The process under test, at a path that the unprivileged user can walk to.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        let built = repository::program();
        if reachable(&built) {
            return built;
        }
        let copied = run_dir().join("landfall-under-test");
        std::fs::copy(built, &copied).expect("the process under test can be copied");
        copied
    });
    found.clone()
}

fn parent() -> PathBuf {
    if let Some(dir) = std::env::var_os("LANDFALL_RUN_DIR") {
        return PathBuf::from(dir);
    }
    let beside = repository::root().join(".run");
    std::fs::create_dir_all(&beside).expect("the repository is writable");
    if reachable(&beside) { beside } else { std::env::temp_dir().join("landfall-run") }
}

fn reachable(path: &Path) -> bool {
    let mut look = Command::new("test");
    look.arg("-x").arg(path);
    Unprivileged::find().run(&mut look).status().is_ok_and(|status| status.success())
}

/// Removes directories of processes that are gone. `LANDFALL_KEEP` keeps them, for looking at a failure.
fn remove_leftovers(parent: &Path) {
    if std::env::var_os("LANDFALL_KEEP").is_some() {
        return;
    }
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.rsplit('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Best effort: a mount left behind by a killed test stays until it is unmounted.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
