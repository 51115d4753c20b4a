//! The `_id`s that an encoded key may stand for, so that documents can be asked for by the keys of their rows.
//!
//! An encoding says the value and not its width: `n:5` is an int32, an int64, a double or a decimal. The server compares numbers by value, so
//! one of them finds all; only what doubles and decimals cannot say alike is asked for as both. What comes back is told by its own key, so
//! asking for too much is no harm. Kinds that are rare as `_id`s (documents, other binaries, regular expressions …) have no answer here: they
//! are found by reading everything.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Uuid};
use landfall_schemas::key::KeyView;

/// Adds what `key` may stand for to `ids`; `false` if that is not known.
pub(super) fn candidates(key: &[u8], ids: &mut Vec<Bson>) -> bool {
    let known = ids.len();
    match KeyView::of(key) {
        Some(KeyView::Text(text)) => ids.push(Bson::String(text.into_owned())),
        Some(KeyView::Number(number)) => numbers(number, ids),
        Some(KeyView::Bool(value)) => ids.push(Bson::Boolean(value)),
        Some(KeyView::ObjectId(hex)) => ids.extend(ObjectId::parse_str(hex).ok().map(Bson::ObjectId)),
        Some(KeyView::Uuid(text)) => ids.extend(
            Uuid::parse_str(text)
                .ok()
                .map(|uuid| Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: uuid.bytes().to_vec() })),
        ),
        Some(KeyView::Date(milliseconds)) => ids.push(Bson::DateTime(DateTime::from_millis(milliseconds))),
        Some(KeyView::Null) => ids.push(Bson::Null),
        _ => {}
    }
    ids.len() > known
}

fn numbers(number: &str, ids: &mut Vec<Bson>) {
    if let Ok(whole) = number.parse::<i64>() {
        ids.push(Bson::Int64(whole));
        return;
    }
    ids.extend(number.parse::<f64>().ok().map(Bson::Double));
    ids.extend(number.parse::<Decimal128>().ok().map(Bson::Decimal128));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str) -> Vec<Bson> {
        let mut ids = Vec::new();
        let known = candidates(key.as_bytes(), &mut ids);
        assert_eq!(known, !ids.is_empty());
        ids
    }

    #[test]
    fn keys_are_asked_for_by_every_value_they_may_stand_for() {
        assert_eq!(of("s:a"), [Bson::String("a".into())]);
        assert_eq!(of("n:5"), [Bson::Int64(5)]);
        let decimal: Decimal128 = "0.1".parse().unwrap();
        assert_eq!(of("n:0.1"), [Bson::Double(0.1), Bson::Decimal128(decimal)]);
        assert_eq!(of("T:"), [Bson::Boolean(true)]);
        assert_eq!(of("d:-5"), [Bson::DateTime(DateTime::from_millis(-5))]);
        assert_eq!(of("z:"), [Bson::Null]);
        let hex = "0123456789abcdef01234567";
        assert_eq!(of(&format!("o:{hex}")), [Bson::ObjectId(ObjectId::parse_str(hex).unwrap())]);
        assert_eq!(of("u:00112233-4455-6677-8899-aabbccddeeff").len(), 1);
        for unknown in ["x:{\"a\":1}", "b:0500", "h:00", "m:", "nothing"] {
            assert!(of(unknown).is_empty(), "{unknown}");
        }
    }
}
