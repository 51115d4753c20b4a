//! Columns added to a table in memory: rows that stand have nothing in them.

use super::state::State;
use crate::checkpoints::OwnerNonce;
use crate::evolve::{MOST_ADDED, Widened};
use crate::failure::{Failure, FailureClass};
use landfall_schemas::mapping::{AddedColumn, AddedType, NewField, StreamMapping};
use landfall_schemas::naming::Taken;
use landfall_schemas::stream::StreamName;

impl State {
    pub(super) fn added(&self, stream: &StreamName) -> Vec<AddedColumn> {
        self.streams.get(stream).map_or_else(Vec::new, |stream| stream.added.clone())
    }

    pub(super) fn widen(
        &mut self,
        mapping: &StreamMapping,
        owner: OwnerNonce,
        fields: &[NewField],
    ) -> Result<Widened, Failure> {
        let stream = self.streams.get_mut(&mapping.name);
        let owned = stream.filter(|stream| stream.owned.is_some_and(|(_, nonce)| nonce == owner));
        let stream = owned.ok_or_else(|| Failure::new(FailureClass::Fenced, "other_owner", "another owner"))?;
        let mut widened = Widened::default();
        for field in fields.iter().filter(|field| !mapping.declares(&field.name)) {
            if let Some(known) = stream.added.iter_mut().find(|known| known.field == field.name) {
                if (known.ty, field.ty) == (AddedType::Bigint, AddedType::Numeric) {
                    known.ty = AddedType::Numeric;
                    widened.wider += 1;
                }
                continue;
            }
            if stream.added.len() == MOST_ADDED {
                widened.left += 1;
                continue;
            }
            let declared = mapping.table.columns.iter().map(|column| column.name.as_str());
            let mut taken = Taken::of(declared.chain(stream.added.iter().map(|added| added.name.as_str())));
            let name = taken.column(&field.name);
            stream.added.push(AddedColumn { name, field: field.name.clone(), ty: field.ty });
            stream.rows.values_mut().for_each(|row| row.fields.push(None));
            widened.added += 1;
        }
        Ok(widened)
    }
}
