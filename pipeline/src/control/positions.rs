//! Source positions on the control socket: slot and value are bytes, so base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landfall_schemas::position::PositionTable;

pub(super) fn encoded(table: &PositionTable) -> Vec<(String, String)> {
    table.0.iter().map(|(slot, value)| (STANDARD.encode(slot), STANDARD.encode(value))).collect()
}

/// `None`: not what a service of this version says.
pub(super) fn decoded(slots: &[(String, String)]) -> Option<PositionTable> {
    let bytes = |text: &str| STANDARD.decode(text).ok().map(Vec::into_boxed_slice);
    let table: Option<_> = slots.iter().map(|(slot, value)| Some((bytes(slot)?, bytes(value)?))).collect();
    table.map(PositionTable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_and_what_is_no_base64_is_none() {
        let slot = |bytes: &[u8]| bytes.to_vec().into_boxed_slice();
        let table = PositionTable([(slot(b"a\0\xff"), slot(&[0; 300])), (slot(b""), slot(b""))].into());
        assert_eq!(decoded(&encoded(&table)), Some(table));
        assert_eq!(decoded(&[("not base64".to_owned(), String::new())]), None);
    }
}
