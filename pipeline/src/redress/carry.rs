//! Committing a piece, whatever the answer.
//!
//! Keeps promise 9: after a lost answer nothing is repeated before the letters have told whether this very settlement took place. Waits for a
//! target that is away for a bounded time only, since the stream rests meanwhile.

use super::piece::{Piece, RefusedLetters};
use crate::assemble::Target;
use crate::supervise::reaction::{Reaction, reaction};
use crate::worker::AtRest;
use landfall_connectors::checkpoints::{Checkpoints, Phase};
use landfall_connectors::failure::Failure;
use landfall_connectors::retry::Pace;
use landfall_connectors::sink::{ApplyFailure, Sink, SinkBatch, Writer};
use std::collections::HashMap;
use uuid::Uuid;

/// Tries of one piece: with the pauses between them less than an answer on the control socket may take.
const TRIES: u32 = 5;

/// What became of a piece.
pub(super) enum Carried {
    /// It is committed.
    Done,
    /// PostgreSQL refuses the rows of these letters; nothing is written.
    Refused(RefusedLetters),
}

/// Commits `piece`.
pub(super) async fn carry(target: &Target, rest: &AtRest, piece: Piece) -> Result<Carried, Failure> {
    let (act, origins) = (piece.settlement.act, piece.origins);
    let ended = piece.settlement.ended.first().map(|ended| ended.id);
    let touched = ended.or(piece.settlement.renewed.first().map(|renewed| renewed.id)).unwrap_or_default();
    let batch = SinkBatch { rows: piece.rows, settlement: Some(piece.settlement), ..SinkBatch::default() };
    let mut writer = target.writer();
    let (mut pace, mut tries) = (Pace::new(), 0);
    loop {
        fail::fail_point!("redress::before_commit");
        let failure = match writer.apply(&rest.mapping, (rest.owner, Phase::Live), &batch).await {
            Ok(_) => {
                fail::fail_point!("redress::after_commit");
                return Ok(Carried::Done);
            }
            Err(ApplyFailure::Refused(rows)) => return Ok(Carried::Refused(letters((&batch, &origins), &rows))),
            Err(ApplyFailure::Failed(failure)) => failure,
        };
        tries += 1;
        match reaction(failure.class) {
            Reaction::Settle if took_place(target, rest, (act, touched)).await? => return Ok(Carried::Done),
            Reaction::Settle | Reaction::Retry if tries < TRIES => tokio::time::sleep(pace.next_wait()).await,
            _ => return Err(failure),
        }
    }
}

/// Whether a settlement whose answer was lost took place: read behind the lock of its partitions, which a commit on its way holds.
async fn took_place(target: &Target, rest: &AtRest, (act, touched): (Uuid, i64)) -> Result<bool, Failure> {
    let (mut pace, mut tries) = (Pace::new(), 0);
    loop {
        let read = async {
            let _ = target.read(&rest.mapping.name, true).await?;
            target.acted(act, touched).await
        };
        match read.await {
            Ok(acted) => return Ok(acted),
            Err(failure) => {
                tries += 1;
                if tries >= TRIES {
                    return Err(failure);
                }
            }
        }
        tokio::time::sleep(pace.next_wait()).await;
    }
}

/// The letters that refused rows came from.
fn letters((batch, origins): (&SinkBatch, &HashMap<usize, i64>), rows: &[(usize, String)]) -> RefusedLetters {
    let letter = |(index, sqlstate): &(usize, String)| {
        let row = batch.rows.rows.get(*index)?;
        Some((*origins.get(&row.fields.start)?, sqlstate.clone()))
    };
    rows.iter().filter_map(letter).collect()
}
