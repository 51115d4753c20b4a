//! The users as MongoDB documents, and as the rows that a landing stream makes of them.
//!
//! A document has about 290 bytes of BSON: an ObjectId that ascends with the number, strings, a double, a date, an array and nested
//! documents. The row is written apart from the product's converter: key, relaxed Extended JSON, the exact bytes.
//!
//! ```text
//! fields = key text | doc jsonb | _lf_raw bytea | _lf_version int8        each: length i32 be | PostgreSQL's binary form
//! ```

use crate::bare_table::BareTable;
use crate::mix::{Change, Mix};
use crate::user::{User, field, put, write_time};
use bson::oid::ObjectId;
use bson::{DateTime, RawDocumentBuf, cstr, rawdoc};
use std::collections::HashMap;

/// The table of the baselines, as the product makes it for a stream without columns.
pub const BARE_DOCUMENTS: BareTable = BareTable {
    name: "bare.documents",
    columns: &[("key", "text"), ("doc", "jsonb"), ("_lf_raw", "bytea"), ("_lf_version", "int8")],
    indexes: "ALTER TABLE bare.documents ADD PRIMARY KEY (key)",
    write: write_fields,
    delete: write_delete,
};

/// Four bytes of time, four that are always the same, four of a counter: ascending, as drivers make them.
pub fn object_id(user: User) -> ObjectId {
    let number = user.number();
    let mut bytes = [0x5a; 12];
    bytes[..4].copy_from_slice(&(0x6600_0000_u32 + (number / 1_000) as u32).to_be_bytes());
    bytes[8..].copy_from_slice(&(number as u32).to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn balance(user: User) -> f64 {
    let (whole, decimals) = user.balance();
    f64::from(whole) + f64::from(decimals) / 1e4
}

fn extra(user: User) -> RawDocumentBuf {
    rawdoc! {
        "address": { "city": user.city(), "zip": format!("{:05}", user.zip()) },
        "visits": user.visits() as i32,
        "last_seen": format!("{:016x}", user.last_seen()),
        "note": format!("said \"{}\" once", user.speaker()),
    }
}

/// The document.
pub fn document(user: User) -> RawDocumentBuf {
    let [first, second] = user.tags();
    let mut document = rawdoc! {
        "_id": object_id(user),
        "email": user.email(),
        "name": user.name(),
        "balance": balance(user),
        "created_at": DateTime::from_millis(user.created() as i64 * 1_000),
        "tags": [first, second],
    };
    document.append(cstr!("extra"), extra(user));
    document
}

/// What an update sets: everything that differs between revisions.
pub fn revised(user: User) -> RawDocumentBuf {
    let mut set = rawdoc! { "name": user.name(), "balance": balance(user) };
    set.append(cstr!("extra"), extra(user));
    let mut update = RawDocumentBuf::new();
    update.append(cstr!("$set"), set);
    update
}

fn key(user: User) -> String {
    format!("o:{}", object_id(user).to_hex())
}

/// The key of a user's row.
pub fn row_key(number: u64) -> String {
    key(User::new(number, 0))
}

fn write_doc(user: User, out: &mut Vec<u8>) {
    let [first, second] = user.tags();
    put(out, format_args!(r#"{{"_id":{{"$oid":"{}"}},"email":"{}","#, object_id(user).to_hex(), user.email()));
    put(out, format_args!(r#""name":"{}","balance":{:?},"created_at":{{"$date":""#, user.name(), balance(user)));
    write_time(out, user.created());
    put(out, format_args!(r#""}},"tags":["{first}","{second}"],"extra":"#));
    put(out, format_args!(r#"{{"address":{{"city":"{}","zip":"{:05}"}},"#, user.city(), user.zip()));
    put(out, format_args!(r#""visits":{},"last_seen":"{:016x}","#, user.visits(), user.last_seen()));
    put(out, format_args!(r#""note":"said \"{}\" once"}}}}"#, user.speaker()));
}

fn write_fields(user: User, version: i64, out: &mut Vec<u8>) {
    field(out, |out| out.extend_from_slice(key(user).as_bytes()));
    field(out, |out| {
        // Version 1 of jsonb's binary form: the text.
        out.push(1);
        write_doc(user, out);
    });
    field(out, |out| out.extend_from_slice(document(user).as_bytes()));
    field(out, |out| out.extend_from_slice(&version.to_be_bytes()));
}

fn write_delete(user: User, version: i64, out: &mut Vec<u8>) {
    field(out, |out| out.extend_from_slice(key(user).as_bytes()));
    for _ in 1..BARE_DOCUMENTS.columns.len() - 1 {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
    }
    field(out, |out| out.extend_from_slice(&version.to_be_bytes()));
}

/// The changes as a stream shows them that is read behind the last one: an update comes with the document as it is by then, and the
/// update of a document that is gone by then says nothing.
pub fn looked_up(mix: &Mix) -> Vec<Change> {
    let last: HashMap<u64, Change> = mix.changes.iter().map(|change| (change.user.number(), *change)).collect();
    let seen = mix.changes.iter().filter_map(|change| {
        let last = last[&change.user.number()];
        match (change.delete || change.insert, last.delete) {
            (true, _) => Some(*change),
            (false, false) => Some(last),
            (false, true) => None,
        }
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use super::{document, looked_up, write_doc};
    use crate::mix::Mix;
    use crate::user::User;
    use bson::Document;

    #[test]
    fn text_and_bytes_say_the_same() {
        for number in 0..500 {
            let user = User::new(number, number % 3);
            let mut text = Vec::new();
            write_doc(user, &mut text);
            let written: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let read = Document::try_from(document(user)).unwrap();
            let read = bson::Bson::Document(read).into_relaxed_extjson();
            assert_eq!(written, read);
        }
    }

    #[test]
    fn an_update_is_seen_as_the_document_is_in_the_end() {
        let mix = Mix::steady(50, 2_000, 5);
        let seen = looked_up(&mix);
        assert!(seen.len() < mix.changes.len());
        let deletes = |changes: &[crate::mix::Change]| changes.iter().filter(|change| change.delete).count();
        assert_eq!(deletes(&seen), deletes(&mix.changes));
    }
}
