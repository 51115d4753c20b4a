//! Dead letters taken up again: retried with the mapping of now, or given up.
//!
//! Letters of a key go in the order of their events: each is mapped, and the last one that can be makes the row; those before it are superseded.
//! The first that cannot be mapped (or that PostgreSQL refuses) is the key's head from then on, and what came after it waits behind it as before.
//! A letter that is given up frees what waits behind it in the same step. Versions are those of the changes, so that a row which became newer by
//! another way stays (promise 8). Rows, letters, counts and the history move in one transaction, in pieces of a bounded size; the stream rests
//! meanwhile (`worker::errand`), so no change of such a key slips in between. Killed between two pieces: what was settled is, the rest waits.
//!
//! Fails as the target does; nothing is ever repeated before it is known whether it took place (promise 9).

mod carry;
pub mod offline;
mod order;
mod piece;

pub use order::{Order, Tally, Verb};

use crate::assemble::Target;
use crate::worker::AtRest;
use carry::{Carried, carry};
use landfall_connectors::checkpoints::Phase;
use landfall_connectors::failure::{Failure, FailureClass};
use std::collections::HashMap;
use std::sync::Arc;

/// What one piece came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// Letters by what became of them.
    pub(crate) tally: Tally,
    /// Number of the last head that was looked at; `None`: there are no more.
    pub(crate) after: Option<i64>,
}

/// Does the piece of an order behind head number `after`.
pub(crate) async fn redress(target: Arc<Target>, rest: AtRest, order: Order, after: i64) -> Result<Done, Failure> {
    if rest.phase == Phase::Bulk {
        let detail = "the table is being filled for the first time and has no key yet; try again when it is";
        return Err(Failure::new(FailureClass::Transient, "first_load", detail));
    }
    let mut refused = HashMap::new();
    loop {
        let piece = piece::Maker::new(&target, &rest, &order).piece(after, &refused).await?;
        let done = Done { tally: piece.tally, after: piece.after };
        if order.dry_run || piece.settlement.is_empty() {
            return Ok(done);
        }
        match carry(&target, &rest, piece).await? {
            Carried::Done => return Ok(done),
            // Those letters stay; what remains of the piece is made anew without them.
            Carried::Refused(more) => refused.extend(more),
        }
    }
}
