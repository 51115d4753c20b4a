//! Collections by pattern: those that are there and those that are made while the service runs become streams of their own, and what
//! happens between, restarts and deaths, loses nothing of them.

use bson::{Document, doc};
use landfall_tests::config::Config;
use landfall_tests::kill_point::{KillPoint, OF_DISCOVERY};
use landfall_tests::landfall::Landfall;
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_server::MongoServer;
use landfall_tests::oracle::Oracle;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(45);

/// One entry, a pattern. The oracle does not know patterns: it is asked about each collection as if it had an entry.
fn site(name: &str, database: &MongoDatabase) -> Site {
    let config = Config::new(name).mongo("app", database.name()).collection("logs", "app", "logs_*");
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema();
    site
}

fn insert(database: &MongoDatabase, collection: &str, documents: impl IntoIterator<Item = Document>) {
    let documents: Vec<Document> = documents.into_iter().collect();
    database.run(doc! { "insert": collection, "documents": documents });
}

fn numbered(range: std::ops::Range<i32>) -> impl Iterator<Item = Document> {
    range.map(|n| doc! { "_id": n, "text": format!("line {n}"), "at": { "n": n } })
}

/// The streams of these collections, and no others of the pattern, hold what the collections hold: documents and exact bytes.
fn has_landed(site: &Site, database: &MongoDatabase, collections: &[&str]) -> Result<(), String> {
    let mut target = site.database();
    let mut tables = Vec::new();
    for row in target.rows("select target_table from landfall.streams where stream like 'logs.%' order by 1") {
        tables.extend(row.into_iter().flatten());
    }
    let mut wanted: Vec<_> = collections.to_vec();
    wanted.sort_unstable();
    if tables != wanted {
        return Err(format!("tables {tables:?}, not {wanted:?}"));
    }
    let mut config = Config::new(site.config().name()).mongo("app", database.name());
    for collection in collections {
        let rows = target.try_rows(&format!("select count(_lf_raw), count(*) from public.\"{collection}\""));
        let rows = rows.map_err(|error| error.to_string())?;
        let count = Some(database.count(collection).to_string());
        if rows[0] != [count.clone(), count.clone()] {
            return Err(format!("{collection}: {:?} of {count:?}", rows[0]));
        }
        let entry = json!({ "select": collection, "table": collection });
        config = config.stream(&format!("logs.{collection}"), "app", entry);
    }
    let file = site.path("oracle.yaml");
    std::fs::write(&file, config.text()).unwrap();
    let verdict = Oracle::new(&file, site.login()).mongo(database.uri()).equal();
    if verdict.holds { Ok(()) } else { Err(format!("{verdict:?}")) }
}

#[track_caller]
fn expect_landed(site: &Site, database: &MongoDatabase, collections: &[&str], moment: &str) {
    has_landed(site, database, collections).unwrap_or_else(|why| panic!("{moment}: {why}"));
}

#[track_caller]
fn expect_soon_landed(site: &Site, database: &MongoDatabase, collections: &[&str], moment: &str) {
    let started = Instant::now();
    while let Err(why) = has_landed(site, database, collections) {
        assert!(started.elapsed() < SOON, "{moment}: {why}");
        std::thread::sleep(Duration::from_millis(150));
    }
}

fn finish(service: Landfall) {
    service.terminate();
    let finished = service.finish(Duration::from_secs(30)).expect(0);
    assert!(!finished.stderr.contains("panic"), "{}", finished.stderr);
}

#[test]
fn collections_that_match_land_and_so_do_those_that_are_made_meanwhile() {
    let database = MongoServer::shared().database("patterns");
    insert(&database, "logs_early", numbered(0..300));
    insert(&database, "logs_named", numbered(0..5));
    insert(&database, "other", numbered(0..5));
    insert(&database, "logs_with.dot", numbered(0..5));
    insert(&database, "staging", numbered(0..70));
    database.run(doc! { "create": "logs_view", "viewOn": "logs_early", "pipeline": [] });
    let site = site("mongo_patterns", &database);
    let named = site.config().clone().collection("named", "app", "logs_named");
    let mut site = site;
    site.reconfigure(named);
    site.apply_schema();
    let checked = site.finish(&["check"]);
    for said in ["collections that match logs_* now: 1", "logs_with.dot matches the pattern and is left out"] {
        assert!(checked.stdout.contains(said), "{}", checked.output());
    }
    let service = site.run_and_listen();
    expect_soon_landed(&site, &database, &["logs_early"], "what was there");
    for batch in 0..10 {
        insert(&database, "logs_late", numbered(batch * 50..batch * 50 + 50));
    }
    database.run(doc! { "update": "logs_late", "updates": [
    { "q": { "_id": { "$lt": 100 } }, "u": { "$set": { "text": "changed" } }, "multi": true } ] });
    database.run(doc! { "delete": "logs_late", "deletes": [{ "q": { "_id": { "$gte": 450 } }, "limit": 0 }] });
    database.run(doc! { "create": "logs_empty" });
    database.run(doc! { "create": "logs_late_view", "viewOn": "logs_early", "pipeline": [] });
    database.transaction(&[
        doc! { "insert": "logs_early", "documents": [{ "_id": "in a transaction" }] },
        doc! { "insert": "logs_together", "documents": [{ "_id": "in a transaction" }] },
    ]);
    let name = database.name();
    database.run_on_admin(doc! { "renameCollection": format!("{name}.staging"), "to": format!("{name}.logs_moved") });
    insert(&database, "logs_moved", numbered(70..80));
    let all = ["logs_early", "logs_empty", "logs_late", "logs_moved", "logs_together"];
    expect_soon_landed(&site, &database, &all, "what came meanwhile");
    assert_eq!(site.database().count("select count(*) from public.named"), 5, "an entry has its own stream");
    for table in ["other", "logs_view", "logs_late_view", "logs_with.dot"] {
        let there = site.database().count(&format!("select count(*) from pg_class where relname = '{table}'"));
        assert_eq!(there, 0, "{table}");
    }
    site.expect_stream("logs.logs_late", "following", |stream| stream.state() == "following" && stream.is_ready());
    let status = site.status().unwrap();
    let left_out = &status.json()["sources"][0]["left_out"];
    assert_eq!(left_out[0]["name"], "logs_with.dot", "{}", status.json());
    assert!(status.json()["sources"][0]["log"]["ignored"].as_u64() >= Some(0), "{}", status.json());
    let _ = site.finish(&["pause", "logs.logs_late"]).expect(0);
    insert(&database, "logs_late", numbered(1_000..1_001));
    site.expect_stream("logs.logs_late", "behind", |stream| stream.text().contains("\"queued\":1"));
    let _ = site.finish(&["resume"]).expect(0);
    expect_soon_landed(&site, &database, &all, "after a pause");
    finish(service);
    site.expect_stream("logs.logs_moved", "stopped", |stream| stream.state() == "stopped");
    site.catch_up();
    expect_landed(&site, &database, &all, "after another run");
}

#[test]
fn what_is_made_and_written_while_no_service_runs_lands_at_the_next_start() {
    let database = MongoServer::shared().database("patterns_restart");
    insert(&database, "logs_a", numbered(0..50));
    let site = site("mongo_patterns_restart", &database);
    site.catch_up();
    expect_landed(&site, &database, &["logs_a"], "after the first run");
    insert(&database, "logs_a", numbered(50..60));
    insert(&database, "logs_b", numbered(0..40));
    database.run(doc! { "delete": "logs_b", "deletes": [{ "q": { "_id": 7 }, "limit": 0 }] });
    site.catch_up();
    expect_landed(&site, &database, &["logs_a", "logs_b"], "after the second run");
    let service = site.run_and_listen();
    insert(&database, "logs_c", numbered(0..40));
    expect_soon_landed(&site, &database, &["logs_a", "logs_b", "logs_c"], "while the third runs");
    finish(service);
    insert(&database, "logs_b", numbered(100..110));
    insert(&database, "logs_c", numbered(100..110));
    site.catch_up();
    expect_landed(&site, &database, &["logs_a", "logs_b", "logs_c"], "after the fourth");
}

#[test]
fn a_death_right_after_the_first_event_of_a_new_collection_loses_nothing_of_it() {
    let database = MongoServer::shared().database("patterns_kills");
    insert(&database, "logs_0", numbered(0..10));
    let site = site("mongo_patterns_kills", &database);
    site.catch_up();
    let mut names = vec!["logs_0".to_owned()];
    let mut fired = Vec::new();
    for (round, name) in OF_DISCOVERY.iter().copied().map(Some).chain([None]).enumerate() {
        let collection = format!("logs_{}", round + 1);
        let launch = site.command(&["run"]);
        let launch = match name {
            Some(name) => launch.kill_at(&KillPoint { name, hit: 1 }),
            None => launch,
        };
        let mut service = launch.start();
        let socket = site.path("state/control.sock");
        wait_until(SOON, "the service listens", || socket.exists() || !service.is_running());
        wait_until(SOON, "the source is followed or the service is dead", || {
            service.stderr().contains("following the changes") || !service.is_running()
        });
        insert(&database, &collection, numbered(0..1));
        if let Some(name) = name
            && service.ends_within(Duration::from_secs(10))
        {
            fired.push(name);
        }
        service.kill();
        insert(&database, &collection, numbered(1..30));
        names.push(collection);
        site.catch_up();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        expect_landed(&site, &database, &names, &format!("killed at {name:?}"));
    }
    assert_eq!(fired, OF_DISCOVERY, "every point is reached");
}

#[test]
fn a_table_that_may_not_be_made_halts_its_stream_until_it_may() {
    let database = MongoServer::shared().database("patterns_rights");
    insert(&database, "logs_a", numbered(0..20));
    let mut site = site("mongo_patterns_rights", &database);
    let admin = site.login().clone();
    site.catch_up();
    site.database().run(
        "drop role if exists pattern_runner; create role pattern_runner login password 'canary-runner-pw'; \
         grant usage on schema landfall, public to pattern_runner; \
         grant select, insert, update, delete on all tables in schema landfall to pattern_runner; \
         grant usage on all sequences in schema landfall to pattern_runner; \
         alter table public.logs_a owner to pattern_runner",
    );
    site.reach(admin.as_role("pattern_runner", "canary-runner-pw"));
    let service = site.run_and_listen();
    insert(&database, "logs_a", numbered(20..30));
    insert(&database, "logs_b", numbered(0..20));
    let halted = site.expect_stream("logs.logs_b", "halted", |stream| stream.state() == "halted");
    assert!(halted.detail().contains("landfall schema apply"), "{}", halted.text());
    wait_until(SOON, "other streams go on", || site.database().count("select count(*) from public.logs_a") == 30);
    site.reach(admin);
    let planned = site.finish(&["schema", "plan"]).expect(0);
    assert!(planned.stdout.contains("logs_b"), "{}", planned.output());
    site.database().run("grant create on schema public to pattern_runner");
    insert(&database, "logs_b", numbered(20..25));
    expect_soon_landed(&site, &database, &["logs_a", "logs_b"], "after the table was made");
    finish(service);
}

/// Most collections that are made under fire: each has a table, and the proof reads all of them.
const UNDER_FIRE: usize = 40;

#[test]
fn collections_that_are_made_all_the_time_survive_a_service_that_is_killed_all_the_time() {
    let database = MongoServer::shared().database("patterns_fire");
    insert(&database, "logs_0", numbered(0..10));
    let site = site("mongo_patterns_fire", &database);
    let (mut seed, number) = Seed::from_env(11);
    let mut written = vec![("logs_0".to_owned(), 10_i32)];
    for life in 0..8 {
        let mut service = site.run();
        let until = Instant::now() + Duration::from_millis(seed.range(300, 4_000));
        while Instant::now() < until {
            let made = written.len() < UNDER_FIRE && seed.one_in(4);
            if made {
                written.push((format!("logs_{life}_{}", written.len()), 0));
            }
            let at = if made { written.len() - 1 } else { seed.below(written.len() as u64) as usize };
            let (name, next) = &mut written[at];
            insert(&database, name, numbered(*next..*next + 3));
            database.run(doc! { "delete": name.as_str(), "deletes": [{ "q": { "_id": *next }, "limit": 0 }] });
            *next += 3;
        }
        service.kill();
    }
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() > 10, "collections were made: {names:?}");
    site.catch_up();
    expect_landed(&site, &database, &names, &format!("seed {number}, after eight lives"));
}
