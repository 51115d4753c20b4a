//! Fields that no column takes, noticed on the way through the records of a batch.
//!
//! Owns what is remembered of them: names, and a type that holds every value seen. Bounded by [`MOST`] names a batch; what is beyond is
//! met again in a later one. Without `evolve: add_column` nothing is noticed and nothing is paid for.

use landfall_schemas::mapping::{AddedType, NewField};
use std::collections::HashMap;

/// Most names remembered of one batch: as many as a stream may have columns added.
const MOST: usize = 256;

/// What is to be noticed; nothing at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watch {
    /// Fields that no column takes.
    pub fields: bool,
    /// Numbers that an added column could take if it were wider.
    pub numbers: bool,
}

impl Watch {
    /// Nothing.
    pub const OFF: Self = Self { fields: false, numbers: false };
    /// Everything.
    pub const ALL: Self = Self { fields: true, numbers: true };
}

/// What was noticed since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Notices {
    pub(super) watch: Watch,
    /// In the order of their first value; without a type while all were null or of a kind that no type holds.
    seen: Vec<(Box<str>, Option<AddedType>)>,
    places: HashMap<Box<str>, usize>,
    /// Values of added columns that stayed in the rest.
    misfits: u64,
}

impl Notices {
    /// A value of a field that no column takes, or not yet.
    pub(super) fn note(&mut self, name: &str, ty: Option<AddedType>) {
        if let Some(place) = self.places.get(name) {
            let known = &mut self.seen[*place].1;
            *known = match (*known, ty) {
                (Some(known), Some(ty)) => Some(known.and(ty)),
                (known, ty) => known.or(ty),
            };
        } else if self.seen.len() < MOST && !name.contains('\0') {
            self.places.insert(name.into(), self.seen.len());
            self.seen.push((name.into(), ty));
        }
    }

    /// A value that an added column does not take.
    pub(super) fn misfit(&mut self) {
        self.misfits += 1;
    }

    /// Forgets what was noticed, and gives it.
    pub(super) fn take(&mut self) -> Noticed {
        self.places.clear();
        let fields = self.seen.drain(..).filter_map(|(name, ty)| Some(NewField { name, ty: ty? })).collect();
        Noticed { fields, misfits: std::mem::take(&mut self.misfits) }
    }
}

/// What was noticed.
#[derive(Debug, Default)]
pub struct Noticed {
    /// Fields, in the order in which they were met.
    pub fields: Vec<NewField>,
    /// Values of added columns that stayed in the rest.
    pub misfits: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_gets_a_type_that_holds_all_its_values_and_null_says_nothing() {
        let mut notices = Notices::default();
        for (name, ty) in [
            ("n", None),
            ("n", Some(AddedType::Bigint)),
            ("nothing", None),
            ("n", Some(AddedType::Numeric)),
            ("n", None),
            ("x", Some(AddedType::Text)),
            ("x", Some(AddedType::Boolean)),
            ("a\0b", Some(AddedType::Text)),
        ] {
            notices.note(name, ty);
        }
        let field = |name: &str, ty| NewField { name: name.into(), ty };
        assert_eq!(notices.take().fields, [field("n", AddedType::Numeric), field("x", AddedType::Jsonb)]);
        assert!(notices.take().fields.is_empty());
        (0..2_000).for_each(|n| notices.note(&format!("f{n}"), Some(AddedType::Text)));
        assert_eq!(notices.take().fields.len(), MOST);
    }
}
