//! What values of JSON ask for of columns that the service adds, and what such columns take of them.
//!
//! A number's spelling is a part of it: `5.0` is no `bigint`, since 5 would come back. `numeric` keeps what `jsonb` keeps.

use landfall_schemas::json::{Checked, Kind, check_number, check_storable};
use landfall_schemas::mapping::AddedType;

/// The type that holds a value; `None`: null, and numbers that no type keeps.
pub(super) fn kind_of(kind: Kind, raw: &[u8]) -> Option<AddedType> {
    match kind {
        Kind::Null => None,
        Kind::Bool => Some(AddedType::Boolean),
        Kind::Number if is_whole(raw) => Some(AddedType::Bigint),
        Kind::Number => check_number(raw).is_ok().then_some(AddedType::Numeric),
        Kind::String => Some(AddedType::Text),
        Kind::Array | Kind::Object => Some(AddedType::Jsonb),
    }
}

/// Whether a column takes a value of this kind exactly. What `jsonb` or `text` cannot hold is left to the check of the rest.
pub(super) fn takes(ty: AddedType, kind: AddedType, (raw, checked): (&[u8], Checked)) -> bool {
    let storable = || checked == Checked::Storable || check_storable(raw).is_ok();
    ty.takes(kind) && (!matches!(ty, AddedType::Text | AddedType::Jsonb) || storable())
}

/// A whole number of 64 bits in the one spelling that it comes back in.
fn is_whole(raw: &[u8]) -> bool {
    let parsed = std::str::from_utf8(raw).is_ok_and(|text| text.parse::<i64>().is_ok());
    parsed && raw != b"-0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_told_by_their_spelling() {
        for whole in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(kind_of(Kind::Number, whole.as_bytes()), Some(AddedType::Bigint), "{whole}");
        }
        for other in ["5.0", "1e3", "9223372036854775808", "0.10", "-1.5"] {
            assert_eq!(kind_of(Kind::Number, other.as_bytes()), Some(AddedType::Numeric), "{other}");
        }
        for none in ["-0", "-0.0", "1e999999999"] {
            assert_eq!(kind_of(Kind::Number, none.as_bytes()), None, "{none}");
        }
    }
}
