//! Finds on the fake's collections: bounds of `_id`, lists of them (`$in`, numbers by their value), direction, limit, and `_id` alone. Nothing else of a filter is looked at. As on
//! a real server a plain comparison sees the kind of its bound only, one inside `$expr` the whole order.

use bson::{Bson, Document, RawDocumentBuf, doc};
use std::collections::VecDeque;

/// What a find selects from documents that stand in the order of their `_id`s.
pub(super) fn select(documents: &[RawDocumentBuf], body: &Document) -> VecDeque<RawDocumentBuf> {
    if let Some(listed) = listed(body) {
        let is_listed =
            |document: &&RawDocumentBuf| id(document).is_some_and(|id| listed.iter().any(|one| same(one, &id)));
        return documents.iter().filter(is_listed).cloned().collect();
    }
    let ids: Vec<Option<Bson>> = documents.iter().map(id).collect();
    let mut from = 0;
    let mut until = documents.len();
    for (comparison, bound) in bounds(body.get("filter").unwrap_or(&Bson::Null)) {
        let Some(at) = position(&ids, &bound) else { continue };
        match comparison.as_str() {
            "$gt" => from = from.max(at + usize::from(bound != Bson::MinKey)),
            "$gte" => from = from.max(at),
            "$lt" => until = until.min(at),
            "$eq" => (from, until) = (at, at + 1),
            _ => until = until.min(at + usize::from(bound != Bson::MaxKey)),
        }
    }
    let mut found: Vec<RawDocumentBuf> = documents.get(from..until.max(from)).unwrap_or_default().to_vec();
    if let Some(kind) = plain_kind(body) {
        found.retain(|document| id(document).is_some_and(|id| bracket(&id) == kind));
    }
    if body.get_document("sort").is_ok_and(|sort| number(sort.get("_id")) == Some(-1)) {
        found.reverse();
    }
    if let Some(limit) =
        number(body.get("limit")).and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0)
    {
        found.truncate(limit);
    }
    if body.get_document("projection").is_ok_and(|wanted| wanted.len() == 1 && number(wanted.get("_id")) == Some(1)) {
        found =
            found.iter().filter_map(|document| RawDocumentBuf::try_from(&doc! { "_id": id(document)? }).ok()).collect();
    }
    found.into()
}

/// `{_id: {$in: […]}}`.
fn listed(body: &Document) -> Option<&bson::Array> {
    body.get_document("filter").ok()?.get_document("_id").ok()?.get_array("$in").ok()
}

fn same(one: &Bson, other: &Bson) -> bool {
    one == other || number(Some(one)).is_some_and(|value| number(Some(other)) == Some(value))
}

/// The kind that a plain comparison of `_id` sees; `None`: all of them.
fn plain_kind(body: &Document) -> Option<u8> {
    let compared = body.get_document("filter").ok()?.get_document("_id").ok()?;
    compared.values().map(bracket).find(|kind| *kind != EVERY)
}

const EVERY: u8 = 0;

/// Values of one bracket are compared with each other; the ends of the order with all.
fn bracket(value: &Bson) -> u8 {
    match value {
        Bson::MinKey | Bson::MaxKey => EVERY,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => 1,
        Bson::String(_) | Bson::Symbol(_) => 2,
        Bson::ObjectId(_) => 3,
        _ => 4,
    }
}

/// Any number as an integer.
pub(super) fn number(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

fn id(document: &RawDocumentBuf) -> Option<Bson> {
    Bson::try_from(document.get("_id").ok()??).ok()
}

fn position(ids: &[Option<Bson>], bound: &Bson) -> Option<usize> {
    let found = ids.iter().position(|id| id.as_ref() == Some(bound));
    match bound {
        Bson::MinKey => found.or(Some(0)),
        Bson::MaxKey => found.or(Some(ids.len())),
        _ => found,
    }
}

/// Every comparison of `_id` with a value: `{_id: {$gt: v}}`, `{_id: v}` and `{$gt: ["$_id", {$literal: v}]}` at any depth.
fn bounds(filter: &Bson) -> Vec<(String, Bson)> {
    const COMPARISONS: [&str; 5] = ["$gt", "$gte", "$lt", "$lte", "$eq"];
    match filter {
        Bson::Array(parts) => parts.iter().flat_map(bounds).collect(),
        Bson::Document(parts) => parts
            .iter()
            .flat_map(|(name, value)| match value {
                Bson::Array(pair) if COMPARISONS.contains(&name.as_str()) && pair.len() == 2 => {
                    vec![(name.clone(), literal(&pair[1]))]
                }
                Bson::Document(compared)
                    if name == "_id" && compared.keys().all(|key| COMPARISONS.contains(&key.as_str())) =>
                {
                    compared.iter().map(|(comparison, value)| (comparison.clone(), value.clone())).collect()
                }
                value if name == "_id" => vec![("$eq".to_owned(), value.clone())],
                value => bounds(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn literal(value: &Bson) -> Bson {
    let inner = value.as_document().and_then(|wrapped| wrapped.get("$literal"));
    inner.unwrap_or(value).clone()
}

#[cfg(test)]
mod tests {
    use super::select;
    use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

    fn ids(body: &Document) -> Vec<i64> {
        let documents: Vec<RawDocumentBuf> = (1..=6_i64).map(|id| rawdoc! { "_id": id, "v": "x" }).collect();
        select(&documents, body).iter().map(|document| document.get_i64("_id").unwrap()).collect()
    }

    #[test]
    fn bounds_directions_and_limits_are_honoured() {
        assert_eq!(ids(&doc! {}), [1, 2, 3, 4, 5, 6]);
        let behind = doc! { "$expr": { "$gt": ["$_id", { "$literal": 2_i64 }] } };
        assert_eq!(ids(&doc! { "filter": behind.clone(), "limit": 2 }), [3, 4]);
        let range = doc! { "$expr": { "$and": [behind["$expr"].clone(), { "$lt": ["$_id", { "$literal": 5_i64 }] }] } };
        assert_eq!(ids(&doc! { "filter": range }), [3, 4]);
        assert_eq!(ids(&doc! { "filter": { "_id": { "$gte": 5_i64 } }, "sort": { "_id": -1 } }), [6, 5]);
        assert_eq!(ids(&doc! { "filter": { "_id": { "$gte": Bson::MinKey, "$lte": Bson::MaxKey } } }).len(), 6);
        assert_eq!(ids(&doc! { "filter": { "_id": { "$in": [2, 9, 5_i64] } } }), [2, 5]);
        assert_eq!(ids(&doc! { "filter": { "_id": 4_i64 }, "projection": { "_id": 1 } }), [4]);
    }

    #[test]
    fn a_plain_comparison_sees_the_kind_of_its_bound_and_an_expression_all() {
        let documents = [rawdoc! { "_id": 1 }, rawdoc! { "_id": 2 }, rawdoc! { "_id": "a" }];
        let count = |filter: Document| select(&documents, &doc! { "filter": filter }).len();
        assert_eq!(count(doc! { "_id": { "$gt": 1 } }), 1);
        assert_eq!(count(doc! { "$expr": { "$gt": ["$_id", { "$literal": 1 }] } }), 2);
        assert_eq!(count(doc! { "_id": { "$gt": Bson::MinKey } }), 3);
    }
}
