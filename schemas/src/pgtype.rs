//! The PostgreSQL types a column may have.

use std::fmt;

/// A column type. `Display` gives its SQL spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PgType {
    /// `text`
    Text,
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric` or `numeric(precision, scale)`
    Numeric(Option<(u16, u16)>),
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    TimestampTz,
    /// `uuid`
    Uuid,
    /// `bytea`
    Bytea,
    /// `jsonb`
    Jsonb,
    /// An ObjectId as `text` of 24 lower-case hex digits, and nothing else.
    ObjectId,
    /// A one-dimensional array, written `text[]`.
    Array(ElementType),
}

/// What arrays may be made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ElementType(Element);

/// As [`PgType`] has them: those that are no documents, and no arrays again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Element {
    Text,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric(Option<(u16, u16)>),
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Bytea,
    ObjectId,
}

impl ElementType {
    /// The type as one of elements; `None`: `jsonb` (an array of documents is one `jsonb`) and arrays.
    pub fn of(ty: PgType) -> Option<Self> {
        Some(Self(match ty {
            PgType::Text => Element::Text,
            PgType::Bool => Element::Bool,
            PgType::Int2 => Element::Int2,
            PgType::Int4 => Element::Int4,
            PgType::Int8 => Element::Int8,
            PgType::Float4 => Element::Float4,
            PgType::Float8 => Element::Float8,
            PgType::Numeric(limits) => Element::Numeric(limits),
            PgType::Date => Element::Date,
            PgType::Time => Element::Time,
            PgType::Timestamp => Element::Timestamp,
            PgType::TimestampTz => Element::TimestampTz,
            PgType::Uuid => Element::Uuid,
            PgType::Bytea => Element::Bytea,
            PgType::ObjectId => Element::ObjectId,
            PgType::Jsonb | PgType::Array(_) => return None,
        }))
    }

    /// The type of one element.
    pub fn ty(self) -> PgType {
        match self.0 {
            Element::Text => PgType::Text,
            Element::Bool => PgType::Bool,
            Element::Int2 => PgType::Int2,
            Element::Int4 => PgType::Int4,
            Element::Int8 => PgType::Int8,
            Element::Float4 => PgType::Float4,
            Element::Float8 => PgType::Float8,
            Element::Numeric(limits) => PgType::Numeric(limits),
            Element::Date => PgType::Date,
            Element::Time => PgType::Time,
            Element::Timestamp => PgType::Timestamp,
            Element::TimestampTz => PgType::TimestampTz,
            Element::Uuid => PgType::Uuid,
            Element::Bytea => PgType::Bytea,
            Element::ObjectId => PgType::ObjectId,
        }
    }
}

impl PgType {
    /// Whether its SQL type is `text`.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::ObjectId)
    }

    /// How a mapping names it: `objectid` where SQL says `text`, else as in SQL.
    pub fn config_name(self) -> String {
        match self {
            Self::ObjectId => "objectid".to_owned(),
            Self::Array(element) => format!("{}[]", element.ty().config_name()),
            other => other.to_string(),
        }
    }

    /// PostgreSQL's number of it (`pg_type.oid`, fixed for these); of an array that of its elements.
    pub fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Text | Self::ObjectId => 25,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Date => 1082,
            Self::Time => 1083,
            Self::Timestamp => 1114,
            Self::TimestampTz => 1184,
            Self::Numeric(_) => 1700,
            Self::Uuid => 2950,
            Self::Jsonb => 3802,
            Self::Array(element) => element.ty().oid(),
        }
    }
}

impl fmt::Display for PgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text | Self::ObjectId => "text",
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric(None) => "numeric",
            Self::Numeric(Some((precision, scale))) => return write!(f, "numeric({precision},{scale})"),
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::TimestampTz => "timestamp with time zone",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Jsonb => "jsonb",
            Self::Array(element) => return write!(f, "{}[]", element.ty()),
        })
    }
}
