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
}

impl PgType {
    /// Whether its SQL type is `text`.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::ObjectId)
    }

    /// How a mapping names it: `objectid` where SQL says `text`, else as in SQL.
    pub fn config_name(self) -> String {
        if self == Self::ObjectId { "objectid".to_owned() } else { self.to_string() }
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
        })
    }
}
