//! Made-up documents over every BSON type with its extremes, seeded. As bytes: what a library would not write can be asked for.
//!
//! Names and values are drawn independently, so that each meets each; every document has an `_id` of its own.

use crate::raw_bson::{DECIMAL_COEFFICIENT, DECIMAL_INFINITY, DECIMAL_NAN, RawValue, RawWriter, Sign, tag};
use crate::seed::Seed;
use bson::RawDocumentBuf;

/// Deepest nesting drawn; [`deep`] makes more.
const MAX_DEPTH: u64 = 5;
/// Most fields of a document.
const MAX_FIELDS: u64 = 9;
/// Most elements of an array.
const MAX_ELEMENTS: u64 = 6;
/// One document in so many holds each oddity that is asked for.
const ODD_ONE_IN: u64 = 10;

/// What servers and libraries differ on. Ask for what the server under test stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Oddity {
    /// The same name twice in a document.
    DuplicateNames,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// Undefined, symbol and DBPointer, which are deprecated.
    DeprecatedTypes,
    /// Dates outside the years 1 to 9999.
    FarDates,
    /// An array whose names are not its positions.
    WrongPositions,
    /// A NaN with payload bits.
    NanPayload,
}

impl Oddity {
    /// What MongoDB stores (all of it) and the Rust flavour of the test server too.
    pub const STORED_BY_RUST: &'static [Self] = &[Self::DuplicateNames, Self::DeprecatedTypes, Self::FarDates];
    /// All.
    pub const ALL: &'static [Self] = &[
        Self::DuplicateNames,
        Self::InvalidUtf8,
        Self::DeprecatedTypes,
        Self::FarDates,
        Self::WrongPositions,
        Self::NanPayload,
    ];
}

/// Names on which programs differ.
const NAMES: &[&str] = &[
    "a",
    "name",
    "Name",
    "id",
    "key",
    "doc",
    "created_at",
    "with space",
    "ünï",
    "🚀",
    "",
    "a.b",
    "$set",
    "$oid",
    "$date",
    "$numberLong",
    "0",
    "00",
    "__proto__",
    "quote\"",
    "back\\slash",
    "tab\t",
    "_lf_raw",
    "_lf_version",
    "a_name_that_is_longer_than_the_sixty_three_bytes_that_an_identifier_may_have",
];

/// Strings on which programs differ.
const STRINGS: &[&str] = &[
    "",
    " ",
    " padded ",
    "plain",
    "5",
    "true",
    "null",
    "\\N",
    "\\.",
    "line\nbreak\r\n",
    "tab\t",
    "quote\"",
    "back\\slash",
    "\u{1}\u{1f}\u{7f}",
    "a\0b",
    "\0",
    "ünïcödé",
    "e\u{301}",
    "\u{feff}bom",
    "\u{ffff}",
    "🚀",
    "\u{10ffff}",
    "{\"$oid\":\"x\"}",
    "2012-11-20T20:02:24.386Z",
    "50b59cd75bed76f46522c34e",
];

const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    5.0,
    0.1,
    1.5,
    1e15,
    1e16,
    1e17,
    1e21,
    1e22,
    123_456_789.125,
    9_007_199_254_740_993.0,
    -5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::EPSILON,
    1.234_567_892_123_2E+18,
];

const INT64S: &[i64] = &[
    0,
    1,
    -1,
    i64::MIN,
    i64::MAX,
    2_147_483_647,
    2_147_483_648,
    -2_147_483_649,
    9_007_199_254_740_993,
    1_000_000_000_000,
];

/// Years 1 to 9999, on both sides of what counts.
const DATES: &[i64] = &[
    0,
    1,
    -1,
    999,
    1_354_080_000_000,
    -2_208_988_800_000,
    253_402_300_799_999,
    -62_135_596_800_000,
    951_782_399_999,
    951_782_400_000,
];

/// Beyond them; some beyond PostgreSQL too.
const FAR_DATES: &[i64] = &[
    253_402_300_800_000,
    -62_135_596_800_001,
    9_224_318_015_999_999,
    9_224_318_016_000_000,
    -210_866_803_200_000,
    -210_866_803_200_001,
    i64::MAX,
    i64::MIN,
];

/// `count` documents with the oddities asked for, `_id`s from 0 on.
pub fn documents(seed: &mut Seed, count: usize, odd: &[Oddity]) -> Vec<RawDocumentBuf> {
    let mut makers = Makers { seed: seed.fork(), odd: odd.to_vec() };
    (0..count).map(|number| makers.whole(number)).collect()
}

/// A document nested `depth` levels deep, itself included.
pub fn deep(id: &RawValue, depth: usize) -> RawDocumentBuf {
    let mut inner = RawValue::int32(1);
    for _ in 1..depth {
        inner = RawValue::document(&RawWriter::default().with("d", &inner).finish());
    }
    RawWriter::default().with("_id", id).with("d", &inner).finish()
}

/// A document of about `bytes` bytes.
pub fn large(id: &RawValue, bytes: usize) -> RawDocumentBuf {
    RawWriter::default().with("_id", id).with("filler", &RawValue::string(&"x".repeat(bytes))).finish()
}

struct Makers {
    seed: Seed,
    odd: Vec<Oddity>,
}

impl Makers {
    fn whole(&mut self, number: usize) -> RawDocumentBuf {
        let mut writer = RawWriter::default();
        writer.put("_id", &RawValue::int64(i64::try_from(number).expect("few documents")));
        self.fields(&mut writer, 0);
        if let Some(value) =
            self.chosen(Oddity::InvalidUtf8).then(|| RawValue::text(tag::STRING, b"a\xff\xc3(\xed\xa0\x80"))
        {
            writer.put("invalid", &value);
        }
        if self.chosen(Oddity::NanPayload) {
            writer
                .put("nan", &RawValue { tag: tag::DOUBLE, payload: 0xfff8_0000_dead_beef_u64.to_le_bytes().to_vec() });
        }
        if self.chosen(Oddity::WrongPositions) {
            let wrong = RawWriter::default().with("7", &RawValue::yes()).with("x", &RawValue::no()).finish();
            writer.put("positions", &RawValue { tag: tag::ARRAY, payload: wrong.into_bytes() });
        }
        writer.finish()
    }

    fn wants(&self, oddity: Oddity) -> bool {
        self.odd.contains(&oddity)
    }

    fn chosen(&mut self, oddity: Oddity) -> bool {
        self.wants(oddity) && self.seed.one_in(ODD_ONE_IN)
    }

    fn fields(&mut self, writer: &mut RawWriter, depth: u64) {
        let mut used: Vec<&str> = Vec::new();
        for _ in 0..self.seed.below(MAX_FIELDS) {
            let name = *self.seed.pick(NAMES);
            if !used.contains(&name) || self.chosen(Oddity::DuplicateNames) {
                used.push(name);
                let value = self.value(depth);
                writer.put(name, &value);
            }
        }
    }

    fn value(&mut self, depth: u64) -> RawValue {
        let kinds = if self.wants(Oddity::DeprecatedTypes) { 22 } else { 19 };
        match self.seed.below(kinds) {
            0 | 1 if depth < MAX_DEPTH => self.document(depth + 1),
            2 | 3 if depth < MAX_DEPTH => self.array(depth + 1),
            0..=4 => RawValue::string(self.seed.pick::<&str>(STRINGS)),
            5 => RawValue::double(*self.seed.pick(DOUBLES)),
            6 => RawValue::double(f64::from_bits(self.seed.draw() & !(1 << 62))),
            7 => RawValue::int32(*self.seed.pick(&[0, 1, -1, 42, i32::MIN, i32::MAX])),
            8 => RawValue::int64(*self.seed.pick(INT64S)),
            9 => self.decimal(),
            10 => self.object_id(),
            11 => self.seed.pick(&[RawValue::yes(), RawValue::no()]).clone(),
            12 => RawValue::bare(tag::NULL),
            13 => self.date(),
            14 => RawValue::timestamp(self.seed.draw() as u32, self.seed.draw() as u32),
            15 => self.binary(),
            16 => RawValue::regex(
                self.seed.pick(&["", "^a.*$", "a/b", "ü"]).as_bytes(),
                self.seed.pick(&["", "i", "imsx"]).as_bytes(),
            ),
            17 => self.code(depth),
            18 => RawValue::bare(*self.seed.pick(&[tag::MIN_KEY, tag::MAX_KEY])),
            19 => RawValue::bare(tag::UNDEFINED),
            20 => RawValue::text(tag::SYMBOL, self.seed.pick(STRINGS).as_bytes()),
            _ => RawValue::db_pointer("db.coll", [7; 12]),
        }
    }

    fn document(&mut self, depth: u64) -> RawValue {
        let mut writer = RawWriter::default();
        if self.seed.one_in(8) {
            // A reference to another document, by convention only.
            writer.put("$ref", &RawValue::string("other"));
            let id = self.object_id();
            writer.put("$id", &id);
        }
        self.fields(&mut writer, depth);
        RawValue::document(&writer.finish())
    }

    fn array(&mut self, depth: u64) -> RawValue {
        let values: Vec<RawValue> = (0..self.seed.below(MAX_ELEMENTS)).map(|_| self.value(depth)).collect();
        RawValue::array(&values)
    }

    fn decimal(&mut self) -> RawValue {
        let sign = *self.seed.pick(&[Sign::Plus, Sign::Minus]);
        match self.seed.below(6) {
            0 => RawValue::decimal_bits(*self.seed.pick(&[DECIMAL_NAN, DECIMAL_INFINITY, DECIMAL_INFINITY | 1 << 127])),
            1 => RawValue::decimal(sign, DECIMAL_COEFFICIENT, *self.seed.pick(&[-6_176, -34, 0, 6_111])),
            2 => RawValue::decimal(sign, 0, *self.seed.pick(&[-6_176, -2, 0, 5, 6_111])),
            3 => RawValue::decimal(sign, 1, *self.seed.pick(&[-6_176, 3, 6_111])),
            _ => RawValue::decimal(sign, u128::from(self.seed.draw()), *self.seed.pick(&[-20, -2, -1, 0, 1])),
        }
    }

    fn date(&mut self) -> RawValue {
        let far = self.chosen(Oddity::FarDates);
        RawValue::date(*self.seed.pick(if far { FAR_DATES } else { DATES }))
    }

    fn object_id(&mut self) -> RawValue {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.seed.draw().to_be_bytes());
        RawValue::object_id(id)
    }

    fn binary(&mut self) -> RawValue {
        let subtype = *self.seed.pick(&[0, 1, 2, 3, 4, 5, 6, 8, 9, 128, 255]);
        let length = if matches!(subtype, 3..=5) { 16 } else { self.seed.below(40) };
        let bytes: Vec<u8> = (0..length).map(|_| self.seed.draw() as u8).collect();
        RawValue::binary(subtype, &bytes)
    }

    fn code(&mut self, depth: u64) -> RawValue {
        if depth < MAX_DEPTH && self.seed.one_in(2) {
            // The Rust flavour keeps the last of two names in a scope, though it keeps both everywhere else.
            let odd = std::mem::take(&mut self.odd);
            let mut scope = RawWriter::default();
            self.fields(&mut scope, depth + 1);
            self.odd = odd;
            return RawValue::code_with_scope("function () { return x; }", &scope.finish());
        }
        RawValue::text(tag::CODE, self.seed.pick(STRINGS).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{Oddity, deep, documents};
    use crate::raw_bson::RawValue;
    use crate::seed::Seed;
    use bson::{RawBsonRef, RawDocument};
    use std::collections::HashSet;

    fn tags(document: &RawDocument, found: &mut HashSet<u8>) {
        for element in document.iter() {
            let (_, value) = element.unwrap();
            found.insert(value.element_type() as u8);
            match value {
                RawBsonRef::Document(inner) => tags(inner, found),
                RawBsonRef::Array(inner) => tags(RawDocument::from_bytes(inner.as_bytes()).unwrap(), found),
                _ => {}
            }
        }
    }

    #[test]
    fn thousands_of_documents_hold_every_type_and_can_be_read() {
        let sound = [Oddity::DuplicateNames, Oddity::DeprecatedTypes, Oddity::FarDates, Oddity::NanPayload];
        let made = documents(&mut Seed::new(3), 6_000, &sound);
        let mut found = HashSet::new();
        made.iter().for_each(|document| tags(document, &mut found));
        let wanted: HashSet<u8> = (0x01..=0x13).chain([0x7f, 0xff]).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let make = || documents(&mut Seed::new(9), 200, Oddity::ALL);
        assert_eq!(make(), make());
        assert_ne!(make(), documents(&mut Seed::new(10), 200, Oddity::ALL));
    }

    #[test]
    fn a_deep_document_is_as_deep_as_asked_for() {
        let made = deep(&RawValue::int32(1), 100);
        let mut depth = 1;
        let mut at: &RawDocument = &made;
        while let Ok(inner) = at.get_document("d") {
            depth += 1;
            at = inner;
        }
        assert_eq!(depth, 100);
    }
}
