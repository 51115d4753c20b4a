//! What a column says of its values: `normalize`, `values`, `otherwise`, `parse`, `zone`, `keep`.

use super::column_type;
use super::place::Place;
use super::section::{Reading, Section, advice, shown};
use super::tree::{Node, Value};
use landfall_schemas::mapping::{
    EpochUnit, MoneyMarks, Normalizer, Offset, Otherwise, Parse, SourceField, Spellings, ValueRule,
};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::value::rule::pattern_fault;
use std::collections::BTreeMap;

const NORMALIZERS: [(&str, Normalizer); 6] = [
    ("trim", Normalizer::Trim),
    ("collapse_space", Normalizer::CollapseSpace),
    ("lower", Normalizer::Lower),
    ("upper", Normalizer::Upper),
    ("nfc", Normalizer::Nfc),
    ("empty_to_null", Normalizer::EmptyToNull),
];
const PARSES: [&str; 9] =
    ["epoch_s", "epoch_ms", "epoch_us", "iso", "number", "money", "text", "{ pattern: … }", "{ money: … }"];
/// Farthest offset from UTC that PostgreSQL knows, in seconds.
const FARTHEST: i32 = 16 * 3_600;

/// The rule of a column, read out of its section; the outer `None`: something of it could not be read (and was reported).
pub fn rule(
    section: &mut Section<'_>,
    ty: Option<PgType>,
    json: impl Fn(&Node, &mut Reading<'_>) -> Option<String>,
    reading: &mut Reading<'_>,
) -> Option<Option<ValueRule>> {
    let normalize = section.get("normalize").map(|node| normalizers(node, reading));
    let values = section.get("values").map(|node| spellings(node, json, reading));
    let words = [("park", Otherwise::Park), ("pass", Otherwise::Pass)];
    let otherwise = section.get("otherwise").map(|node| (node.at, reading.choice(node, "otherwise", &words)));
    let zone = section.get("zone").map(|node| (node.at, zone(node, reading)));
    let parse = section.get("parse").map(|node| (node.at, parse(node, reading)));
    let keep = section.get("keep").map(|node| (node.at, reading.flag(node, "keep")));
    if values.is_none()
        && let Some((at, _)) = otherwise
    {
        reading.problems.add(at, "otherwise is about spellings that `values` does not list", "`values` beside it");
        return None;
    }
    let parse = match parse {
        None => None,
        Some((at, parse)) => Some(placed(parse?, zone, (at, ty), reading)?),
    };
    if parse.as_ref().is_none_or(|parse| !matches!(parse, Parse::Iso(_) | Parse::Pattern(..)))
        && let Some((at, _)) = zone
    {
        reading.problems.add(at, "zone is for times that tell no offset", "`parse: iso` or a pattern beside it");
        return None;
    }
    if let (Some(Some(listed)), Some(ty)) = (&values, ty)
        && let Some((spelling, _)) =
            listed.iter().find(|(_, stored)| &***stored != "null" && !column_type::default_fits(stored, ty))
    {
        let what = format!("what `{}` stands for does not fit a column of type {ty}", shown(spelling));
        reading.problems.add(section.key_place("values"), what, "values of that type");
        return None;
    }
    let values = match values {
        None => None,
        Some(listed) => {
            Some(Spellings { listed: listed?, otherwise: otherwise.map_or(Some(Otherwise::Park), |(_, word)| word)? })
        }
    };
    let normalize = normalize.map_or(Some(Vec::new()), |steps| steps)?;
    if normalize.is_empty() && values.is_none() && parse.is_none() {
        return match keep {
            None => Some(None),
            Some((at, _)) => {
                reading.problems.add(at, "keep is for columns that change what they take", "no `keep`");
                None
            }
        };
    }
    if let Some(ty @ PgType::Array(_)) = ty {
        let what = format!("a column of type {} takes its values as they are", ty.config_name());
        reading.problems.add(section.at, what, "no `normalize`, `values` or `parse`; `expr` changes arrays");
        return None;
    }
    let source = match keep {
        None => SourceField::Kept,
        Some((_, keep)) if keep? => SourceField::Kept,
        Some(_) => SourceField::Taken,
    };
    Some(Some(ValueRule { normalize, values, parse, source }))
}

fn normalizers(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<Normalizer>> {
    match &node.value {
        Value::List(steps) => steps.iter().map(|step| reading.choice(step, "normalize", &NORMALIZERS)).collect(),
        _ => Some(vec![reading.choice(node, "normalize", &NORMALIZERS)?]),
    }
}

fn spellings(
    node: &Node,
    json: impl Fn(&Node, &mut Reading<'_>) -> Option<String>,
    reading: &mut Reading<'_>,
) -> Option<BTreeMap<Box<str>, Box<str>>> {
    let Value::Map(entries) = &node.value else {
        reading.problems.add(
            node.at,
            "values must be a mapping from spellings to values",
            "`{ yes: true, no: false }`",
        );
        return None;
    };
    let mut listed = BTreeMap::new();
    for entry in entries {
        if !matches!(entry.node.value, Value::Scalar { .. }) {
            let what = format!("`{}` stands for more than one value", shown(&entry.key));
            reading.problems.add(entry.at, what, "a text, number, boolean or null");
            return None;
        }
        listed.insert(entry.key.as_str().into(), json(&entry.node, reading)?.into());
    }
    Some(listed)
}

fn parse(node: &Node, reading: &mut Reading<'_>) -> Option<Parse> {
    if matches!(node.value, Value::Map(_)) {
        return described(node, reading);
    }
    let word = reading.text(node, "parse")?;
    Some(match word.value.as_str() {
        "epoch_s" => Parse::Epoch(EpochUnit::Seconds),
        "epoch_ms" => Parse::Epoch(EpochUnit::Millis),
        "epoch_us" => Parse::Epoch(EpochUnit::Micros),
        "iso" => Parse::Iso(None),
        "number" => Parse::Number,
        "money" => Parse::Money(MoneyMarks::default()),
        "text" => Parse::Text,
        other => {
            reading.problems.add(word.at, format!("nothing is parsed as `{}`", shown(other)), advice(other, &PARSES));
            return None;
        }
    })
}

/// `{ pattern: … }` or `{ money: { decimal: …, group: … } }`.
fn described(node: &Node, reading: &mut Reading<'_>) -> Option<Parse> {
    let mut section = Section::open(node, "parse", reading)?;
    let (pattern, money) = (section.get("pattern"), section.get("money"));
    section.close(reading);
    match (pattern, money) {
        (Some(node), None) => {
            let pattern = reading.text(node, "pattern")?;
            if let Some(fault) = pattern_fault(&pattern.value) {
                let what = format!("this pattern cannot be used: {fault}");
                reading.problems.add(pattern.at, what, "directives of strptime: %Y %m %d %H %M %S %z …");
                return None;
            }
            Some(Parse::Pattern(pattern.value.into(), None))
        }
        (None, Some(node)) => marks(node, reading).map(Parse::Money),
        _ => {
            reading.problems.add(node.at, "parse needs one way of reading", advice("", &PARSES));
            None
        }
    }
}

fn marks(node: &Node, reading: &mut Reading<'_>) -> Option<MoneyMarks> {
    let mut section = Section::open(node, "money", reading)?;
    let mut mark = |key, reading: &mut Reading<'_>| section.get(key).map(|node| one_mark(node, key, reading));
    let (decimal, group) = (mark("decimal", reading), mark("group", reading));
    section.close(reading);
    let decimal = decimal.map_or(Some('.'), |mark| mark)?;
    let group = match group {
        None => Some(if decimal == ',' { '.' } else { ',' }),
        Some(mark) => Some(mark?),
    };
    if group == Some(decimal) {
        reading.problems.add(node.at, "decimal and group are the same character", "two different ones");
        return None;
    }
    Some(MoneyMarks { decimal, group })
}

fn one_mark(node: &Node, key: &str, reading: &mut Reading<'_>) -> Option<char> {
    // A space is a value here.
    let text = reading.word(node, key)?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(mark), None) if !mark.is_ascii_alphanumeric() && !matches!(mark, '-' | '+' | '(' | ')') => Some(mark),
        _ => {
            reading.problems.add(
                node.at,
                format!("{key} must be one character"),
                "`\".\"`, `\",\"`, `\"'\"` or `\" \"`",
            );
            None
        }
    }
}

/// `UTC`, or an offset like `+02:00`.
fn zone(node: &Node, reading: &mut Reading<'_>) -> Option<Offset> {
    let text = reading.text(node, "zone")?;
    if matches!(text.value.as_str(), "UTC" | "Z") {
        return Some(Offset(0));
    }
    let read = || {
        let (sign, rest) = match text.value.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let east = hours * 3_600 + minutes * 60;
        ((0..60).contains(&minutes) && (0..FARTHEST).contains(&east)).then_some(Offset(sign * east))
    };
    let found = read();
    if found.is_none() {
        let what = "zone must be UTC or a fixed offset: names of places change their meaning";
        reading.problems.add(text.at, what, "`UTC`, `+02:00`");
    }
    found
}

/// The parse with its zone, if its column can hold what it reads.
fn placed(
    parse: Parse,
    zone: Option<(Place, Option<Offset>)>,
    (at, ty): (Place, Option<PgType>),
    reading: &mut Reading<'_>,
) -> Option<Parse> {
    let zone = match zone {
        None => None,
        Some((_, zone)) => Some(zone?),
    };
    let ty = ty?;
    let (fits, wanted) = match parse {
        Parse::Epoch(_) | Parse::Iso(_) | Parse::Pattern(..) => (
            matches!(ty, PgType::Date | PgType::Timestamp | PgType::TimestampTz),
            "`timestamptz`, `timestamp` or `date`",
        ),
        Parse::Number | Parse::Money(_) => (
            matches!(
                ty,
                PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Float4 | PgType::Float8 | PgType::Numeric(_)
            ),
            "`numeric`, or another type of numbers",
        ),
        Parse::Text => (ty == PgType::Text, "`text`"),
    };
    if !fits {
        reading.problems.add(at, format!("a column of type {ty} does not hold what this reads"), wanted);
        return None;
    }
    Some(match parse {
        Parse::Iso(_) => Parse::Iso(zone),
        Parse::Pattern(pattern, _) => Parse::Pattern(pattern, zone),
        other => other,
    })
}
