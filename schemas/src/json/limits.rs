//! How large and how deep a record may be. What passes a limit is parked, never cut.

/// Longest record a source takes, in bytes. Longer ones are parked as `too_large` with their head as payload: a record is
/// held in memory several times over on its way, and offsets inside it fit 32 bits.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Deepest nesting of arrays and objects. PostgreSQL parses `jsonb` by recursion on a 2 MB stack, and no store we carry
/// nests deeper (MongoDB stops at 100).
pub const MAX_DEPTH: usize = 200;

/// Most members of one object: bounds the work of finding duplicates.
pub const MAX_MEMBERS: usize = 10_000;

/// Longest text of a number, in bytes: exact decimal arithmetic on it must stay cheap.
pub const MAX_NUMBER_TEXT: usize = 1_000;

/// Most digits `jsonb` may spell out from exponents in one record (`1e100000` is stored in a few bytes but printed as
/// 100 001 digits): a record that could be stored but not read back within PostgreSQL's 1 GB is not storable.
pub(super) const MAX_EXPANDED_DIGITS: u64 = 64 << 20;
