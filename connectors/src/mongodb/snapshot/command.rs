//! The commands of a copy, as raw BSON.
//!
//! Raw, because a filter holds the exact bytes of an `_id`, and because the read concern says more than the driver's does:
//! majority (what is read can never be rolled back), and never before the time the capture of the stream began (a member that lags
//! behind, or a primary that does not know yet that it is none, would show a state whose changes are not captured).
//!
//! Ranges are compared as expressions: `$gt` in a plain filter sees only values of the bound's own bracket (numbers, strings, …), `$expr` sees
//! the whole order. But not every server finds its way into the index for an expression, so what lies within one bracket is asked for
//! plainly: see [`Leg`].

use super::id::Id;
use bson::{RawArrayBuf, RawDocumentBuf, Timestamp, cstr, rawdoc};
use std::time::Duration;

/// A collection at a time.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) collection: &'a str,
    pub(super) floor: Option<Timestamp>,
}

/// Which part of a range `(after, upto]` a cursor passes, and how it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leg {
    /// All of it lies in the bracket of both ends: a plain filter.
    Within,
    /// What is left of the bracket of `after`: a plain filter; the brackets behind it are another leg.
    Bracket,
    /// All of it, as an expression.
    Order,
}

impl Leg {
    /// The first leg of a range.
    pub(super) fn of((after, upto): (Option<Id<'_>>, Option<Id<'_>>)) -> Self {
        match (after.filter(|after| after.bounds_plainly()), upto) {
            (Some(after), Some(upto)) if upto.bracket() == after.bracket() => {
                if upto.bounds_plainly() {
                    Self::Within
                } else {
                    Self::Order
                }
            }
            (Some(_), _) => Self::Bracket,
            (None, _) => Self::Order,
        }
    }
}

/// `find` of a leg of `(after, upto]`, in the order of `_id`; the first reply has at most `batch` documents.
pub(super) fn find(
    target: Target<'_>,
    leg: Leg,
    ends: (Option<Id<'_>>, Option<Id<'_>>),
    (batch, most): (u32, Duration),
) -> RawDocumentBuf {
    let mut command = rawdoc! { "find": target.collection };
    let plain = match leg {
        Leg::Within => ends.0.and_then(|after| after.plain_bounds(ends.1)),
        Leg::Bracket => ends.0.and_then(|after| after.plain_bounds(None)),
        Leg::Order => None,
    };
    if let Some(bounds) = plain {
        command.append(cstr!("filter"), rawdoc! { "_id": bounds });
    } else if ends.0.is_some() || ends.1.is_some() {
        let mut bounds = RawArrayBuf::new();
        for (operator, bound) in [("$gt", ends.0), ("$lte", ends.1)] {
            if let Some(literal) = bound.and_then(Id::literal) {
                bounds.push(comparison(operator, literal));
            }
        }
        command.append(cstr!("filter"), rawdoc! { "$expr": { "$and": bounds } });
    }
    command.append(cstr!("sort"), rawdoc! { "_id": 1 });
    command.append(cstr!("hint"), rawdoc! { "_id": 1 });
    command.append(cstr!("batchSize"), i64::from(batch));
    finish(command, target, most)
}

/// `find` of the documents that have one of these `_id`s.
pub(super) fn by_id(target: Target<'_>, ids: RawArrayBuf, (batch, most): (u32, Duration)) -> RawDocumentBuf {
    let command = rawdoc! {
        "find": target.collection,
        "filter": { "_id": { "$in": ids } },
        "hint": { "_id": 1 },
        "batchSize": i64::from(batch),
    };
    finish(command, target, most)
}

fn comparison(operator: &str, literal: RawDocumentBuf) -> RawDocumentBuf {
    let mut operands = RawArrayBuf::new();
    operands.push("$_id");
    operands.push(literal);
    match operator {
        "$gt" => rawdoc! { "$gt": operands },
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

    fn filter(after: Option<&Mark>, upto: Option<&Mark>, leg: Leg) -> Option<Document> {
        let ends = (after.and_then(|m| Id::of_mark(m)), upto.and_then(|m| Id::of_mark(m)));
        let command = Document::try_from(find(TARGET, leg, ends, (5, Duration::from_secs(1)))).unwrap();
        command.get_document("filter").ok().cloned()
    }

    #[test]
    fn a_range_is_an_expression_over_the_whole_order_with_literal_bounds() {
        let (low, high) = (mark("$a"), mark(doc! {"$oid": 1}));
        assert_eq!(filter(None, None, Leg::Order), None);
        let gt = doc! {"$gt": ["$_id", {"$literal": "$a"}]};
        let lte = doc! {"$lte": ["$_id", {"$literal": {"$oid": 1}}]};
        assert_eq!(filter(Some(&low), None, Leg::Order), Some(doc! {"$expr": {"$and": [gt.clone()]}}));
        assert_eq!(filter(None, Some(&high), Leg::Order), Some(doc! {"$expr": {"$and": [lte.clone()]}}));
        assert_eq!(filter(Some(&low), Some(&high), Leg::Order), Some(doc! {"$expr": {"$and": [gt, lte]}}));
    }

    #[test]
    fn what_lies_in_one_bracket_is_a_plain_filter() {
        let (low, high) = (mark("a"), mark("b"));
        assert_eq!(filter(Some(&low), Some(&high), Leg::Within), Some(doc! {"_id": {"$gt": "a", "$lte": "b"}}));
        assert_eq!(filter(Some(&low), Some(&high), Leg::Bracket), Some(doc! {"_id": {"$gt": "a"}}));
    }

    #[test]
    fn a_leg_is_plain_only_where_a_plain_filter_sees_all_of_it() {
        let leg = |after: Option<bson::Bson>, upto: Option<bson::Bson>| {
            let (after, upto) = (after.map(mark), upto.map(mark));
            Leg::of((after.as_deref().and_then(Id::of_mark), upto.as_deref().and_then(Id::of_mark)))
        };
        let (int, long, text) = (Some(5.into()), Some(6_i64.into()), Some("x".into()));
        assert_eq!(leg(int.clone(), long), Leg::Within);
        assert_eq!(leg(int.clone(), text.clone()), Leg::Bracket);
        assert_eq!(leg(int.clone(), None), Leg::Bracket);
        assert_eq!(leg(int.clone(), Some(7.5.into())), Leg::Order, "a double may be NaN, and numbers lie beyond it");
        assert_eq!(leg(Some(f64::NAN.into()), int), Leg::Order);
        assert_eq!(leg(None, text), Leg::Order);
        assert_eq!(leg(Some(doc! {"a": 1}.into()), None), Leg::Order);
    }

    #[test]
    fn every_read_is_of_the_majority_and_not_before_capture_began() {
        let most = Duration::from_secs(2);
        for command in
            [find(TARGET, Leg::Order, (None, None), (5, most)), sample(TARGET, 5, most), cohorts(TARGET, most)]
        {
            let command = Document::try_from(command).unwrap();
            let expected = doc! {"level": "majority", "afterClusterTime": Timestamp { time: 7, increment: 1 }};
            assert_eq!(command.get_document("readConcern").unwrap(), &expected);
            assert_eq!(command.get_i64("maxTimeMS").unwrap(), 2_000);
        }
    }
}
