//! Who may read the configuration and who may write the state directory (S14).

use super::place::Place;
use super::tree::{Node, Value};
use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What makes a configuration file worth protecting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// A password stands in the file itself.
    InlinePassword {
        /// Where.
        at: Place,
        /// Under which key.
        key: String,
    },
}

/// Why a state directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be made or looked at.
    #[error("the state directory {} cannot be used: {}", path.display(), error.kind())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something else stands there.
    #[error("the state directory {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Others may write it.
    #[error("others may write the state directory {} (mode {mode:04o})", path.display())]
    OthersWrite {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("the state directory {} belongs to another user (uid {owner})", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
}

impl Refusal {
    /// What the operator can do.
    pub fn suggestion(&self) -> String {
        match self {
            Self::Unusable { path, .. } => format!("make {} a directory that this user may write", path.display()),
            Self::NotADirectory(path) => {
                format!("name another directory in state.dir, or move {} away", path.display())
            }
            Self::OthersWrite { path, .. } => format!("chmod 0700 {}", path.display()),
            Self::Foreign { path, .. } => format!("run as the owner of {}, or name another state.dir", path.display()),
        }
    }
}

/// Makes the state directory (mode 0700) where it is missing, and refuses one that others may write or own.
pub fn prepare_state_dir(path: &Path) -> Result<(), Refusal> {
    let unusable = |error| Refusal::Unusable { path: path.to_path_buf(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(path).or_else(|error| match error.kind() {
        // Something stands there: `inspect_state_dir` says what.
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(unusable(error)),
    })?;
    inspect_state_dir(path)
}

/// Refuses a state directory that others may write or own. It must exist.
pub fn inspect_state_dir(path: &Path) -> Result<(), Refusal> {
    let unusable = |error| Refusal::Unusable { path: path.to_path_buf(), error };
    let found = std::fs::metadata(path).map_err(unusable)?;
    let mode = found.mode() & 0o7777;
    if !found.is_dir() {
        return Err(Refusal::NotADirectory(path.to_path_buf()));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(Refusal::Foreign { path: path.to_path_buf(), owner: found.uid() });
    }
    if mode & 0o022 != 0 {
        return Err(Refusal::OthersWrite { path: path.to_path_buf(), mode });
    }
    Ok(())
}

/// Whether a password is written out in this connection string: neither `${NAME}` nor `file:PATH`.
pub fn holds_password(node: &Node) -> bool {
    let Value::Scalar { text, .. } = &node.value else { return false };
    if text.starts_with("file:") {
        return false;
    }
    let in_url =
        text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).and_then(|(user, _)| user.split_once(':'));
    let in_pairs = text.split_once("password=").map(|(_, rest)| ("", rest));
    in_url.or(in_pairs).is_some_and(|(_, password)| !password.is_empty() && !password.starts_with("${"))
}

/// What to say about the modes of a configuration file that holds a password.
pub fn exposed(file: &Metadata) -> Option<&'static str> {
    let mode = file.mode();
    if mode & 0o002 != 0 {
        Some("everybody may write this file")
    } else if mode & 0o004 != 0 {
        Some("everybody may read this file")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_state_directory_that_others_may_write_is_refused() {
        let root = crate::config::tests::scratch("permission");
        let path = root.join("state");
        prepare_state_dir(&path).expect("a fresh directory is fine");
        assert_eq!(fs::metadata(&path).expect("made").mode() & 0o777, 0o700);
        for mode in [0o720, 0o702, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
            assert!(matches!(prepare_state_dir(&path), Err(Refusal::OthersWrite { .. })), "{mode:o}");
        }
        fs::remove_dir(&path).expect("remove");
        fs::write(&path, "").expect("write");
        assert!(matches!(prepare_state_dir(&path), Err(Refusal::NotADirectory(_))));
    }
}
