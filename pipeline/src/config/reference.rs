//! `${NAME}` inside a text and `file:PATH` as a whole secret, resolved after the file was parsed.
//!
//! Keeps S19 of the security list: what a variable or file holds is text and can never become YAML; nothing is executed. Keeps S5:
//! resolved text is never part of a message. `$${` stands for `${`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest secret read from a file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where variables come from and what paths are relative to. No ambient state: `main` fills it, tests make one.
pub struct Surroundings<'a> {
    /// Directory of the configuration file.
    pub base: PathBuf,
    /// Looks a variable up.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Why a reference does not resolve: what is wrong, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unresolved {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub instead: String,
}

impl Unresolved {
    fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into() }
    }
}

/// Replaces every `${NAME}` of `text`.
pub fn expand(text: &str, surroundings: &Surroundings<'_>) -> Result<String, Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &reference[2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            return Err(Unresolved::new("`${` without its `}`", "`${NAME}`, or `$${` for the two characters"));
        };
        out.push_str(&variable(&reference[2..end], surroundings)?);
        rest = &reference[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(name: &str, surroundings: &Surroundings<'_>) -> Result<String, Unresolved> {
    let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !valid {
        return Err(Unresolved::new("this is not the name of a variable", "`${NAME}` with A-Z a-z 0-9 _"));
    }
    (surroundings.variable)(name).ok_or_else(|| {
        let instead = format!("the name of a variable that is set (or set it: export {name}=…)");
        Unresolved::new(format!("the environment variable {name} is not set"), instead)
    })
}

/// The text of a secret file, without the line end most editors add.
pub fn secret_file(path: &str, surroundings: &Surroundings<'_>) -> Result<String, Unresolved> {
    let path = resolve(path, &surroundings.base);
    let unread = |error: std::io::Error| {
        let what = format!("the secret file {} cannot be read: {}", path.display(), error.kind());
        Unresolved::new(what, "`file:PATH` of a file this user may read")
    };
    let mut text = String::new();
    let file = File::open(&path).map_err(unread)?;
    let read = file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
    if read as u64 > MAX_SECRET_BYTES {
        return Err(Unresolved::new(
            format!("the secret file {} is over 64 KiB", path.display()),
            "a file with one secret",
        ));
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// A path of the configuration: relative to the configuration file's directory.
pub fn resolve(path: &str, base: &Path) -> PathBuf {
    let path = Path::new(path);
    let relative = path.strip_prefix(".").unwrap_or(path);
    if relative.as_os_str().is_empty() { base.to_path_buf() } else { base.join(relative) }
}
