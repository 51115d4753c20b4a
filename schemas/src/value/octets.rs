//! Strings that become text or bytes.

use crate::rejection::RejectCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

/// Length of a UUID with its hyphens: the one spelling taken.
const UUID_TEXT: usize = 36;
/// Length of an ObjectId in hex.
const OBJECT_ID_TEXT: usize = 24;

pub(super) fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(RejectCode::NulCharacter);
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(super) fn put_uuid(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    if text.len() != UUID_TEXT {
        return Err(RejectCode::ColumnType);
    }
    let uuid = Uuid::try_parse(text).map_err(|_| RejectCode::ColumnType)?;
    out.extend_from_slice(uuid.as_bytes());
    Ok(())
}

/// Padded, standard alphabet, no stray bits: each byte string has one spelling.
pub(super) fn put_base64(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    STANDARD.decode_vec(text, out).map_err(|_| RejectCode::ColumnType)
}

/// Twelve bytes in lower-case hex: the one spelling of an ObjectId.
pub fn is_object_id(text: &str) -> bool {
    text.len() == OBJECT_ID_TEXT && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn put_object_id(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    if !is_object_id(text) {
        return Err(RejectCode::ColumnType);
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}
