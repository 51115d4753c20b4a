//! Seeded SIGKILL rounds while all three kinds of source are being written to; three in ten at a named point.

use crate::arena::Arena;
use landfall_tests::kill_point::{BY_BURSTS, IN_RECOVERY, KillPoint, OF_SEGMENTS, ON_THE_WAY};
use landfall_tests::landfall::Landfall;
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::seed::Seed;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

const DEFAULT_ROUNDS: u64 = 200;
/// In every ten rounds, how many die at a named point.
const NAMED_IN_TEN: u64 = 3;
/// A point not reached within this time is not reached in this round; the service is killed anyway.
const POINT_PATIENCE: Duration = Duration::from_secs(8);

/// What the rounds did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Rounds ended by a kill from outside.
    pub(crate) random: u64,
    /// How often each point killed.
    pub(crate) fired: BTreeMap<&'static str, u64>,
    /// How often each point was waited for in vain.
    pub(crate) missed: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Rounds that died at a named point.
    pub(crate) fn named(&self) -> u64 {
        self.fired.values().sum()
    }
}

#[test]
fn kill_rounds_lose_nothing_and_do_nothing_twice() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_ROUNDS);
    let (_, seed) = Seed::from_env(1);
    let started = Instant::now();
    let mut arena = Arena::new("kill_rounds", PostgresServer::shared().database("kill_rounds"), seed);
    let writers = arena.start();
    let tally = run(&mut arena, rounds, |arena, round| {
        if round.is_multiple_of(10) {
            arena.check(&writers, &format!("seed {seed}, after round {round}"));
            say(&format!("round {round} of {rounds}: holds, {} edits, {:?}", writers.edits(), started.elapsed()));
        }
    });
    arena.check(&writers, &format!("seed {seed}, after all {rounds} rounds"));
    say(&format!("{tally:#?}"));
    if rounds >= DEFAULT_ROUNDS {
        let wanted = rounds * NAMED_IN_TEN / 10;
        assert!(tally.named() >= wanted, "{} of {wanted} rounds died at a named point: {tally:#?}", tally.named());
        let never: Vec<_> = all_points().into_iter().filter(|point| !tally.fired.contains_key(point)).collect();
        assert!(never.is_empty(), "not tested, because never reached: {never:?}");
    }
}

fn all_points() -> Vec<&'static str> {
    [ON_THE_WAY, BY_BURSTS, IN_RECOVERY, OF_SEGMENTS].concat()
}

/// Runs rounds; `after` each one looks on.
pub(crate) fn run(arena: &mut Arena, rounds: u64, mut after: impl FnMut(&mut Arena, u64)) -> Tally {
    let mut seed = arena.seed();
    let mut tally = Tally::default();
    let points = all_points();
    let mut next_point = 0;
    for round in 1..=rounds {
        if round % 10 < NAMED_IN_TEN {
            // A point that is not reached in one round gives its turn to the next until the round has died by name.
            let died = (0..points.len()).any(|_| {
                let name = points[next_point % points.len()];
                next_point += 1;
                named_round(arena, name, &mut seed, &mut tally)
            });
            assert!(died, "no named point is reached any more: {tally:#?}");
        } else {
            random_round(arena, &mut seed);
            tally.random += 1;
        }
        after(arena, round);
    }
    tally
}

fn random_round(arena: &mut Arena, seed: &mut Seed) {
    if seed.one_in(10) {
        arena.tear_tails();
    }
    if seed.one_in(10) {
        arena.burst();
    }
    let mut service = arena.service().start();
    // From before the first line of main to well into following.
    std::thread::sleep(Duration::from_millis(seed.range(5, 700)));
    expect_alive(&mut service);
    service.kill();
}

fn named_round(arena: &mut Arena, name: &'static str, seed: &mut Seed, tally: &mut Tally) -> bool {
    if IN_RECOVERY.contains(&name) {
        // Recovery has work when the last life ended behind a write and its tail is torn.
        let mut service = arena.service().start();
        std::thread::sleep(Duration::from_millis(700));
        expect_alive(&mut service);
        service.kill();
        arena.tear_tails();
    }
    if BY_BURSTS.contains(&name) {
        arena.burst();
    }
    let often = if BY_BURSTS.contains(&name) || IN_RECOVERY.contains(&name) || OF_SEGMENTS.contains(&name) {
        1
    } else {
        seed.range(1, 6)
    };
    let mut service = arena.service().kill_at(&KillPoint { name, hit: often }).start();
    let ended = service.ends_within(POINT_PATIENCE);
    if !ended {
        service.kill();
        *tally.missed.entry(name).or_default() += 1;
        return false;
    }
    let finished = service.finish(Duration::ZERO);
    assert_eq!(finished.signal, Some(9), "it ended by itself at {name}: {}", finished.output());
    *tally.fired.entry(name).or_default() += 1;
    true
}

fn expect_alive(service: &mut Landfall) {
    if !service.is_running() {
        panic!("it ended by itself: {}", service.stderr());
    }
}

/// Progress for whoever runs this with `--nocapture`.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
