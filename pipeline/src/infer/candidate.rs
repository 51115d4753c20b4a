//! Which column type holds every value that was seen, found by trying: a type that refuses one value is out.
//!
//! So a proposal is never narrower than its sample, and the judge is the encoder that will write the rows. For BSON a type must also
//! give the value back in its very type, or the field would stay in the rest as well.

use landfall_schemas::bson::Value;
use landfall_schemas::json::Kind;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::value::{Encoder, gives_back, gives_back_by_value, put_bson};

/// What JSON values are tried as, the first that fits is proposed.
const JSON: [PgType; 8] = [
    PgType::Bool,
    PgType::Int8,
    PgType::Numeric(None),
    PgType::Uuid,
    PgType::Date,
    PgType::TimestampTz,
    PgType::Timestamp,
    PgType::Text,
];
/// What BSON values are tried as.
const BSON: [PgType; 9] = [
    PgType::Bool,
    PgType::Int4,
    PgType::Int8,
    PgType::Float8,
    PgType::Numeric(None),
    PgType::ObjectId,
    PgType::TimestampTz,
    PgType::Uuid,
    PgType::Text,
];

/// What values of SQLite are tried as.
const SQLITE: [PgType; 4] = [PgType::Int8, PgType::Float8, PgType::Bytea, PgType::Text];

/// The types that are still in, of one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidates {
    all: &'static [PgType],
    alive: u16,
    /// Numbers are of one kind, whatever their width.
    one_kind: bool,
}

impl Candidates {
    pub(super) fn json() -> Self {
        Self { all: &JSON, alive: u16::MAX, one_kind: false }
    }

    pub(super) fn bson() -> Self {
        Self { all: &BSON, alive: u16::MAX, one_kind: false }
    }

    pub(super) fn sqlite() -> Self {
        Self { all: &SQLITE, alive: u16::MAX, one_kind: true }
    }

    /// Tries a scalar that is not null.
    pub(super) fn try_json(&mut self, raw: &[u8], (encoder, scratch): (&mut Encoder, &mut Vec<u8>)) {
        let spelled_out = Kind::of(raw.first().copied().unwrap_or_default()) == Some(Kind::String);
        self.keep(|ty| {
            scratch.clear();
            // A value whose spelling the type would change stays text.
            let exact = match ty {
                PgType::Uuid => raw.iter().all(|byte| !byte.is_ascii_uppercase()),
                PgType::Numeric(_) => !raw.iter().any(|byte| matches!(byte, b'e' | b'E')),
                PgType::Int8 => !raw.iter().any(|byte| matches!(byte, b'e' | b'E' | b'.')),
                PgType::Date | PgType::TimestampTz | PgType::Timestamp => spelled_out,
                _ => true,
            };
            exact && encoder.field(ty, raw, scratch).is_ok()
        });
    }

    /// Tries a scalar that is not null.
    pub(super) fn try_bson(&mut self, value: &Value<'_>, scratch: &mut Vec<u8>) {
        let comes_back = if self.one_kind { gives_back_by_value } else { gives_back };
        self.keep(|ty| {
            scratch.clear();
            comes_back(ty, value) && put_bson(ty, value, scratch).is_ok()
        });
    }

    /// All of them again.
    pub(super) fn all_again(self) -> Self {
        Self { alive: u16::MAX, ..self }
    }

    /// The values of both.
    pub(super) fn merge(&mut self, other: Self) {
        self.alive &= other.alive;
    }

    /// The first that held all; `None`: `jsonb` alone does.
    pub(super) fn best(self) -> Option<PgType> {
        self.all.iter().enumerate().find(|(bit, _)| self.alive & (1 << bit) != 0).map(|(_, ty)| *ty)
    }

    fn keep(&mut self, mut fits: impl FnMut(PgType) -> bool) {
        for (bit, ty) in self.all.iter().enumerate() {
            if self.alive & (1 << bit) != 0 && !fits(*ty) {
                self.alive &= !(1 << bit);
            }
        }
    }
}
