//! One form for one value: what a mapping encodes and what PostgreSQL gives back of it are the same bytes here, and different values are
//! different bytes.
//!
//! Compared is what PostgreSQL stores, digit by digit: `numeric` 1.0 and 1.00 are two values (in `numeric(p,s)` the scale is the column's),
//! the two float zeros are two, `jsonb` is compared as a document whose members have no order and whose numbers keep their written scale.
//! Types without several spellings are taken byte for byte. Nothing here is shared with what encodes: an error there shows as a difference.
//!
//! ```text
//! field   = 0 (NULL) | 1 | length u32 | form | 2 | length u32 | bytes that are no value of the type
//! numeric = sign u16 | weight i16 | scale i16 | digits without zeros at either end
//! array   = dimensions i32 | (length i32 | lower bound i32)* | field*
//! ```

mod json;

use json::JsonForm;
use landfall_schemas::pgtype::PgType;

/// Signs of `numeric` that are values of their own.
const SPECIAL: u16 = 0xC000;

/// Writes canonical fields; keeps scratch memory.
#[derive(Debug, Default)]
pub(super) struct Canonical(JsonForm);

impl Canonical {
    /// Appends a field.
    pub(super) fn put(&mut self, ty: PgType, field: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(bytes) = field else { return out.push(0) };
        let start = out.len();
        out.extend_from_slice(&[1, 0, 0, 0, 0]);
        if self.form(ty, bytes, out).is_none() {
            out.truncate(start);
            out.extend_from_slice(&[2, 0, 0, 0, 0]);
            out.extend_from_slice(bytes);
        }
        let length = (out.len() - start - 5) as u32;
        out[start + 1..start + 5].copy_from_slice(&length.to_le_bytes());
    }

    fn form(&mut self, ty: PgType, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match ty {
            PgType::Numeric(limits) => numeric(bytes, limits.map(|(_, scale)| scale), out),
            PgType::Jsonb => self.0.put(bytes.strip_prefix(&[1])?, out),
            PgType::Array(element) => self.array(element.ty(), bytes, out),
            _ => {
                out.extend_from_slice(bytes);
                Some(())
            }
        }
    }

    fn array(&mut self, element: PgType, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let dimensions = i32_at(bytes, 0)?;
        out.extend_from_slice(&dimensions.to_be_bytes());
        // Whether there are NULLs shows in the fields, and the type was compared with the table's.
        let head = usize::try_from(dimensions).ok()?.checked_mul(8)?;
        out.extend_from_slice(bytes.get(12..12 + head)?);
        let mut rest = bytes.get(12 + head..)?;
        while !rest.is_empty() {
            let length = i32_at(rest, 0)?;
            let size = usize::try_from(length).unwrap_or(0);
            let field = rest.get(4..4 + size)?;
            self.put(element, (length >= 0).then_some(field), out);
            rest = &rest[4 + size..];
        }
        Some(())
    }
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4)?.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

fn numeric(bytes: &[u8], scale: Option<u16>, out: &mut Vec<u8>) -> Option<()> {
    let word = |at: usize| bytes.get(at..at + 2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let (count, mut weight, mut sign, own_scale) = (word(0)?, word(2)?.cast_signed(), word(4)?, word(6)?);
    let mut digits = bytes.get(8..8 + 2 * usize::from(count))?;
    if sign >= SPECIAL {
        out.extend_from_slice(&sign.to_be_bytes());
        return Some(());
    }
    while let Some(rest) = digits.strip_prefix(&[0, 0]) {
        digits = rest;
        weight = weight.wrapping_sub(1);
    }
    while let Some(rest) = digits.strip_suffix(&[0, 0]).filter(|_| digits.len().is_multiple_of(2)) {
        digits = rest;
    }
    if digits.is_empty() {
        (weight, sign) = (0, 0);
    }
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&scale.unwrap_or(own_scale).to_be_bytes());
    out.extend_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_schemas::pgtype::ElementType;
    use landfall_schemas::value::Encoder;

    fn of(ty: PgType, json: &str) -> Vec<u8> {
        let (mut field, mut out) = (Vec::new(), Vec::new());
        Encoder::default().field(ty, json.as_bytes(), &mut field).unwrap();
        let length = i32::from_be_bytes(field[..4].try_into().unwrap());
        Canonical::default().put(ty, (length >= 0).then(|| &field[4..]), &mut out);
        out
    }

    #[test]
    fn equal_values_have_one_form() {
        let amount = PgType::Numeric(Some((12, 2)));
        let json = PgType::Jsonb;
        for (ty, one, other) in [
            (amount, "5", "5.00"),
            (amount, "-0.50", "-0.5"),
            (PgType::Numeric(None), "1e2", "100"),
            (json, r#"{"b":1,"a":[1, 2]}"#, r#" { "a" : [1,2] , "b" : 1 } "#),
            (json, r#"{"\u0061":"\u00e9"}"#, r#"{"a":"é"}"#),
            (json, "[1e2, 1.5e1, 1.50]", "[100, 15, 1.50]"),
            (json, r#"{"aa":1,"b":2}"#, r#"{"b":2,"aa":1}"#),
        ] {
            assert_eq!(of(ty, one), of(ty, other), "{ty}: {one} and {other}");
        }
    }

    #[test]
    fn different_values_have_different_forms() {
        let (json, any) = (PgType::Jsonb, PgType::Numeric(None));
        let texts = PgType::Array(ElementType::of(PgType::Text).unwrap());
        for (ty, one, other) in [
            (any, "1.0", "1.00"),
            (any, "1", "-1"),
            (any, "10000", "1"),
            (any, "0.0001", "1"),
            (PgType::Float8, "0.0", "-0.0"),
            (PgType::Text, r#""a""#, r#""a ""#),
            (PgType::Text, r#""""#, "null"),
            (json, "[1,2]", "[2,1]"),
            (json, "1.0", "1.00"),
            (json, "1", r#""1""#),
            (json, r#"{"a":null}"#, "{}"),
            (json, r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#),
            (json, "[[1],2]", "[[1,2]]"),
            (json, r#"["a","b"]"#, r#"["ab"]"#),
            (texts, r#"["a",null]"#, r#"["a",""]"#),
            (texts, "[]", r#"[""]"#),
        ] {
            assert_ne!(of(ty, one), of(ty, other), "{ty}: {one} and {other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_compared_as_it_is() {
        let of = |bytes: &[u8]| {
            let mut out = Vec::new();
            Canonical::default().put(PgType::Jsonb, Some(bytes), &mut out);
            out
        };
        assert_eq!(of(b"\x01{\"a\":"), of(b"\x01{\"a\":"));
        assert_ne!(of(b"\x01{\"a\":"), of(b"\x01{\"b\":"));
        assert_ne!(of(b"\x011"), of(b"\x021"));
    }
}
