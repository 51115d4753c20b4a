//! A seeded bug must be caught, or the suite proves nothing: the checkpoint in a second transaction.

use crate::arena::Arena;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::seed::Seed;
use std::time::Duration;

/// The witness found the trial's mutant after 10 to 20 rounds; ours looks at every transaction and needs fewer.
const ROUNDS: u64 = 20;

#[test]
fn the_checkpoint_in_a_second_transaction_is_caught() {
    let mut arena = Arena::new("mutant", PostgresServer::shared().database("mutant"), 4);
    // A kill between its two transactions leaves counts that are off: that is the bug.
    arena.site.tampers();
    let writers = arena.start();
    let mut seed = Seed::new(4);
    for round in 1..=ROUNDS {
        let mut service = arena.service().env("LANDFALL_MUTANT", "second_transaction").start();
        std::thread::sleep(Duration::from_millis(seed.range(200, 900)));
        service.kill();
        let still = writers.hold_still();
        let verdict = arena.site.oracle(&arena.direct).witness();
        drop(still);
        if !verdict.holds {
            crate::kill_rounds::say(&format!("caught in round {round}: {}", verdict.report["problems"]));
            return;
        }
    }
    panic!("the seeded bug lived through {ROUNDS} rounds");
}

/// The same rounds without the bug: what catches the mutant must not cry wolf.
#[test]
fn the_same_rounds_without_the_bug_hold() {
    let mut arena = Arena::new("no_mutant", PostgresServer::shared().database("no_mutant"), 4);
    let writers = arena.start();
    let mut seed = Seed::new(4);
    for round in 1..=ROUNDS / 4 {
        let mut service = arena.service().start();
        std::thread::sleep(Duration::from_millis(seed.range(200, 900)));
        service.kill();
        let still = writers.hold_still();
        arena.site.oracle(&arena.direct).witness().expect(&format!("without the bug, round {round}"));
        drop(still);
    }
    arena.check(&writers, "without the bug");
}
