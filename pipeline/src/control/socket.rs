//! Where the socket is, and how it comes into being.
//!
//! A socket's path has at most 107 bytes. A state directory with a longer path is opened, and the socket is named through
//! `/proc/self/fd`, so that no state directory is too deep.

use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Name in the state directory.
pub const NAME: &str = "control.sock";
/// `sun_path` has 108 bytes, one of them for the end.
const MAX_PATH: usize = 107;

/// The control socket of a state directory.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    named: PathBuf,
    /// Keeps `/proc/self/fd/N` in `named` true.
    _directory: Option<OwnedFd>,
}

impl ControlSocket {
    /// The socket in `state_dir`, which must exist.
    pub fn of(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(NAME);
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(Self { named: path.clone(), path, _directory: None });
        }
        let directory = rustix::fs::open(state_dir, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let named = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()));
        Ok(Self { path, named, _directory: Some(directory) })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Listens. Call only as the holder of the state directory's lock: a socket that stands there is then a dead process's and
    /// is replaced.
    pub fn listen(&self) -> io::Result<UnixListener> {
        match std::fs::remove_file(&self.named) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&self.named)?;
        // Between the two calls the directory's 0700 protects it.
        std::fs::set_permissions(&self.named, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Connects; `None` when nobody listens.
    pub async fn connect(&self) -> io::Result<Option<UnixStream>> {
        match UnixStream::connect(&self.named).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the socket away at the end of the service.
    pub fn remove(&self) {
        // Left behind it does no harm: the next service replaces it, and clients find nobody.
        let _ = std::fs::remove_file(&self.named);
    }
}
