//! Six writers on hot keys while a database is copied and followed; the service is killed every few seconds, at random and at named
//! points, and the source itself is restarted: nothing is lost, nothing happens twice, nothing is parked.
//!
//! `LANDFALL_MONGO_SECONDS` says how long (default 60), `SEED` with what.

use crate::kill_rounds::say;
use landfall_tests::config::Config;
use landfall_tests::kill_point::{KillPoint, OF_COPIES};
use landfall_tests::mongo_database::MongoDatabase;
use landfall_tests::mongo_ids::document_with;
use landfall_tests::mongo_server::{MongoServer, MongoSettings};
use landfall_tests::mongo_writers::{MongoWriters, Workload};
use landfall_tests::raw_bson::RawValue;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use serde_json::json;
use std::time::{Duration, Instant};

const DEFAULT_SECONDS: u64 = 60;
/// Records of the collection whose copy is to be interrupted.
const TO_COPY: i64 = 40_000;
/// A named point not reached by then is not reached in this life; the service is killed anyway.
const POINT_PATIENCE: Duration = Duration::from_secs(6);
const POINTS: &[&str] = &[
    "capture::before_append",
    "capture::after_append",
    "queue::after_write",
    "sink::before_commit",
    "sink::after_commit",
    "worker::after_transform",
];

fn site(database: &MongoDatabase) -> Site {
    let config = Config::new("mongo_kills")
        .source(
            "app",
            json!({
                "kind": "mongodb", "uri": "${MONGODB_URI_UNDER_TEST}", "database": database.name(),
                "snapshot": { "readers": 2, "rows_per_second": 6_000 },
            }),
        )
        .collection("hot", "app", "hot")
        .collection("warm", "app", "warm")
        .collection("bulk", "app", "bulk");
    let site = Site::new(config).mongo(database.uri());
    site.apply_schema_with_audit();
    site
}

#[test]
fn a_database_under_six_writers_survives_kills_of_both_sides() {
    let seconds = std::env::var("LANDFALL_MONGO_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS));
    let Some(server) = MongoServer::start_own("kills", MongoSettings::default().synced()) else { return };
    let database = server.database("kills");
    let bulk: Vec<_> =
        (0..TO_COPY).map(|n| document_with(&RawValue::int64(n), &RawValue::string("to be copied"))).collect();
    database.insert_raw("bulk", &bulk);
    let (_, number) = Seed::from_env(1);
    let mut seed = Seed::new(number);
    let site = site(&database);
    let writers = MongoWriters::start(&Workload::hot(&database, &["hot", "warm"]), &mut seed);
    let points: Vec<&str> = OF_COPIES.iter().chain(POINTS).copied().collect();
    let (mut life, mut fired, mut restarts) = (0_usize, Vec::new(), 0);
    while Instant::now() < until || life < points.len() * 2 {
        let named = life.is_multiple_of(2).then(|| points[life / 2 % points.len()]);
        let launch = site.command(&["run"]);
        let launch = match named {
            Some(name) => launch.kill_at(&KillPoint { name, hit: seed.range(1, 4) }),
            None => launch,
        };
        let mut service = launch.start();
        match named {
            Some(name) if service.ends_within(POINT_PATIENCE) => fired.push(name),
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(seed.range(1_500, 4_000))),
        }
        if restarts < 2 && life == points.len() / 2 * (restarts + 1) {
            restarts += 1;
            server.restart();
            std::thread::sleep(Duration::from_millis(seed.range(500, 2_000)));
        }
        service.kill();
        life += 1;
    }
    say(&format!(
        "seed {number}: {life} lives, {restarts} restarts of the source, died at {fired:?}, {} writes",
        writers.done()
    ));
    assert_eq!(restarts, 2);
    assert!(fired.len() * 2 >= points.len(), "named points are reached: {fired:?}");
    let still = writers.hold_still();
    site.catch_up();
    site.expect_equal(&format!("seed {number}, after {life} lives"));
    site.expect_witness(&format!("seed {number}, after {life} lives"));
    assert_eq!(site.database().count("select count(*) from landfall.dead_letters"), 0, "nothing was parked");
    drop(still);
    assert!(writers.stop() > 500, "the writers wrote");
}
