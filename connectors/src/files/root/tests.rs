//! Listings and openings below a root: links, pipes and loops, and that nothing outside is ever opened.

use super::*;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("landfall-root-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("in/sub")).unwrap();
    std::fs::write(dir.join("secret.json"), "outside").unwrap();
    std::fs::write(dir.join("in/a.json"), "inside").unwrap();
    std::fs::write(dir.join("in/sub/b.json"), "below").unwrap();
    dir
}

fn listed(root: &Root, depth: Option<usize>) -> Vec<String> {
    let found = root.list(depth, &mut |_| true).unwrap();
    found.files.iter().map(|file| file.path.display().to_string()).collect()
}

#[test]
fn files_are_listed_in_order_and_no_deeper_than_asked() {
    let dir = scratch("list");
    let root = Root::open(&dir.join("in"), Symlinks::Refuse).unwrap();
    assert_eq!(listed(&root, None), ["a.json", "sub/b.json"]);
    assert_eq!(listed(&root, Some(1)), ["a.json"]);
    assert!(root.list(Some(1), &mut |_| true).unwrap().skipped.is_empty());
}

#[test]
fn nothing_outside_the_root_is_opened() {
    let dir = scratch("outside");
    symlink("../secret.json", dir.join("in/link.json")).unwrap();
    symlink(dir.join("secret.json"), dir.join("in/absolute.json")).unwrap();
    symlink("a.json", dir.join("in/inner.json")).unwrap();
    let strict = Root::open(&dir.join("in"), Symlinks::Refuse).unwrap();
    let loose = Root::open(&dir.join("in"), Symlinks::Beneath).unwrap();
    for name in ["link.json", "absolute.json"] {
        assert_eq!(strict.open_file(Path::new(name)).unwrap_err(), OpenError::Skipped(SkipReason::Symlink));
        assert_eq!(loose.open_file(Path::new(name)).unwrap_err(), OpenError::Skipped(SkipReason::Outside));
    }
    assert_eq!(strict.open_file(Path::new("../secret.json")).unwrap_err(), OpenError::Skipped(SkipReason::Outside));
    assert_eq!(strict.open_file(Path::new("inner.json")).unwrap_err(), OpenError::Skipped(SkipReason::Symlink));
    assert!(loose.open_file(Path::new("inner.json")).is_ok());
    assert_eq!(listed(&loose, None), ["a.json", "inner.json", "sub/b.json"]);
    let skipped = strict.list(None, &mut |_| true).unwrap().skipped;
    assert_eq!(skipped.len(), 3);
    assert!(skipped.iter().all(|skip| skip.reason == SkipReason::Symlink));
}

#[test]
fn what_is_no_regular_file_is_skipped_and_does_not_block() {
    let dir = scratch("fifo");
    let inside = dir.join("in");
    rustix::fs::mknodat(rustix::fs::CWD, inside.join("pipe.json"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket.json")).unwrap();
    let root = Root::open(&inside, Symlinks::Refuse).unwrap();
    for name in ["pipe.json", "socket.json", "sub"] {
        let error = root.open_file(Path::new(name)).unwrap_err();
        assert_eq!(error, OpenError::Skipped(SkipReason::NotRegular), "{name}");
    }
    let found = root.list(None, &mut |_| true).unwrap();
    assert_eq!(found.files.len(), 2);
    assert_eq!(found.skipped.len(), 2);
}

#[test]
fn a_loop_of_links_ends() {
    let dir = scratch("loop");
    symlink(".", dir.join("in/again")).unwrap();
    symlink("../sub", dir.join("in/sub/once")).unwrap();
    symlink("..", dir.join("in/sub/up")).unwrap();
    symlink("b", dir.join("in/c")).unwrap();
    symlink("c", dir.join("in/b")).unwrap();
    let root = Root::open(&dir.join("in"), Symlinks::Beneath).unwrap();
    let found = root.list(None, &mut |_| true).unwrap();
    assert_eq!(found.files.len(), 2);
    assert_eq!(found.skipped.iter().filter(|skip| skip.reason == SkipReason::Symlink).count(), 5);
}

#[test]
fn a_missing_root_is_an_error_and_not_an_empty_listing() {
    let dir = scratch("missing");
    let error = Root::open(&dir.join("nothing"), Symlinks::Refuse).unwrap_err();
    assert_eq!(error.code(), "missing");
    let root = Root::open(&dir.join("in"), Symlinks::Refuse).unwrap();
    assert!(root.is_current());
    std::fs::rename(dir.join("in"), dir.join("moved")).unwrap();
    assert!(!root.is_current());
    std::fs::create_dir(dir.join("in")).unwrap();
    assert!(!root.is_current(), "another directory at the same path is not this one");
}

#[test]
fn a_link_swapped_in_between_never_leads_out() {
    let dir = scratch("swap");
    let inside = dir.join("in");
    let stop = AtomicBool::new(false);
    let root = Root::open(&inside, Symlinks::Refuse).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                symlink("../secret.json", inside.join("next")).unwrap();
                std::fs::rename(inside.join("next"), inside.join("victim.json")).unwrap();
                std::fs::write(inside.join("next"), "inside").unwrap();
                std::fs::rename(inside.join("next"), inside.join("victim.json")).unwrap();
            }
        });
        let mut text = String::new();
        for _ in 0..5_000 {
            if let Ok((mut file, _)) = root.open_file(Path::new("victim.json")) {
                text.clear();
                file.read_to_string(&mut text).unwrap();
                assert_ne!(text, "outside");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
