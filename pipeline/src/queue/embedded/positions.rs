//! Source positions in bytes: a run of slot updates, as frames and segment headers hold it.
//!
//! ```text
//! per update: slot length u8 · slot · value length + 1 varint (0 = slot forgotten) · value
//! ```

use super::failures;
use super::wire::{Walk, put_varint};
use landfall_connectors::failure::Failure;
use landfall_schemas::position::{PositionTable, PositionUpdate};

/// Writes one update; slot and value must be inside the limits of [`PositionTable`].
pub(super) fn put(slot: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let value_fits = value.is_none_or(|value| value.len() <= PositionTable::MAX_VALUE);
    if slot.len() > PositionTable::MAX_SLOT || !value_fits {
        return Err(failures::misuse(
            "position_too_large",
            "a source position is larger than a slot of the queue takes",
        ));
    }
    out.push(slot.len() as u8);
    out.extend_from_slice(slot);
    put_varint(out, value.map_or(0, |value| value.len() as u64 + 1));
    out.extend_from_slice(value.unwrap_or_default());
    Ok(())
}

/// The whole table.
pub(super) fn encode(table: &PositionTable) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    for (slot, value) in &table.0 {
        put(slot, Some(value), &mut out)?;
    }
    Ok(out)
}

/// Reads a run of updates; `None` if it is not one.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<PositionUpdate>> {
    let mut walk = Walk::new(bytes);
    let mut updates = Vec::new();
    while !walk.is_done() {
        let length = usize::from(walk.u8()?);
        let slot = walk.take(length)?.into();
        let value = match walk.length()? {
            0 => None,
            length => Some(walk.take(length - 1)?.into()),
        };
        updates.push(PositionUpdate { slot, value });
    }
    Some(updates)
}
