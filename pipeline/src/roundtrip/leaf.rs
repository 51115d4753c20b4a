//! Two values without members: the same, equal, or not.

use super::Fidelity;
use super::document::Node;
use landfall_schemas::json::Decimal;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::value::Encoder;

/// How they differ; `None`: they do not. `ty` tells what makes them equal beside their spelling.
pub(super) fn differ(ty: Option<PgType>, source: &Node, back: &Node) -> Option<Fidelity> {
    if source == back {
        return None;
    }
    let equal = match (source, back) {
        (Node::Number(a), Node::Number(b)) => same_number(a, b),
        (Node::List(_) | Node::Object(_), _) | (_, Node::List(_) | Node::Object(_)) => same_nested(source, back),
        _ => ty.is_some_and(|ty| encoded(ty, source).is_some_and(|a| Some(a) == encoded(ty, back))),
    };
    Some(if equal { Fidelity::ByValue } else { Fidelity::Lossy })
}

fn same_number(a: &str, b: &str) -> bool {
    match (Decimal::parse(a.as_bytes()), Decimal::parse(b.as_bytes())) {
        (Ok(a), Ok(b)) => a.equals(&b),
        _ => false,
    }
}

fn same_nested(source: &Node, back: &Node) -> bool {
    match (source, back) {
        (Node::List(a), Node::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_nested(a, b)),
        (Node::Object(a), Node::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same_nested(value, other)))
        }
        (Node::List(_) | Node::Object(_), _) | (_, Node::List(_) | Node::Object(_)) => false,
        _ => differ(None, source, back) != Some(Fidelity::Lossy),
    }
}

/// The field that a value becomes: equal fields are equal values.
fn encoded(ty: PgType, value: &Node) -> Option<Vec<u8>> {
    let mut field = Vec::new();
    Encoder::default().field(ty, value.text().as_bytes(), &mut field).ok()?;
    Some(field)
}
