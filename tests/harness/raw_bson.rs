//! BSON written byte by byte, after the specification and not through a library: so that duplicate field names, invalid UTF-8 and
//! everything else that a library would tidy up can be made. Checks nothing; what comes out is what was asked for.

use bson::RawDocumentBuf;

/// The type bytes of the specification.
pub mod tag {
    /// IEEE 754, 64 bits.
    pub const DOUBLE: u8 = 0x01;
    /// UTF-8 with a length and a closing zero.
    pub const STRING: u8 = 0x02;
    /// A document inside.
    pub const DOCUMENT: u8 = 0x03;
    /// A document whose names are positions.
    pub const ARRAY: u8 = 0x04;
    /// Bytes with a subtype.
    pub const BINARY: u8 = 0x05;
    /// Deprecated.
    pub const UNDEFINED: u8 = 0x06;
    /// Twelve bytes.
    pub const OBJECT_ID: u8 = 0x07;
    /// One byte.
    pub const BOOL: u8 = 0x08;
    /// Milliseconds since 1970.
    pub const DATE: u8 = 0x09;
    /// Nothing behind it.
    pub const NULL: u8 = 0x0A;
    /// Two C strings.
    pub const REGEX: u8 = 0x0B;
    /// Deprecated.
    pub const DB_POINTER: u8 = 0x0C;
    /// As a string.
    pub const CODE: u8 = 0x0D;
    /// Deprecated; as a string.
    pub const SYMBOL: u8 = 0x0E;
    /// Code and a document.
    pub const CODE_WITH_SCOPE: u8 = 0x0F;
    /// 32 bits.
    pub const INT32: u8 = 0x10;
    /// Increment, then seconds.
    pub const TIMESTAMP: u8 = 0x11;
    /// 64 bits.
    pub const INT64: u8 = 0x12;
    /// IEEE 754-2008, 128 bits.
    pub const DECIMAL128: u8 = 0x13;
    /// Above all.
    pub const MAX_KEY: u8 = 0x7F;
    /// Below all.
    pub const MIN_KEY: u8 = 0xFF;
}

/// A value: its type byte and the bytes behind the name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RawValue {
    /// See [`tag`].
    pub tag: u8,
    /// What stands behind the name.
    pub payload: Vec<u8>,
}

impl RawValue {
    /// A type without payload: null, undefined, MinKey, MaxKey.
    pub fn bare(tag: u8) -> Self {
        Self { tag, payload: Vec::new() }
    }

    /// A double; every bit pattern is kept.
    pub fn double(value: f64) -> Self {
        Self { tag: tag::DOUBLE, payload: value.to_bits().to_le_bytes().to_vec() }
    }

    /// A string, code or symbol, of any bytes.
    pub fn text(tag: u8, bytes: &[u8]) -> Self {
        let mut payload = length(bytes.len() + 1);
        payload.extend_from_slice(bytes);
        payload.push(0);
        Self { tag, payload }
    }

    /// A string.
    pub fn string(text: &str) -> Self {
        Self::text(tag::STRING, text.as_bytes())
    }

    /// A document.
    pub fn document(document: &RawDocumentBuf) -> Self {
        Self { tag: tag::DOCUMENT, payload: document.as_bytes().to_vec() }
    }

    /// An array of these.
    pub fn array(values: &[Self]) -> Self {
        let mut writer = RawWriter::default();
        for (position, value) in values.iter().enumerate() {
            writer.put(&position.to_string(), value);
        }
        Self { tag: tag::ARRAY, payload: writer.finish().into_bytes() }
    }

    /// Bytes of a subtype. Subtype 2 gets the inner length that it demands.
    pub fn binary(subtype: u8, bytes: &[u8]) -> Self {
        let inner = if subtype == 2 { length(bytes.len()) } else { Vec::new() };
        let mut payload = length(inner.len() + bytes.len());
        payload.push(subtype);
        payload.extend_from_slice(&inner);
        payload.extend_from_slice(bytes);
        Self { tag: tag::BINARY, payload }
    }

    /// An ObjectId.
    pub fn object_id(bytes: [u8; 12]) -> Self {
        Self { tag: tag::OBJECT_ID, payload: bytes.to_vec() }
    }

    /// False.
    pub fn no() -> Self {
        Self { tag: tag::BOOL, payload: vec![0] }
    }

    /// True.
    pub fn yes() -> Self {
        Self { tag: tag::BOOL, payload: vec![1] }
    }

    /// Milliseconds since 1970.
    pub fn date(milliseconds: i64) -> Self {
        Self { tag: tag::DATE, payload: milliseconds.to_le_bytes().to_vec() }
    }

    /// A regular expression; neither text may hold a zero byte.
    pub fn regex(pattern: &[u8], options: &[u8]) -> Self {
        Self { tag: tag::REGEX, payload: [pattern, &[0], options, &[0]].concat() }
    }

    /// A pointer to a document of another collection.
    pub fn db_pointer(namespace: &str, id: [u8; 12]) -> Self {
        let mut payload = Self::string(namespace).payload;
        payload.extend_from_slice(&id);
        Self { tag: tag::DB_POINTER, payload }
    }

    /// Code with the variables it sees.
    pub fn code_with_scope(code: &str, scope: &RawDocumentBuf) -> Self {
        let code = Self::string(code).payload;
        let mut payload = length(4 + code.len() + scope.as_bytes().len());
        payload.extend_from_slice(&code);
        payload.extend_from_slice(scope.as_bytes());
        Self { tag: tag::CODE_WITH_SCOPE, payload }
    }

    /// 32 bits.
    pub fn int32(value: i32) -> Self {
        Self { tag: tag::INT32, payload: value.to_le_bytes().to_vec() }
    }

    /// 64 bits.
    pub fn int64(value: i64) -> Self {
        Self { tag: tag::INT64, payload: value.to_le_bytes().to_vec() }
    }

    /// Seconds and increment.
    pub fn timestamp(seconds: u32, increment: u32) -> Self {
        let payload = [increment.to_le_bytes(), seconds.to_le_bytes()].concat();
        Self { tag: tag::TIMESTAMP, payload }
    }

    /// `coefficient` × 10^`exponent`, in binary integer form; `coefficient` has at most 34 digits.
    pub fn decimal(negative: Sign, coefficient: u128, exponent: i32) -> Self {
        let biased = u128::try_from(exponent + DECIMAL_BIAS).expect("exponents start at -6176");
        let sign = if negative == Sign::Minus { 1 << 127 } else { 0 };
        Self::decimal_bits(sign | biased << 113 | coefficient)
    }

    /// Any 128 bits.
    pub fn decimal_bits(bits: u128) -> Self {
        Self { tag: tag::DECIMAL128, payload: bits.to_le_bytes().to_vec() }
    }
}

/// What the smallest exponent of a Decimal128 is stored as zero for.
const DECIMAL_BIAS: i32 = 6_176;
/// A quiet NaN.
pub const DECIMAL_NAN: u128 = 0x7C << 120;
/// Infinity; with the highest bit set, minus infinity.
pub const DECIMAL_INFINITY: u128 = 0x78 << 120;
/// 34 nines: the largest coefficient.
pub const DECIMAL_COEFFICIENT: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;

/// A sign, which zero has as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Not below zero.
    Plus,
    /// Below zero, or minus zero.
    Minus,
}

/// Writes a document.
#[derive(Clone, Debug, Default)]
pub struct RawWriter(Vec<u8>);

impl RawWriter {
    /// A field.
    pub fn put(&mut self, name: &str, value: &RawValue) {
        self.put_bytes(name.as_bytes(), value);
    }

    /// A field whose name is any bytes but zero.
    pub fn put_bytes(&mut self, name: &[u8], value: &RawValue) {
        debug_assert!(!name.contains(&0), "a field name ends at its first zero byte");
        self.0.push(value.tag);
        self.0.extend_from_slice(name);
        self.0.push(0);
        self.0.extend_from_slice(&value.payload);
    }

    /// [`RawWriter::put`] for chains.
    #[must_use]
    pub fn with(mut self, name: &str, value: &RawValue) -> Self {
        self.put(name, value);
        self
    }

    /// The document.
    pub fn finish(self) -> RawDocumentBuf {
        let mut bytes = length(self.0.len() + 5);
        bytes.extend_from_slice(&self.0);
        bytes.push(0);
        RawDocumentBuf::from_bytes(bytes).expect("length and end of the document are right")
    }
}

fn length(bytes: usize) -> Vec<u8> {
    i32::try_from(bytes).expect("a BSON value is below 2 GiB").to_le_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{DECIMAL_INFINITY, DECIMAL_NAN, RawValue, RawWriter, Sign, tag};
    use bson::{Bson, Document, doc};

    fn read(value: &RawValue) -> Bson {
        let document = RawWriter::default().with("v", value).finish();
        let read: Document = Document::from_reader(document.as_bytes()).unwrap();
        read.get("v").unwrap().clone()
    }

    #[test]
    fn a_library_reads_what_is_written_here() {
        assert_eq!(read(&RawValue::double(1.5)), Bson::Double(1.5));
        assert_eq!(read(&RawValue::string("ü\0x")), Bson::String("ü\0x".to_owned()));
        assert_eq!(read(&RawValue::array(&[RawValue::int32(-1), RawValue::yes()])), bson::bson!([-1, true]));
        let inner = RawWriter::default().with("a", &RawValue::int64(1 << 40)).finish();
        assert_eq!(read(&RawValue::document(&inner)), Bson::Document(doc! { "a": 1_i64 << 40 }));
        assert_eq!(read(&RawValue::bare(tag::MIN_KEY)), Bson::MinKey);
        let Bson::Timestamp(stamp) = read(&RawValue::timestamp(7, 9)) else { panic!("a timestamp") };
        assert_eq!((stamp.time, stamp.increment), (7, 9));
        for (subtype, length) in [(0_u8, 3), (2, 3), (4, 16), (128, 0)] {
            let Bson::Binary(binary) = read(&RawValue::binary(subtype, &vec![7; length])) else { panic!("bytes") };
            assert_eq!((u8::from(binary.subtype), binary.bytes), (subtype, vec![7; length]));
        }
        assert!(matches!(read(&RawValue::code_with_scope("f", &inner)), Bson::JavaScriptCodeWithScope(_)));
        assert!(matches!(read(&RawValue::db_pointer("a.b", [1; 12])), Bson::DbPointer(_)));
        assert!(matches!(read(&RawValue::regex(b"a.*", b"ix")), Bson::RegularExpression(_)));
    }

    #[test]
    fn decimals_print_as_they_were_meant() {
        for (value, text) in [
            (RawValue::decimal(Sign::Plus, 5, 0), "5"),
            (RawValue::decimal(Sign::Minus, 0, 0), "-0"),
            (RawValue::decimal(Sign::Plus, 150, -2), "1.50"),
            (RawValue::decimal(Sign::Plus, 1, 3), "1E+3"),
            (RawValue::decimal(Sign::Plus, 1, -6176), "1E-6176"),
            (RawValue::decimal_bits(DECIMAL_NAN), "NaN"),
            (RawValue::decimal_bits(DECIMAL_INFINITY), "Infinity"),
        ] {
            assert_eq!(read(&value).to_string(), text);
        }
    }
}
