//! Certificates for one test: authorities and server certificates, made by `openssl` in a directory of the test's own.

use crate::run_dir;
use crate::unprivileged::Unprivileged;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Long enough for a test that was stopped in a debugger, short enough that a leaked key is worth nothing.
const DAYS: &str = "2";

/// A directory of certificates.
#[derive(Debug)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// A new directory.
    pub fn new(name: &str) -> Self {
        let dir = run_dir::fresh(name);
        Unprivileged::find().own(&dir);
        Self { dir }
    }

    /// A new authority; the path of its certificate.
    pub fn authority(&self, name: &str) -> PathBuf {
        let subject = format!("/CN={name}");
        self.openssl(&[
            &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", DAYS, "-subj", &subject],
            &["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"],
            &["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")],
        ]);
        self.path(&format!("{name}.pem"))
    }

    /// A certificate for a server of these names (`DNS:…`, `IP:…`), signed by `authority`; the paths of certificate and key. The
    /// key is the servers' user's alone.
    pub fn server(&self, name: &str, authority: &str, names: &str) -> (PathBuf, PathBuf) {
        self.issue(name, authority, &format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"))
    }

    /// A certificate of a client, signed by `authority`; the path of a file with certificate and key.
    pub fn client(&self, name: &str, authority: &str) -> PathBuf {
        let (certificate, key) = self.issue(name, authority, "extendedKeyUsage=clientAuth\n");
        let read = |file: &Path| std::fs::read_to_string(file).expect("a file that was just made can be read");
        let both = self.path(&format!("{name}-both.pem"));
        std::fs::write(&both, read(&key) + &read(&certificate)).expect("a file can be written");
        both
    }

    fn issue(&self, name: &str, authority: &str, extensions: &str) -> (PathBuf, PathBuf) {
        let (request, key) = (format!("{name}.csr"), format!("{name}.key"));
        self.openssl(&[
            &["req", "-newkey", "rsa:2048", "-nodes", "-sha256", "-subj", &format!("/CN={name}")],
            &["-keyout", &key, "-out", &request],
        ]);
        let file = format!("{name}.ext");
        std::fs::write(self.path(&file), extensions).expect("a file can be written");
        self.openssl(&[
            &["x509", "-req", "-in", &request, "-sha256", "-days", DAYS, "-extfile", &file],
            &["-CA", &format!("{authority}.pem"), "-CAkey", &format!("{authority}.key"), "-CAcreateserial"],
            &["-out", &format!("{name}.pem")],
        ]);
        Unprivileged::find().own(&self.path(&key));
        (self.path(&format!("{name}.pem")), self.path(&key))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Runs openssl in the directory.
    fn openssl(&self, words: &[&[&str]]) {
        let mut command = Command::new("openssl");
        command.args(words.iter().copied().flatten()).current_dir(Path::new(&self.dir));
        let done = command.output().expect("openssl can be run: make setup");
        assert!(done.status.success(), "openssl: {}", String::from_utf8_lossy(&done.stderr));
    }
}
