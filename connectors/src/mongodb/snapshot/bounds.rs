//! From a sample of `_id`s to ranges.
//!
//! Pure. The sample comes in the server's order, so that no order of ours can disagree with it; equal neighbours are one bound.

use super::id::Id;
use crate::snapshot::{KeyRange, Mark};

/// `parts` ranges, or fewer where the sample holds fewer different `_id`s, that together hold every `_id`.
pub(super) fn ranges(sample: &[Mark], parts: usize) -> Vec<KeyRange> {
    let mut bounds: Vec<&Mark> = (1..parts).filter_map(|part| sample.get(part * sample.len() / parts)).collect();
    bounds.dedup();
    let mut ranges = Vec::with_capacity(bounds.len() + 1);
    let mut after = None;
    for bound in bounds {
        ranges.push(KeyRange { after, upto: Some(bound.clone()) });
        after = Some(bound.clone());
    }
    ranges.push(KeyRange { after, upto: None });
    ranges
}

/// The two ends of a range; `None` for marks that are not ours.
pub(super) fn ends(range: &KeyRange) -> Option<(Option<Id<'_>>, Option<Id<'_>>)> {
    let after = range.after.as_deref().map(Id::of_mark);
    let upto = range.upto.as_deref().map(Id::of_mark);
    // An end that is there must be readable.
    match (after, upto) {
        (Some(None), _) | (_, Some(None)) => None,
        (after, upto) => Some((after.flatten(), upto.flatten())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(values: &[u8]) -> Vec<Mark> {
        values.iter().map(|value| Box::from([*value].as_slice())).collect()
    }

    #[test]
    fn ranges_follow_each_other_and_are_open_at_both_ends() {
        for (sample, parts) in
            [(vec![], 4), (vec![1], 4), (vec![1, 2, 3, 4, 5, 6, 7, 8], 4), (vec![1, 1, 1, 1, 2], 3), (vec![1, 2], 1)]
        {
            let ranges = ranges(&marks(&sample), parts);
            assert!(ranges.len() <= parts && !ranges.is_empty());
            assert_eq!(ranges[0].after, None);
            assert_eq!(ranges[ranges.len() - 1].upto, None);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].upto, pair[1].after);
                assert!(pair[0].after < pair[0].upto, "{sample:?}");
            }
        }
    }

    #[test]
    fn a_sample_is_cut_into_even_parts() {
        let sample: Vec<u8> = (0..80).collect();
        let found: Vec<_> = ranges(&marks(&sample), 4).into_iter().filter_map(|range| range.upto).collect();
        assert_eq!(found, marks(&[20, 40, 60]));
    }
}
