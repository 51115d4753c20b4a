//! A piece of an order: some heads with what waits behind them, mapped, and the settlement that goes with their rows.
//!
//! Owns the order of a key's letters and where it stops. Reads letters page by page, so that their records are never held together; the encoded rows
//! of one key's letters are, until its piece is committed.

use super::order::{Order, Tally, Verb};
use crate::assemble::{LetterChoice, LetterReader, Target};
use crate::transform::RowPlan;
use crate::worker::AtRest;
use landfall_connectors::deadletter::ParkedOp;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::settlement::{Ended, Ending, Renewed, Settlement, StandingStep, Waiting};
use landfall_schemas::offset::Offset;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::{Row, RowOp, RowSet};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// Heads of one piece: a commit each would be slow, and thousands would keep the stream at rest for long.
const HEADS: u32 = 200;
/// Time after which a piece takes no further key: the stream rests meanwhile, and who asked waits. A far or busy server gets smaller pieces.
const LONGEST: Duration = Duration::from_secs(2);
/// Letters of a key that are read at once: each may hold a record of 16 MiB.
const PAGE: u32 = 16;
/// Bytes of rows after which a piece takes no further key.
const ROW_BYTES: usize = 16 << 20;
/// Letters after which a piece takes no further key.
const LETTERS: usize = 5_000;

/// What is to be committed.
pub(super) struct Piece {
    pub(super) rows: RowSet,
    /// Which letter each row came from, by where its fields begin: letters of a copy share one place.
    pub(super) origins: HashMap<usize, i64>,
    pub(super) settlement: Settlement,
    pub(super) tally: Tally,
    pub(super) after: Option<i64>,
}

/// Letters that PostgreSQL refused the rows of, with its SQLSTATE.
pub(super) type RefusedLetters = HashMap<i64, String>;

/// Makes pieces.
pub(super) struct Maker<'a> {
    target: &'a Target,
    rest: &'a AtRest,
    order: &'a Order,
    plan: RowPlan,
}

/// The last letter of a key that could be mapped.
struct Last {
    ended: Ended,
    row: Row,
}

impl<'a> Maker<'a> {
    pub(super) fn new(target: &'a Target, rest: &'a AtRest, order: &'a Order) -> Self {
        Self { target, rest, order, plan: RowPlan::new(&rest.mapping) }
    }

    pub(super) async fn piece(&mut self, after: i64, refused: &RefusedLetters) -> Result<Piece, Failure> {
        let choice = LetterChoice {
            code: self.order.code.clone(),
            older_than: self.order.older_than.map(|age| age.min(Duration::from_secs(u64::from(u32::MAX)))),
            ..LetterChoice::default()
        };
        let (stream, began) = (&self.rest.mapping.name, Instant::now());
        let mut letters = self.target.letter_reader().await?;
        let heads = letters.heads(stream, (&choice, self.order.only, self.order.act), (after, HEADS)).await?;
        let mut piece = Piece {
            rows: RowSet::default(),
            origins: HashMap::new(),
            settlement: Settlement {
                event: Some(match self.order.verb {
                    Verb::Retry => "dead_letters_retried",
                    Verb::Discard | Verb::DiscardAll => "dead_letters_discarded",
                }),
                act: self.order.act,
                actor: self.order.actor.clone(),
                reason: self.order.reason.clone(),
                ended: Vec::new(),
                renewed: Vec::new(),
                steps: Vec::new(),
            },
            tally: Tally::default(),
            after: heads.last().map(|head| head.id),
        };
        let mut met = HashSet::new();
        for head in &heads {
            let full = piece.rows.buffer.len() >= ROW_BYTES || piece.settlement.ended.len() >= LETTERS;
            if full || began.elapsed() >= LONGEST {
                break;
            }
            piece.after = Some(head.id);
            if !head.blocks {
                self.beside(head, &mut piece);
            } else if met.insert(head.key.clone()) {
                self.key((&mut letters, head), refused, &mut piece).await?;
            }
        }
        self.finish(&mut piece)?;
        Ok(piece)
    }

    /// A letter that parks nothing: its key has a record already, and this is a second one beside it.
    fn beside(&self, head: &Waiting, piece: &mut Piece) {
        if self.order.verb == Verb::Retry {
            piece.tally.not_records += 1;
        } else {
            piece.settlement.ended.push(head.ended(Ending::Discarded));
        }
    }

    /// All letters of a key, until one cannot be mapped.
    async fn key(
        &mut self,
        (letters, head): (&mut LetterReader, &Waiting),
        refused: &RefusedLetters,
        piece: &mut Piece,
    ) -> Result<(), Failure> {
        let mut from = Offset(0);
        let mut last: Option<Last> = None;
        'key: loop {
            let page = letters.line_up(&self.rest.mapping.name, &head.key, (from, PAGE)).await?;
            let Some(end) = page.last() else { break };
            from = end.offset.plus(1);
            let is_last = page.len() < PAGE as usize;
            for letter in page {
                let given_up = match self.order.verb {
                    Verb::Retry => false,
                    Verb::Discard => letter.id == head.id,
                    Verb::DiscardAll => true,
                };
                if given_up {
                    piece.settlement.ended.push(letter.ended(Ending::Discarded));
                    continue;
                }
                match self.map(&letter, refused, &mut piece.rows) {
                    Ok(mapped) => overtaken(last.replace(mapped), piece),
                    Err(renewed) => {
                        stop_at((head, &letter), renewed, piece);
                        break 'key;
                    }
                }
            }
            if is_last {
                break;
            }
        }
        if let Some(Last { ended, row }) = last {
            piece.settlement.ended.push(ended);
            piece.origins.insert(row.fields.start, ended.id);
            piece.rows.rows.push(row);
        }
        Ok(())
    }

    /// The row of a letter, or why it waits on.
    fn map(&mut self, letter: &Waiting, refused: &RefusedLetters, rows: &mut RowSet) -> Result<Last, Renewed> {
        let waits = |reason, sqlstate| Renewed { id: letter.id, reason, sqlstate };
        if let Some(sqlstate) = refused.get(&letter.id) {
            let reason = Rejection::new(RejectCode::Refused, "", "a row that PostgreSQL accepts", sqlstate);
            return Err(waits(reason, Some(sqlstate.clone())));
        }
        let put = match letter.op {
            ParkedOp::Upsert => self.plan.upsert(&letter.key, &letter.payload, letter.version, rows),
            ParkedOp::Delete => Ok(None),
            ParkedOp::Reject => {
                let reason = Rejection::new(RejectCode::Malformed, "", "a record", "what the source could not read");
                return Err(waits(reason, None));
            }
        };
        let put = put.map_err(|reason| waits(reason, None))?;
        let (op, ending) = match (&put, letter.op) {
            (Some(_), _) => (RowOp::Upsert, Ending::Applied),
            (None, ParkedOp::Upsert) => (RowOp::Delete, Ending::Filtered),
            (None, _) => (RowOp::Delete, Ending::Applied),
        };
        let encoded = match put {
            Some(encoded) => encoded,
            None => self.plan.delete(&letter.key, letter.version, rows).map_err(|reason| waits(reason, None))?,
        };
        let row = Row {
            op,
            fields: encoded.fields,
            children: encoded.children,
            version: letter.version,
            partition: letter.partition,
            offset: letter.offset,
        };
        Ok(Last { ended: letter.ended(ending), row })
    }

    /// Sorts the rows and names where the partitions stand.
    fn finish(&self, piece: &mut Piece) -> Result<(), Failure> {
        crate::worker::sort_by_key(&mut piece.rows);
        let settlement = &mut piece.settlement;
        let touched: BTreeSet<_> = settlement.ended.iter().map(|ended| ended.partition).collect();
        for partition in touched {
            let standing = self.rest.checkpoints.iter().find(|known| known.partition == partition);
            let at = standing.map(|known| known.next).ok_or_else(|| {
                let detail =
                    "a dead letter belongs to a partition that its stream does not have; restore schema landfall";
                Failure::new(FailureClass::Halt, "schema_drift", detail)
            })?;
            settlement.steps.push(StandingStep { partition, at, parked: 0 });
        }
        for ended in &settlement.ended {
            let tally = &mut piece.tally;
            *match ended.ending {
                Ending::Applied => &mut tally.applied,
                Ending::Superseded => &mut tally.superseded,
                Ending::Filtered => &mut tally.filtered,
                Ending::Discarded => &mut tally.discarded,
            } += 1;
        }
        Ok(())
    }
}

/// A later letter of the key makes the row.
fn overtaken(earlier: Option<Last>, piece: &mut Piece) {
    if let Some(Last { ended, .. }) = earlier {
        // What the filter left out is counted as that, whoever comes after it.
        let ending = if ended.ending == Ending::Filtered { Ending::Filtered } else { Ending::Superseded };
        piece.settlement.ended.push(Ended { ending, ..ended });
    }
}

/// This letter is the head from now on.
fn stop_at((head, letter): (&Waiting, &Waiting), renewed: Renewed, piece: &mut Piece) {
    if letter.op == ParkedOp::Reject && letter.id == head.id {
        piece.tally.not_records += 1;
        return;
    }
    piece.tally.still_parked += 1;
    piece.settlement.renewed.push(renewed);
}
