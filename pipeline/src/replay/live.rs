//! Replays of a running service: one turn for each request, kept in between.

use super::begin::{Over, begin};
use super::order::{Order, Standing};
use super::turn::Replay;
use crate::assemble::Target;
use crate::control::Refused;
use crate::service::Service;
use crate::streams::RunningStream;
use landfall_connectors::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Replays kept at once: commands that went away leave theirs. With more all are given up, and commands that still run begin anew.
const MOST: usize = 4;
/// Longest pause of a throttled replay between two turns: an answer must come in time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Replays between two turns.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "replays hold queues, not values")]
pub struct Replays(Mutex<HashMap<Uuid, Replay>>);

impl Replays {
    fn take(&self, act: Uuid) -> Option<Replay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&act)
    }

    fn keep(&self, act: Uuid, replay: Replay) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(act, replay);
    }
}

/// Does the next turn of an order.
pub(crate) async fn turn(service: &Service, target: &Arc<Target>, order: Order) -> Result<Standing, Refused> {
    let unknown = || Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them");
    let found = service.streams.find(&order.stream).ok_or_else(unknown)?;
    if found.brake.is_paused() {
        let detail = format!("the stream is paused: landfall resume {}", order.stream);
        return Err(Refused::new("paused", detail));
    }
    let replay = match service.replays.take(order.act) {
        Some(replay) => replay,
        None => begin(target, over(service, &found)?, &order.from).await?,
    };
    let refused = |failure: Failure| Refused::new(failure.code, failure.detail);
    if order.dry_run {
        return Ok(Standing { finished: true, ..replay.standing() });
    }
    let before = replay.standing().replayed;
    let ours = Arc::clone(target);
    let replay = found.desk.ask(move |rest| replay.turn(ours, rest)).await.map_err(refused)?;
    let standing = replay.standing();
    service.letterbox.look_again();
    if standing.finished {
        return tell(target, &found.mapping, (&replay, &order)).await.map_err(refused);
    }
    service.replays.keep(order.act, replay);
    let rate = found.brake.control().and_then(|control| control.rows_per_second);
    if let Some(rate) = rate {
        let owed = Duration::from_millis((standing.replayed - before).saturating_mul(1_000) / rate.get());
        tokio::time::sleep(owed.min(LONGEST_PAUSE)).await;
    }
    Ok(standing)
}

fn over(service: &Service, stream: &RunningStream) -> Result<Over, Refused> {
    let checkpoints = stream.progress.view().checkpoints;
    if checkpoints.is_empty() {
        let detail = "the stream was not admitted by the target yet; `landfall status` says what it waits for";
        return Err(Refused::new("stream_busy", detail));
    }
    Ok(Over {
        queue: Arc::clone(&service.sources[stream.source].queue),
        stream: stream.id,
        mapping: Arc::clone(&stream.mapping),
        goal: checkpoints.iter().map(|known| (known.partition, known.next)).collect(),
    })
}

/// What is told at the end: rows that the range did not reach, and the history.
pub(super) async fn tell(
    target: &Target,
    mapping: &StreamMapping,
    (replay, order): (&Replay, &Order),
) -> Result<Standing, Failure> {
    let mut standing = replay.standing();
    standing.rows_before = target.rows_before(mapping, replay.first_version()).await?;
    let evidence = json!({ "from": order.from, "events": standing.passed, "replayed": standing.replayed,
        "refused": standing.refused, "behind_letters": standing.behind_letters, "rows_before": standing.rows_before });
    target.replayed(&mapping.name, &order.actor, &evidence).await?;
    Ok(standing)
}
