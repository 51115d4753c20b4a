//! Files are ours alone, and the target's role needs no more than it is given. Run as somebody who is not root.

use landfall_tests::config::Config;
use landfall_tests::site::Site;
use landfall_tests::unprivileged::Unprivileged;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn site(name: &str) -> Site {
    let site = Site::new(Config::new(name).lines("log", "log.ndjson").stream("events", "log", json!({ "key": "id" })));
    std::fs::write(site.path("log.ndjson"), "{\"id\":1}\n").unwrap();
    site
}

fn modes(path: &Path, found: &mut Vec<(String, u32)>) {
    let mode = std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    found.push((path.to_string_lossy().into_owned(), mode));
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            modes(&entry.path(), found);
        }
    }
}

#[test]
fn the_state_directory_is_ours_alone() {
    let site = site("modes");
    let user = Unprivileged::find();
    user.own_all(site.directory());
    for words in [&["schema", "apply"][..], &["run", "--until-caught-up"]] {
        let _ = site.command(words).as_user(user).finish(SOON).expect(0);
    }
    site.expect_equal("as an unprivileged user");
    let mut found = Vec::new();
    modes(&site.path("state"), &mut found);
    assert!(found.len() > 2, "{found:?}");
    for (path, mode) in found {
        assert_eq!(mode & 0o077, 0, "{path} has mode {mode:o}");
    }
}

#[test]
fn a_state_directory_that_others_may_write_is_refused() {
    let site = site("open_state");
    let user = Unprivileged::find();
    let _ = site.finish(&["schema", "apply"]).expect(0);
    std::fs::create_dir(site.path("state")).unwrap();
    user.own_all(site.directory());
    for mode in [0o777, 0o770, 0o722] {
        std::fs::set_permissions(site.path("state"), std::fs::Permissions::from_mode(mode)).unwrap();
        let finished = site.command(&["run", "--until-caught-up"]).as_user(user).finish(SOON);
        assert!(matches!(finished.code, Some(1 | 2 | 4)), "mode {mode:o}: {}", finished.output());
        assert!(finished.output().contains("state"), "{}", finished.output());
    }
}

#[test]
fn a_state_directory_of_somebody_else_is_refused() {
    let site = site("foreign_state");
    let user = Unprivileged::find();
    let _ = site.finish(&["schema", "apply"]).expect(0);
    user.own_all(site.directory());
    std::fs::create_dir(site.path("state")).unwrap();
    std::fs::set_permissions(site.path("state"), std::fs::Permissions::from_mode(0o755)).unwrap();
    if !landfall_tests::unprivileged::is_root() {
        panic!("not tested: only root can give a directory to somebody else");
    }
    let finished = site.command(&["run", "--until-caught-up"]).as_user(user).finish(SOON);
    assert!(matches!(finished.code, Some(1 | 2 | 4)), "{}", finished.output());
}

#[test]
fn the_least_role_suffices_to_run() {
    let mut site = site("least_role");
    site.apply_schema();
    site.database().run(
        "drop role if exists runner; create role runner login password 'canary-runner-pw';
         revoke create on schema public from public; revoke all on schema public from public;
         grant connect on database least_role to runner;
         grant usage on schema public, landfall to runner;
         grant select, insert, update, delete on all tables in schema public to runner;
         grant select, insert, update, delete on all tables in schema landfall to runner;
         grant usage on all sequences in schema landfall to runner;",
    );
    let admin = site.login().clone();
    site.reach(admin.as_role("runner", "canary-runner-pw"));
    let finished = site.finish(&["run", "--until-caught-up"]);
    // Building the key after a bulk fill needs the owner: a role that is not the owner must do without, or be told so.
    let first = finished.code;
    assert!(matches!(first, Some(0 | 1 | 4)), "{}", finished.output());
    if first != Some(0) {
        assert!(finished.output().contains("owner"), "it says which right is missing: {}", finished.output());
        site.reach(admin.clone());
        site.catch_up();
        site.reach(admin.as_role("runner", "canary-runner-pw"));
    }
    std::fs::write(site.path("log.ndjson"), "{\"id\":1}\n{\"id\":2}\n").unwrap();
    site.catch_up();
    site.reach(admin);
    site.expect_equal("with the least role");
}
