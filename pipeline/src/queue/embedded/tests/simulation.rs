//! Many lives, each from a seed: nothing acknowledged is lost (promises 1, 4, 5, 18; faults Q1, Q3, Q4, Q5, Q6).

use super::life::{End, Life, ManualClock};
use super::*;
use crate::queue::conformance::fixture::{PLENTY, Plain, read_all};
use crate::queue::embedded::disk::faulty::{Dice, FaultyDisk};
use std::sync::atomic::Ordering;

/// How far the clock moves between the acts of a short life: past the retention's age.
const STEP_MS: u64 = 10_000;

#[test]
fn thousands_of_lives_lose_nothing_that_was_acknowledged() {
    const LIVES: u64 = 2_000;
    let first = std::env::var("LANDFALL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut acknowledged = 0;
    for seed in first..first + LIVES {
        let lived = std::panic::catch_unwind(|| {
            let mut life = Life::new(seed);
            for _ in 0..40 {
                life.step();
            }
            life.end(End::Power);
            life.acknowledged
        });
        match lived {
            Ok(events) => acknowledged += events,
            Err(panic) => {
                eprintln_seed(seed);
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(acknowledged > LIVES * 50, "the lives did something: {acknowledged}");
}

/// Names the seed that failed: set `LANDFALL_SEED` to it to see it alone.
#[allow(clippy::print_stderr)]
fn eprintln_seed(seed: u64) {
    eprintln!("failed with LANDFALL_SEED={seed}");
}

#[test]
fn power_may_go_at_every_operation_of_a_life() {
    for seed in 0..6 {
        let total = short_life(seed, u64::MAX).disk.operations();
        for stop in 0..total {
            for cut in 0..3 {
                let mut life = short_life(seed, stop);
                life.dice = Dice::new(seed << 32 | stop << 8 | cut);
                life.end(End::Power);
            }
        }
    }
}

/// Registers, appends, trims and rolls, until the power goes at operation `stop`.
fn short_life(seed: u64, stop: u64) -> Life {
    let mut life = Life::new(seed);
    life.options.segment_bytes = 600;
    life.options.retention.max_bytes = 1 << 40;
    life.queue = None;
    life.disk = life.disk.process_end();
    life.dice = Dice::new(seed);
    life.open();
    life.dice = Dice::new(seed + 1_000);
    life.disk.stop_after(stop);
    let script: [fn(&mut Life); 9] = [
        Life::register,
        Life::append,
        Life::append,
        Life::apply,
        Life::trim,
        Life::register,
        Life::append,
        Life::apply,
        Life::trim,
    ];
    for act in script {
        // Once the power went, the life has ended and begun anew: the rest is left out.
        let life_before = life.disk.life();
        act(&mut life);
        life.clock.0.fetch_add(STEP_MS, Ordering::Relaxed);
        if life.disk.life() != life_before {
            break;
        }
    }
    life
}

#[test]
fn appenders_at_the_same_time_survive_a_power_cut_whole() {
    for seed in 0..150 {
        let mut dice = Dice::new(seed);
        let disk = FaultyDisk::default();
        let options = QueueOptions { segment_bytes: 4_000, ..QueueOptions::new(KEEP) };
        let open = |disk: &FaultyDisk| {
            EmbeddedQueue::open_on(Arc::new(disk.clone()), options, Arc::new(ManualClock::default())).unwrap()
        };
        let queue = open(&disk);
        let stream = queue.register(&StreamName::new("users").unwrap(), PartitionCount::new(4).unwrap()).unwrap();
        disk.stop_after(dice.throw(40));
        let acknowledged: Vec<u64> = std::thread::scope(|scope| {
            let appenders: Vec<_> = (0..4u64)
                .map(|thread| {
                    scope.spawn({
                        let queue = &queue;
                        move || append_until_failure(queue, stream, thread)
                    })
                })
                .collect();
            appenders.into_iter().flat_map(|appender| appender.join().unwrap()).collect()
        });
        let disk = disk.power_cut(&mut dice);
        drop(queue);
        let queue = open(&disk);
        let read = read_all(&queue, from_start(stream), PLENTY).unwrap();
        let sequences = read.iter().map(|event| event.at.2.0);
        assert!(sequences.eq(0..queue.sequences().end.0));
        assert_eq!(read.len() % 5, 0, "batches are there as a whole");
        let groups: Vec<u64> = read.chunks(5).map(whole_batch).collect();
        assert!(acknowledged.iter().all(|batch| groups.contains(batch)), "an acknowledged batch is gone (seed {seed})");
    }
}

/// Appends batches of 5 until one fails; gives the first keys of the acknowledged ones.
fn append_until_failure(queue: &EmbeddedQueue, stream: StreamId, thread: u64) -> Vec<u64> {
    let batches = (0..30).map(|round| thread * 1_000 + round * 5);
    batches.take_while(|first| queue.append(&upserts(stream, *first..first + 5)).is_ok()).collect()
}

/// The first key of 5 events that must be one batch.
fn whole_batch(events: &[Plain]) -> u64 {
    let first = events[0].place_at / 40;
    assert!(events.iter().map(|event| event.place_at / 40).eq(first..first + 5));
    first
}
