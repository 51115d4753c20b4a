//! What is handed out: the archive and the package hold what they say, are the same bytes each time, and no program leaves that carries its builder's
//! paths or needs more of a machine than we say.
//!
//! Packed here is the process under test, since a release build takes longer than all proofs: script, contents and linking are the same. The release
//! program itself is looked at by `make dist`, with the script that is proven here.

use crate::files::{folder, none, place, run, text};
use landfall_tests::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Some second of 2026, so that no commit decides about a test.
const EPOCH: &str = "1780000000";

fn pack(out: &Path) {
    let done = Command::new(place("dist/pack.sh"))
        .arg(repository::program())
        .arg(out)
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .output()
        .expect("the script can be run");
    assert!(done.status.success(), "{}", said(&done));
}

fn fit(program: &Path, scripts: &Path) -> Output {
    Command::new(scripts.join("fit.sh")).arg(program).output().expect("the script can be run")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Files below a folder, by their paths in it, sorted.
fn below(root: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("what was unpacked can be listed").flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => found.push(path.strip_prefix(root).expect("below").display().to_string()),
            }
        }
    }
    found.sort();
    found
}

fn missing(found: &[String], wanted: &[&str]) -> Vec<String> {
    wanted.iter().filter(|path| !found.iter().any(|file| file == *path)).map(|path| (*path).to_owned()).collect()
}

#[test]
fn what_is_packed_twice_is_the_same_bytes_and_holds_everything() {
    let at = folder("release");
    let (first, second) = (at.join("first"), at.join("second"));
    pack(&first);
    pack(&second);
    let archive = format!("landfall-{}-x86_64-unknown-linux-gnu", version());
    let package = format!("landfall_{}_amd64.deb", version());
    let names = below(&first);
    assert_eq!(names, ["SHA256SUMS".to_owned(), format!("{archive}.tar.gz"), package.clone()]);
    for name in &names {
        assert!(fs::read(first.join(name)).unwrap() == fs::read(second.join(name)).unwrap(), "{name} differs");
    }
    run(Path::new("sha256sum"), &["--check", "--strict", "SHA256SUMS"], &first);
    run(Path::new("tar"), &["-xzf", &format!("first/{archive}.tar.gz")], &at);
    assert_archive(&at.join(&archive));
    run(Path::new("dpkg-deb"), &["--raw-extract", &format!("first/{package}"), "package"], &at);
    assert_package(&at.join("package"));
}

fn assert_archive(root: &Path) {
    let wanted = [
        "landfall",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "THIRD-PARTY.txt",
        "completions/bash/landfall",
        "completions/zsh/_landfall",
        "completions/fish/landfall.fish",
        "man/man1/landfall.1",
        "man/man1/landfall-run.1",
        "systemd/landfall.service",
        "systemd/landfall.sysusers.conf",
        "systemd/landfall.yaml",
        "prometheus/alerts.yaml",
        "prometheus/recording.yaml",
        "grafana/landfall.json",
    ];
    none("the archive holds it", &missing(&below(root), &wanted));
    assert_eq!(run(&root.join("landfall"), &["--version"], root), format!("landfall {}\n", version()));
    let sections = run(Path::new("readelf"), &["--sections", "--wide", "landfall"], root);
    // A program that is less optimised is loaded with a word for a debugger; its tables are gone all the same.
    let kept = [".debug_info", ".debug_line", ".symtab"].into_iter().find(|name| sections.contains(name));
    assert_eq!(kept, None, "what is handed out is stripped");
    let notice = fs::read_to_string(root.join("THIRD-PARTY.txt")).expect("licences of others");
    for name in [
        "\ntokio 1.",
        "\nring 0.",
        "\nlibsqlite3-sys 0.",
        "\nzstd-sys 2.",
        "\nmongodb 3.",
        "Permission is hereby granted",
    ] {
        assert!(notice.contains(name), "licences of others: {name:?}");
    }
    let proofs = notice.lines().any(|line| line.starts_with("proptest ") || line.starts_with("criterion "));
    assert!(!proofs, "what only proofs need is in no program");
}

fn assert_package(root: &Path) {
    let wanted = [
        "usr/bin/landfall",
        "usr/lib/systemd/system/landfall.service",
        "usr/lib/sysusers.d/landfall.conf",
        "usr/share/man/man1/landfall.1.gz",
        "usr/share/bash-completion/completions/landfall",
        "usr/share/doc/landfall/copyright",
        "usr/share/doc/landfall/THIRD-PARTY.txt",
        "usr/share/doc/landfall/examples/landfall.yaml",
        "DEBIAN/control",
        "DEBIAN/postinst",
    ];
    none("the package holds it", &missing(&below(root), &wanted));
    let unit = fs::read_to_string(root.join("usr/lib/systemd/system/landfall.service")).expect("the unit");
    assert!(unit.contains("\nExecStart=/usr/bin/landfall "), "the unit starts the program where the package puts it");
    let control = fs::read_to_string(root.join("DEBIAN/control")).expect("the control file");
    assert!(control.contains(&format!("\nVersion: {}\n", version())) && !control.contains("@SIZE@"), "{control}");
    let oldest = text("dist/fit.sh").lines().find_map(|line| line.strip_prefix("OLDEST_GLIBC=").map(str::to_owned));
    let oldest = oldest.expect("the oldest C library is named");
    assert!(
        control.contains(&format!("libc6 (>= {oldest})")),
        "the package asks for the C library that programs may need"
    );
    assert!(
        place("docs/deployment.md").exists() && text("docs/deployment.md").contains(&format!("glibc {oldest}")),
        "said"
    );
}

#[test]
fn a_program_that_carries_paths_is_not_handed_out_and_needs_nothing_unusual() {
    let done = fit(&repository::program(), &place("dist"));
    let said = said(&done);
    assert_eq!(done.status.code(), Some(1), "built for proofs, with paths of this machine in it: {said}");
    let others: Vec<String> =
        said.lines().filter(|line| !line.starts_with("unfit: path ")).map(str::to_owned).collect();
    none("libraries and C library are as we say", &others);
    assert!(said.contains("unfit: path registry/src"), "{said}");
}

#[test]
fn a_library_that_is_not_everywhere_is_found() {
    let at = folder("release-library");
    fs::write(at.join("lib.c"), "int one(void) { return 1; }").unwrap();
    fs::write(at.join("main.c"), "int one(void); int main(void) { return one() - 1; }").unwrap();
    let cc = Path::new("cc");
    run(cc, &["-shared", "-fPIC", "-Wl,-soname,libunusual.so.7", "-o", "libunusual.so", "lib.c"], &at);
    run(cc, &["-o", "needy", "main.c", "-L.", "-lunusual"], &at);
    let done = fit(&at.join("needy"), &place("dist"));
    assert_eq!((said(&done).trim(), done.status.code()), ("unfit: library libunusual.so.7", Some(1)));
}

/// A repository of one small program whose line tables hold where it was built.
fn small_repository() -> PathBuf {
    let at = folder("release-paths");
    fs::create_dir_all(at.join("deploy/dist")).expect("a folder of this test is writable");
    fs::create_dir_all(at.join("src")).expect("a folder of this test is writable");
    for script in ["cargo.sh", "fit.sh"] {
        fs::copy(place("dist").join(script), at.join("deploy/dist").join(script))
            .expect("a folder of this test is writable");
    }
    let manifest = "[package]\nname = \"small\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[profile.release]\ndebug = \"line-tables-only\"\n";
    fs::write(at.join("Cargo.toml"), manifest).expect("a folder of this test is writable");
    fs::write(at.join("Cargo.lock"), "version = 4\n\n[[package]]\nname = \"small\"\nversion = \"0.0.0\"\n")
        .expect("a folder of this test is writable");
    let there = at.join("src/there.rs");
    fs::write(&there, "pub fn place() -> &'static str { file!() }").expect("a folder of this test is writable");
    let main =
        format!("#[path = \"{}\"]\nmod there;\nfn main() {{ println!(\"{{}}\", there::place()); }}", there.display());
    fs::write(at.join("src/main.rs"), main).expect("a folder of this test is writable");
    at
}

#[test]
fn what_releases_are_built_with_keeps_the_builder_s_paths_out() {
    let at = small_repository();
    let scripts = at.join("deploy/dist");
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    run(&cargo, &["build", "--release", "--locked", "--offline", "--target-dir", "plain"], &at);
    let plain = fit(&at.join("plain/release/small"), &scripts);
    assert!(
        said(&plain).contains(&format!("unfit: path {}/", at.canonicalize().unwrap().display())),
        "{}",
        said(&plain)
    );
    run(&scripts.join("cargo.sh"), &["build", "--release", "--locked", "--offline", "--target-dir", "ours"], &at);
    let ours = fit(&at.join("ours/release/small"), &scripts);
    assert!(ours.status.success(), "{}", said(&ours));
    assert_eq!(run(&at.join("ours/release/small"), &[], &at), "/landfall/src/there.rs\n");
}
