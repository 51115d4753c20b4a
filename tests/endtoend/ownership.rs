//! One owner: a second instance exits 5 and touches nothing.

use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::manner::Manner;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_for;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn site(name: &str) -> (Site, DocumentStore) {
    let site = Site::new(Config::new(name).document("store", "store.json").stream(
        "users",
        "store",
        json!({ "select": "/users", "key": "id" }),
    ));
    let document = DocumentStore::create(&site.path("store.json"), &["users"], 50, Seed::new(1));
    site.apply_schema_with_audit();
    (site, document)
}

/// Every file below, with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.is_file() {
            found.insert(path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// The files of a service that has nothing to do, once it has written what it still had to write (watermark, index).
fn settled(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut before = contents(folder);
    let still = wait_for(Duration::from_secs(60), || {
        std::thread::sleep(Duration::from_secs(3));
        let now = contents(folder);
        let same = now == before;
        before = now;
        same.then_some(())
    });
    still.expect("an idle service comes to rest");
    before
}

#[test]
fn a_second_instance_exits_five_and_touches_nothing() {
    let (site, mut document) = site("second");
    let service = site.run();
    site.expect_soon_equal("the first revision");
    let owner = "select string_agg(owner_nonce::text, ',' order by partition) from landfall.checkpoints";
    let mut database = site.database();
    let nonce = database.value(owner);
    let before = settled(&site.path("state"));
    for words in [&["run"][..], &["run", "--until-caught-up"][..]] {
        let second = site.finish(words).expect(5);
        assert!(second.took < Duration::from_secs(10), "it does not wait: {second:?}");
    }
    let now = contents(&site.path("state"));
    let changed: Vec<_> =
        now.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
    assert!(changed.is_empty() && now.len() == before.len(), "the state directory is not as it was: {changed:?}");
    assert_eq!(database.value(owner), nonce, "the owner is who it was");
    document.edit();
    document.write(Manner::Atomic);
    site.expect_soon_equal("the first instance goes on");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

#[test]
fn of_many_started_at_once_one_runs() {
    let (site, _document) = site("many");
    let mut started: Vec<_> = (0..8).map(|_| site.run()).collect();
    site.expect_soon_equal("one of them runs");
    landfall_tests::wait::wait_until(Duration::from_secs(30), "seven have ended", || {
        started.iter_mut().filter_map(|one| (!one.is_running()).then_some(())).count() == 7
    });
    for mut one in started {
        if one.is_running() {
            one.terminate();
            let _ = one.finish(Duration::from_secs(30)).expect(0);
        } else {
            let _ = one.finish(Duration::from_secs(1)).expect(5);
        }
    }
    site.expect_witness("after eight starts");
}

#[test]
fn a_killed_owner_leaves_no_lock_behind() {
    let (site, _document) = site("killed_owner");
    let mut service = site.run();
    site.expect_soon_equal("the first revision");
    service.kill();
    site.catch_up();
    site.expect_witness("after a kill and a start");
}

#[test]
fn a_frozen_owner_writes_nothing_after_another_took_over() {
    let (mut site, mut document) = site("zombie");
    let zombie = site.run();
    site.expect_soon_equal("the first revision");
    zombie.freeze();
    // Another machine: its own state directory, the same pipeline and target. It must not pass for the same queue.
    let config = site.config().clone().entry("state", "dir", json!("./state-of-another"));
    site.reconfigure(config);
    document.edit();
    document.write(Manner::Atomic);
    let other = site.finish(&["run", "--until-caught-up"]);
    assert!(matches!(other.code, Some(4 | 5)), "it is another queue, or another owner is alive: {}", other.output());
    zombie.thaw();
    site.expect_soon_equal("the first owner goes on");
    site.expect_witness("after the freeze");
    zombie.terminate();
    let _ = zombie.finish(Duration::from_secs(30));
}

#[test]
fn a_look_at_the_status_never_keeps_the_service_from_starting() {
    let (site, _document) = site("looked_at");
    let mut looks: Vec<_> = (0..4).map(|_| site.command(&["status"]).start()).collect();
    let mut service = site.run();
    looks.extend((0..4).map(|_| site.command(&["status"]).start()));
    for look in looks {
        let _ = look.finish(Duration::from_secs(30)).expect(0);
    }
    site.expect_soon_equal("the service runs");
    assert!(service.is_running(), "{}", service.stderr());
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
