//! A row of SQLite as a BSON document: BSON has all of SQLite's kinds, and its reader judges what cannot be stored.
//!
//! | SQLite | BSON |
//! |---|---|
//! | INTEGER | 64-bit integer |
//! | REAL | double |
//! | TEXT | string, byte for byte (UTF-8 or not) |
//! | BLOB | binary, subtype 0 |
//! | NULL | null |

use rusqlite::types::ValueRef;

/// Appends a document of a row's columns.
pub(super) fn put_document<'v>(columns: impl Iterator<Item = (&'v str, ValueRef<'v>)>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for (name, value) in columns {
        put_element(name, value, out);
    }
    out.push(0);
    let length = (out.len() - start) as i32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn put_element(name: &str, value: ValueRef<'_>, out: &mut Vec<u8>) {
    out.push(match value {
        ValueRef::Real(_) => 0x01,
        ValueRef::Text(_) => 0x02,
        ValueRef::Blob(_) => 0x05,
        ValueRef::Null => 0x0a,
        ValueRef::Integer(_) => 0x12,
    });
    // SQLite's names cannot hold a NUL.
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(number) => out.extend_from_slice(&number.to_le_bytes()),
        ValueRef::Real(number) => out.extend_from_slice(&number.to_le_bytes()),
        ValueRef::Text(text) => {
            out.extend_from_slice(&(text.len() as i32 + 1).to_le_bytes());
            out.extend_from_slice(text);
            out.push(0);
        }
        ValueRef::Blob(bytes) => {
            out.extend_from_slice(&(bytes.len() as i32).to_le_bytes());
            out.push(0);
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Binary, Bson, doc, spec::BinarySubtype};

    #[test]
    fn every_kind_is_the_one_that_the_library_reads() {
        let mut out = Vec::new();
        let columns = [
            ("i", ValueRef::Integer(i64::MIN)),
            ("r", ValueRef::Real(-0.5)),
            ("t", ValueRef::Text("née\0".as_bytes())),
            ("b", ValueRef::Blob(&[0, 255])),
            ("n", ValueRef::Null),
        ];
        put_document(columns.into_iter(), &mut out);
        let read: bson::Document = bson::deserialize_from_slice(&out).unwrap();
        let bytes = Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] });
        assert_eq!(read, doc! { "i": i64::MIN, "r": -0.5, "t": "née\0", "b": bytes, "n": Bson::Null });
    }
}
