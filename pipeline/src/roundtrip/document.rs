//! A JSON document in memory, numbers as they are spelled: for comparing, not for rows.

use landfall_schemas::json::{Items, Kind, Members, RawString, skip_space};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::value::show;
use std::collections::BTreeMap;

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Node {
    /// From text that has been checked to be JSON; `None` where it is none.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let start = skip_space(text, 0);
        let text = text.get(start..)?.trim_ascii_end();
        Some(match Kind::of(*text.first()?)? {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(text == b"true"),
            Kind::Number => Self::Number(String::from_utf8(text.to_vec()).ok()?),
            Kind::String => {
                let mut buffer = Vec::new();
                Self::Text(RawString::parse(text).ok()?.decode(&mut buffer).ok()?.to_owned())
            }
            Kind::Array => {
                let mut walk = Items::of(text, 0)?;
                let mut list = Vec::new();
                while let Some((range, _)) = walk.next_item().ok()? {
                    list.push(Self::parse(&text[range])?);
                }
                Self::List(list)
            }
            Kind::Object => {
                let mut walk = Members::of(text, 0)?;
                let mut members = BTreeMap::new();
                while let Some(member) = walk.next_member().ok()? {
                    let mut buffer = Vec::new();
                    let name = member.name.decode(&mut buffer).ok()?.to_owned();
                    members.insert(name, Self::parse(&text[member.value])?);
                }
                Self::Object(members)
            }
        })
    }

    /// From a field of a row.
    pub(super) fn of_field(ty: PgType, field: &[u8]) -> Option<Self> {
        match ty {
            PgType::Jsonb => Self::parse(field.strip_prefix(&[1])?),
            other => Some(Self::shown(other, show(other, Some(field)))),
        }
    }

    fn shown(ty: PgType, value: serde_json::Value) -> Self {
        use serde_json::Value;
        match (ty, value) {
            (_, Value::Null) => Self::Null,
            (_, Value::Bool(value)) => Self::Bool(value),
            (_, Value::Number(number)) => Self::Number(number.to_string()),
            (PgType::Numeric(_), Value::String(text)) => Self::Number(text),
            (_, Value::String(text)) => Self::Text(text),
            (PgType::Array(element), Value::Array(items)) => {
                Self::List(items.into_iter().map(|item| Self::shown(element.ty(), item)).collect())
            }
            (_, other) => Self::Text(other.to_string()),
        }
    }

    /// JSON text of it, for encoders.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(members) => {
                let member = |(name, value): (&String, &Self)| {
                    format!("{}:{}", serde_json::Value::from(name.as_str()), value.text())
                };
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// What stands at a path below it.
    pub(super) fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |node, part| match node {
            Self::Object(members) => members.get(part),
            _ => None,
        })
    }

    /// Puts a value at a path where nothing stands yet; objects on the way are made.
    pub(super) fn fill(&mut self, path: &[String], value: Self) {
        let Some((last, above)) = path.split_last() else { return };
        let mut node = self;
        for part in above {
            let Self::Object(members) = node else { return };
            node = members.entry(part.clone()).or_insert_with(|| Self::Object(BTreeMap::new()));
        }
        if let Self::Object(members) = node {
            members.entry(last.clone()).or_insert(value);
        }
    }
}
