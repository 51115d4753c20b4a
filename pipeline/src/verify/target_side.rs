//! The target's side: the rows of a stream's tables as PostgreSQL sends them, hashed, and its dead letters.

use super::fingerprint::{KeptKey, Places, Sum};
use super::progress::Counted;
use super::sample::Sample;
use super::source_side::Lens;
use super::spill::{Entry, Kind, Spill, Spilled};
use crate::assemble::{Applied, Standing, Target};
use landfall_connectors::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use std::path::Path;

/// A stream's side when all was read.
#[derive(Debug)]
pub(super) struct ReadTarget {
    pub(super) spilled: Spilled,
    pub(super) applied: Applied,
}

/// Reads everything of a stream into a spill.
pub(super) async fn read(
    target: &Target,
    stream: &StreamMapping,
    (places, file): (Places, &Path),
    (sample, counted): (Sample, &Counted),
) -> Result<ReadTarget, Failure> {
    let mut spill = Spill::create(file, 1)?;
    let mut lens = Lens::new(stream, places);
    let mut stored = Vec::new();
    let applied = target
        .standing(stream, &mut |standing| {
            stored.clear();
            counted.row();
            let (record, sum, order, kind) = match standing {
                Standing::Row { table, fields } => {
                    let print = lens.prints().row(table, fields);
                    KeptKey::store_field(print.key, &mut stored);
                    (print.record, Sum { hash: print.hash, rows: 1 }, print.version.cast_unsigned(), Kind::Rows)
                }
                Standing::Letter { key, blocks } => {
                    let (record, key) = lens.record(key);
                    key.store(&mut stored);
                    (record, Sum::default(), 0, if blocks { Kind::Letter } else { Kind::LetterBeside })
                }
            };
            if !sample.takes(record) {
                return Ok(());
            }
            spill.add(&Entry { record, sum, order, kind, key: &stored })
        })
        .await?;
    Ok(ReadTarget { spilled: spill.finish()?, applied })
}
