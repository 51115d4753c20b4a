//! The first load dies at every point once, and is whole afterwards: the bulk path has a checkpoint for every batch.

use crate::arena::Arena;
use crate::kill_rounds::say;
use landfall_tests::kill_point::{BY_BURSTS, KillPoint, OF_FIRST_FILL, ON_THE_WAY};
use landfall_tests::postgres_server::PostgresServer;
use std::time::Duration;

#[test]
fn a_first_load_killed_anywhere_is_whole_afterwards() {
    let mut never = Vec::new();
    for (number, name) in [ON_THE_WAY, BY_BURSTS, OF_FIRST_FILL].concat().into_iter().enumerate() {
        let database = format!("first_load_{number}");
        let mut arena = Arena::new(&database, PostgresServer::shared().database(&database), number as u64);
        let _stores = arena.fill();
        // Every third point twice: recovery from the first kill is killed as well.
        for _ in 0..=u64::from(number.is_multiple_of(3)) {
            let mut service = arena.service().kill_at(&KillPoint { name, hit: 1 }).start();
            if service.ends_within(Duration::from_secs(6)) {
                let finished = service.finish(Duration::ZERO);
                assert_eq!(finished.signal, Some(9), "{name}: {}", finished.output());
            } else {
                service.kill();
                never.push(name);
            }
        }
        arena.check_still(&format!("first load killed at {name}"));
    }
    say(&format!("not reached in a first load: {never:?}"));
    let fill_missed: Vec<_> = OF_FIRST_FILL.iter().filter(|point| never.contains(*point)).collect();
    assert!(fill_missed.is_empty(), "not tested, because never reached: {fill_missed:?}");
}

#[test]
fn a_large_first_load_killed_at_random_is_whole_afterwards() {
    let mut arena = Arena::new("first_load_large", PostgresServer::shared().database("first_load_large"), 77);
    let (mut document, mut lines, mut files) = arena.fill();
    for _ in 0..8_000 {
        document.insert("users");
    }
    document.write(landfall_tests::manner::Manner::Atomic);
    lines.append_records(8_000);
    for _ in 0..300 {
        files.insert(landfall_tests::manner::Manner::Atomic);
    }
    let mut seed = arena.seed();
    for _ in 0..8 {
        let mut service = arena.service().start();
        std::thread::sleep(Duration::from_millis(seed.range(50, 900)));
        service.kill();
    }
    arena.check_still("large first load after eight kills");
}
