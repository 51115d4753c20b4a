//! Whether rows give the records back: field by field, as the mapping promises and as records of the store show it.
//!
//! Records are told by their number, places by their pointer; values are never shown.

use super::finding::Finding;
use crate::roundtrip::{Fidelity, Guarantee, Outcome, Trip, guarantees};
use landfall_schemas::json::{Items, Members, skip_space};
use landfall_schemas::mapping::{Select, StreamMapping};
use std::collections::BTreeMap;
use std::ops::Range;

/// Most fields that one finding lists.
const MOST_FIELDS: usize = 12;
/// Most parked records that are told one by one.
const MOST_PARKED: usize = 3;

/// A record, its number from 1, and its name where that is its key.
pub(super) struct Sample<'a> {
    pub(super) number: usize,
    pub(super) text: &'a [u8],
    pub(super) name: Option<String>,
}

/// Records at a stream's `select`, spread over all of them: what is rare stands anywhere.
pub(super) fn samples<'a>(document: &'a [u8], select: &Select, most: usize) -> Vec<Sample<'a>> {
    let Some(at) = selected(document, select) else { return Vec::new() };
    let mut ranges = Vec::new();
    if let Some(mut items) = Items::of(document, at.start) {
        while let Ok(Some((range, _))) = items.next_item() {
            ranges.push((range, None));
        }
    } else if let Some(mut members) = Members::of(document, at.start) {
        while let Ok(Some(member)) = members.next_member() {
            let mut buffer = Vec::new();
            let name = member.name.decode(&mut buffer).ok().map(str::to_owned);
            ranges.push((member.value, name));
        }
    }
    spread(ranges, most).map(|(number, (range, name))| Sample { number, text: &document[range], name }).collect()
}

/// At most so many of the items, evenly spread, each with its number from 1.
pub(super) fn spread<T>(items: Vec<T>, most: usize) -> impl Iterator<Item = (usize, T)> {
    let stride = items.len().div_ceil(most).max(1);
    items.into_iter().enumerate().step_by(stride).map(|(at, item)| (at + 1, item))
}

fn selected(document: &[u8], select: &Select) -> Option<Range<usize>> {
    let tokens: &[String] = match select {
        Select::Pointer(tokens) => tokens,
        Select::Whole | Select::Collection(_) => &[],
    };
    let mut at = skip_space(document, 0)..document.len();
    for token in tokens {
        at = if let Some(mut members) = Members::of(document, at.start) {
            loop {
                let member = members.next_member().ok()??;
                if member.name.is(token) {
                    break member.value;
                }
            }
        } else {
            let mut items = Items::of(document, at.start)?;
            for _ in 0..token.parse::<usize>().ok()? {
                items.next_item().ok()??;
            }
            items.next_item().ok()??.0
        };
    }
    Some(at)
}

/// The findings of a stream.
pub(super) fn look(stream: &StreamMapping, samples: &[Sample<'_>]) -> Vec<Finding> {
    let known = guarantees(stream);
    let (mut trip, mut seen, mut parked) = (Trip::new(stream), BTreeMap::new(), Vec::new());
    for sample in samples {
        match trip.of(sample.text, sample.name.as_deref()) {
            Outcome::LeftOut => {}
            Outcome::Parked(why) => parked.push((sample.number, why)),
            Outcome::Back(differences) => {
                for one in differences {
                    let worst = seen.entry(one.pointer).or_insert((one.fidelity, sample.number));
                    if one.fidelity < worst.0 {
                        *worst = (one.fidelity, sample.number);
                    }
                }
            }
        }
    }
    let name = stream.name.as_str();
    let mut findings = vec![summary(name, &known, &seen, samples.len())];
    let lossy = known.iter().filter(|one| one.fidelity == Fidelity::Lossy);
    findings.extend(lossy.filter_map(|one| lost(name, one, &seen)));
    findings.extend(parked.iter().take(MOST_PARKED).map(|(number, why)| {
        Finding::warn(name, "round_trip_impossible", format!("record {number} cannot become rows: {why}"))
            .suggest("a type that takes it, a rule that reads it, or leave it parked")
    }));
    if parked.len() > MOST_PARKED {
        let message = format!("{} of {} records looked at cannot become rows", parked.len(), samples.len());
        findings.push(Finding::warn(name, "round_trip_impossible", message));
    }
    findings
}

/// Where a place came back otherwise, at it or below it.
fn example(seen: &BTreeMap<String, (Fidelity, usize)>, pointer: &str) -> Option<usize> {
    let below = |at: &str| at == pointer || at.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'));
    seen.iter().filter(|(at, _)| !pointer.is_empty() && below(at)).map(|(_, (_, record))| *record).min()
}

fn summary(stream: &str, known: &[Guarantee], seen: &BTreeMap<String, (Fidelity, usize)>, records: usize) -> Finding {
    let of = |fidelity| known.iter().filter(move |one| one.fidelity == fidelity && !one.pointer.is_empty());
    let exact = listed(of(Fidelity::Exact).map(|one| one.pointer.clone()));
    let by_value = listed(of(Fidelity::ByValue).map(|one| match example(seen, &one.pointer) {
        Some(record) => format!("{} ({}; record {record})", one.pointer, one.because),
        None => format!("{} ({})", one.pointer, one.because),
    }));
    let differ = if seen.is_empty() {
        "came back the same".to_owned()
    } else {
        format!("came back, {} places otherwise", seen.len())
    };
    let message =
        format!("rows give back exactly: {exact}; by value: {by_value}; the {records} records looked at {differ}");
    Finding::pass(stream, "round_trip", message)
}

fn listed(fields: impl Iterator<Item = String>) -> String {
    let mut fields: Vec<String> = fields.collect();
    let more = fields.len().saturating_sub(MOST_FIELDS);
    fields.truncate(MOST_FIELDS);
    match (fields.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (false, 0) => fields.join(", "),
        (false, more) => format!("{} and {more} more", fields.join(", ")),
    }
}

/// A field whose value cannot be told from the rows; silent about those that no record of the sample lost.
fn lost(stream: &str, one: &Guarantee, seen: &BTreeMap<String, (Fidelity, usize)>) -> Option<Finding> {
    let place = if one.pointer.is_empty() { "what no column takes" } else { &one.pointer };
    let lost =
        |(_, (fidelity, record)): (&String, &(Fidelity, usize))| (*fidelity == Fidelity::Lossy).then_some(*record);
    let record = match one.pointer.as_str() {
        "" => seen.iter().find_map(lost),
        pointer => example(seen, pointer),
    }?;
    let message = format!("{place} does not come back from {}: {} (record {record})", one.held_by, one.because);
    Some(Finding::warn(stream, "round_trip_lossy", message).suggest("`keep: true`, a `rest`, or accept it"))
}
