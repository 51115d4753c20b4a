//! Where a record's key comes from.

use super::RecordKey;
use crate::json;
use crate::mapping::{KeyFrom, KeySpec};
use crate::rejection::RejectCode;

/// Fills `key` for a record. `name` is what the source calls it: the property name or path (`KeyFrom::Name`), the file's
/// stem (`KeyFrom::Stem`).
///
/// Errors leave the key empty: `KeyMissing` where the field, the name, or the record as an object is missing, and for
/// `KeyFrom::Position` and `KeyFrom::Composite`, whose key the source makes with [`RecordKey::place`]; else those of [`RecordKey::set_json`]. Text
/// behind the field is not read, so success does not mean that the record is JSON.
pub fn key_of(spec: &KeySpec, record: &[u8], name: Option<&str>, key: &mut RecordKey) -> Result<(), RejectCode> {
    key.0.clear();
    match &spec.from {
        KeyFrom::Field(path) => match json::field(record, path) {
            Ok(Some(value)) => key.set_json(value),
            Ok(None) => Err(RejectCode::KeyMissing),
            Err(error) => Err(error.code),
        },
        KeyFrom::Name | KeyFrom::Stem => {
            key.string(name.ok_or(RejectCode::KeyMissing)?);
            Ok(())
        }
        KeyFrom::Position | KeyFrom::Id | KeyFrom::Composite(_) => Err(RejectCode::KeyMissing),
    }
}

/// Fills `key` for a BSON document, from `_id` or from the field that the mapping names.
///
/// Errors leave the key empty: `KeyMissing` where nothing stands there, and for keys that no document holds; `Malformed`,
/// `TooDeep`.
pub fn key_of_bson(spec: &KeySpec, document: &[u8], key: &mut RecordKey) -> Result<(), RejectCode> {
    match &spec.from {
        KeyFrom::Id => key.set_bson_field(document, &["_id"]),
        KeyFrom::Field(path) => key.set_bson_field(document, path.parts()),
        KeyFrom::Name | KeyFrom::Stem | KeyFrom::Position | KeyFrom::Composite(_) => {
            key.0.clear();
            Err(RejectCode::KeyMissing)
        }
    }
}
