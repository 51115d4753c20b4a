//! The soak: kills, cuts, restarts and outages with new seeds until the time is over. Runs when `LANDFALL_SOAK` says for how long.

use crate::arena::Arena;
use crate::kill_rounds::{run, say};
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::proxy::{Fault, FaultProxy};
use landfall_tests::seed::Seed;
use std::time::{Duration, Instant};

#[test]
fn soak_for_as_long_as_asked() {
    let Ok(asked) = std::env::var("LANDFALL_SOAK") else {
        say("the soak was not asked for: make soak TIME=10m");
        return;
    };
    let time = duration(&asked);
    let (_, first) = Seed::from_env(1);
    let started = Instant::now();
    let server = PostgresServer::start("soak");
    for seed in first.. {
        if started.elapsed() >= time {
            break;
        }
        let name = format!("soak_{seed}");
        let mut arena = Arena::new(&name, server.database(&name), seed);
        let writers = arena.start();
        let proxy = FaultProxy::start(server.port());
        arena.site.reach(arena.direct.through(proxy.port()));
        let mut choice = arena.seed();
        let tally = run(&mut arena, 60, |arena, round| {
            proxy.once(*choice.pick(&[
                Fault::CutAfterCommit,
                Fault::CutBeforeCommit,
                Fault::CutInCommit,
                Fault::CutInCopy,
            ]));
            if choice.one_in(15) {
                server.stop_immediate();
                let away = if choice.one_in(6) { 60_000 } else { choice.range(10, 3_000) };
                std::thread::sleep(Duration::from_millis(away));
                server.resume();
            }
            if round.is_multiple_of(20) {
                proxy.heal();
                arena.check(&writers, &format!("soak with seed {seed}, after round {round}"));
            }
        });
        proxy.heal();
        arena.check(&writers, &format!("soak with seed {seed}"));
        say(&format!(
            "seed {seed} holds: {} named kills, {} others, {:?} in all",
            tally.named(),
            tally.random,
            started.elapsed()
        ));
    }
}

/// `90s`, `10m`, `24h`.
fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("TIME is a number with s, m or h, not {text:?}"));
    Duration::from_secs(match unit {
        "s" => number,
        "m" => number * 60,
        "h" => number * 3_600,
        _ => panic!("TIME is a number with s, m or h, not {text:?}"),
    })
}
