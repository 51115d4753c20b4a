//! A small file system of its own, for what happens when there is no room.

use crate::unprivileged::is_root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of a size like `24m`, making the mount point where it is missing.
    pub fn mount(at: &Path, size: &str) -> Self {
        assert!(is_root(), "not tested: mounting a small tmpfs needs root");
        std::fs::create_dir_all(at).expect("a mount point can be made");
        let options = format!("size={size},mode=0700");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "landfall-proof"]).arg(at).output();
        let done = done.expect("mount can be run");
        assert!(done.status.success(), "not tested: no tmpfs here: {}", String::from_utf8_lossy(&done.stderr));
        Self(at.to_path_buf())
    }

    /// Takes room away, in a file that is given back.
    pub fn ballast(&self, bytes: usize) -> PathBuf {
        let path = self.0.join("ballast");
        std::fs::write(&path, vec![1; bytes]).expect("there is room for the ballast");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
