//! The user that servers and permission tests run as: PostgreSQL refuses to run as root, and root passes every file mode.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprivileged {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Whether we are root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Unprivileged {
    /// `postgres` if there is such a user, else `nobody`; for those who are not root, themselves.
    pub fn find() -> Self {
        if !is_root() {
            return Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        }
        let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        Self::named(&passwd, "postgres")
            .or_else(|| Self::named(&passwd, "nobody"))
            .expect("there is a user postgres or nobody to run as")
    }

    fn named(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let known = fields.first() == Some(&name) && fields.len() > 3;
            known.then(|| Some(Self { uid: fields[2].parse().ok()?, gid: fields[3].parse().ok()? }))?
        })
    }

    /// Makes `command` run as this user.
    pub fn run<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to this user.
    pub fn own(&self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).expect("root can give files away");
    }

    /// Gives `path` and all below it to this user.
    pub fn own_all(&self, path: &Path) {
        self.own(path);
        if path.is_dir() {
            for entry in std::fs::read_dir(path).expect("a directory of ours can be listed").flatten() {
                self.own_all(&entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Unprivileged;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "postgres-old:x:1:2::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(Unprivileged::named(passwd, "postgres"), Some(Unprivileged { uid: 101, gid: 104 }));
        assert_eq!(Unprivileged::named(passwd, "nobody"), None);
    }
}
