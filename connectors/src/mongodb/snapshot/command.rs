//! The commands of a copy, as raw BSON.
//!
//! Raw, because a filter holds the exact bytes of an `_id`, and because the read concern says more than the driver's does:
//! majority (what is read can never be rolled back), and never before the time the capture of the stream began (a member that lags
//! behind, or a primary that does not know yet that it is none, would show a state whose changes are not captured).
//!
//! Ranges are compared as expressions: `$gte` in a plain filter sees only values of the bound's own kind, `$expr` sees the whole
//! order, and servers use the index of `_id` for both.

use super::id::Id;
use bson::{RawArrayBuf, RawDocumentBuf, Timestamp, cstr, rawdoc};
use std::time::Duration;

/// A collection at a time.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) collection: &'a str,
    pub(super) floor: Option<Timestamp>,
}

/// `find` of the first `limit` documents of `[after, upto]`, in the order of `_id`: the caller leaves out what it has read. Servers
/// exist whose comparison of values takes for equal what their index keeps apart (a decimal below every double, and zero); asking for
/// what is greater would skip such a neighbour.
pub(super) fn find(
    target: Target<'_>,
    ends: (Option<Id<'_>>, Option<Id<'_>>),
    limit: u32,
    most: Duration,
) -> RawDocumentBuf {
    let mut command = rawdoc! { "find": target.collection };
    let mut bounds = RawArrayBuf::new();
    for (operator, bound) in [("$gte", ends.0), ("$lte", ends.1)] {
        if let Some(literal) = bound.and_then(Id::literal) {
            bounds.push(comparison(operator, literal));
        }
    }
    if ends.0.is_some() || ends.1.is_some() {
        command.append(cstr!("filter"), rawdoc! { "$expr": { "$and": bounds } });
    }
    command.append(cstr!("sort"), rawdoc! { "_id": 1 });
    command.append(cstr!("hint"), rawdoc! { "_id": 1 });
    command.append(cstr!("limit"), i64::from(limit));
    command.append(cstr!("batchSize"), i64::from(limit));
    finish(command, target, most)
}

fn comparison(operator: &str, literal: RawDocumentBuf) -> RawDocumentBuf {
    let mut operands = RawArrayBuf::new();
    operands.push("$_id");
    operands.push(literal);
    match operator {
        "$gte" => rawdoc! { "$gte": operands },
        _ => rawdoc! { "$lte": operands },
    }
}

/// `aggregate` of `size` random `_id`s, in order.
pub(super) fn sample(target: Target<'_>, size: u32, most: Duration) -> RawDocumentBuf {
    let command = rawdoc! {
        "aggregate": target.collection,
        "pipeline": [{ "$sample": { "size": i64::from(size) } }, { "$project": { "_id": 1 } }, { "$sort": { "_id": 1 } }],
        "cursor": { "batchSize": i64::from(size) },
    };
    finish(command, target, most)
}

/// `aggregate` of the number of documents by the kind of their `_id`; reads the index alone.
pub(super) fn cohorts(target: Target<'_>, most: Duration) -> RawDocumentBuf {
    let command = rawdoc! {
        "aggregate": target.collection,
        "pipeline": [{ "$group": { "_id": { "$type": "$_id" }, "count": { "$sum": 1_i64 } } }],
        "cursor": {},
        "hint": { "_id": 1 },
    };
    finish(command, target, most)
}

fn finish(mut command: RawDocumentBuf, target: Target<'_>, most: Duration) -> RawDocumentBuf {
    let mut concern = rawdoc! { "level": "majority" };
    if let Some(floor) = target.floor {
        concern.append(cstr!("afterClusterTime"), floor);
    }
    command.append(cstr!("readConcern"), concern);
    command.append(cstr!("maxTimeMS"), i64::try_from(most.as_millis()).unwrap_or(i64::MAX));
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Mark;
    use bson::{Document, doc};

    const TARGET: Target<'_> = Target { collection: "c", floor: Some(Timestamp { time: 7, increment: 1 }) };

    fn mark(id: impl Into<bson::Bson>) -> Mark {
        RawDocumentBuf::try_from(&doc! {"": id}).unwrap().as_bytes().into()
    }

    fn filter(after: Option<&Mark>, upto: Option<&Mark>) -> Option<Document> {
        let ends = (after.and_then(|m| Id::of_mark(m)), upto.and_then(|m| Id::of_mark(m)));
        let command = Document::try_from(find(TARGET, ends, 5, Duration::from_secs(1))).unwrap();
        command.get_document("filter").ok().cloned()
    }

    #[test]
    fn a_range_is_an_expression_over_the_whole_order_with_literal_bounds() {
        let (low, high) = (mark("$a"), mark(doc! {"$oid": 1}));
        assert_eq!(filter(None, None), None);
        let gte = doc! {"$gte": ["$_id", {"$literal": "$a"}]};
        let lte = doc! {"$lte": ["$_id", {"$literal": {"$oid": 1}}]};
        assert_eq!(filter(Some(&low), None), Some(doc! {"$expr": {"$and": [gte.clone()]}}));
        assert_eq!(filter(None, Some(&high)), Some(doc! {"$expr": {"$and": [lte.clone()]}}));
        assert_eq!(filter(Some(&low), Some(&high)), Some(doc! {"$expr": {"$and": [gte, lte]}}));
    }

    #[test]
    fn every_read_is_of_the_majority_and_not_before_capture_began() {
        let most = Duration::from_secs(2);
        for command in [find(TARGET, (None, None), 5, most), sample(TARGET, 5, most), cohorts(TARGET, most)] {
            let command = Document::try_from(command).unwrap();
            let expected = doc! {"level": "majority", "afterClusterTime": Timestamp { time: 7, increment: 1 }};
            assert_eq!(command.get_document("readConcern").unwrap(), &expected);
            assert_eq!(command.get_i64("maxTimeMS").unwrap(), 2_000);
        }
    }
}
