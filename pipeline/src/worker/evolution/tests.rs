//! When fields rest, and when they are looked for again.

use super::*;
use landfall_schemas::mapping::AddedType;

fn evolution() -> Evolution {
    Evolution { adds: Evolve::AddColumn, progress: Arc::default(), state: Mutex::default() }
}

fn noticed(fields: &[(&str, AddedType)]) -> Noticed {
    let fields = fields.iter().map(|(name, ty)| NewField { name: (*name).into(), ty: *ty }).collect();
    Noticed { fields, misfits: 0 }
}

fn refusal(class: FailureClass, code: &'static str) -> Failure {
    Failure::new(class, code, "said the target")
}

#[test]
fn what_lanes_found_is_one_wish_for_each_field() {
    let evolution = evolution();
    assert!(!evolution.takes(Noticed { fields: Vec::new(), misfits: 3 }));
    assert_eq!(evolution.progress.view().misfits, 3);
    assert!(evolution.takes(noticed(&[("a", AddedType::Bigint)])));
    assert!(evolution.takes(noticed(&[("b", AddedType::Text), ("a", AddedType::Numeric)])));
    assert!(evolution.has_found());
    let wanted = evolution.wanted();
    assert_eq!(wanted, noticed(&[("a", AddedType::Numeric), ("b", AddedType::Text)]).fields);
    assert!(!evolution.has_found());
}

#[test]
fn a_lock_is_waited_for_a_few_times_and_an_absent_target_for_ever() {
    let evolution = evolution();
    for _ in 0..20 {
        let waited = evolution.refused(Vec::new(), refusal(FailureClass::Transient, "target_unreachable"));
        assert!(waited.is_some());
    }
    for try_number in 1..=TRIES {
        let waited = evolution.refused(Vec::new(), refusal(FailureClass::Transient, "lock_wait"));
        assert_eq!(waited.is_some(), try_number < TRIES);
    }
    assert_eq!(evolution.watch(), Watch::OFF, "the fields rest");
    let resting = evolution.progress.view().fields_rest.expect("said");
    assert!(resting.code == "lock_wait" && resting.detail.contains("10 s"), "{resting}");
}

#[test]
fn each_refusal_doubles_the_rest_and_a_column_ends_it() {
    let evolution = evolution();
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        assert!(evolution.refused(Vec::new(), refusal(FailureClass::Halt, "permission_denied")).is_none());
        let rest = evolution.state.lock().unwrap_or_else(PoisonError::into_inner).rest.expect("it rests");
        assert!(rest >= last && rest <= LONGEST_REST);
        last = rest;
    }
    assert_eq!(last, LONGEST_REST);
    evolution.settled(Widened { added: 1, ..Widened::default() });
    assert_eq!((evolution.watch(), evolution.progress.view().fields_rest), (Watch::ALL, None));
}

#[test]
fn a_full_table_is_asked_only_to_grow_wider_and_nothing_is_asked_for_twice_at_once() {
    let evolution = evolution();
    evolution.settled(Widened { added: 2, left: 1, ..Widened::default() });
    assert_eq!(evolution.watch(), Watch { numbers: true, ..Watch::OFF });
    evolution.settled(Widened { wider: 1, ..Widened::default() });
    assert_eq!(evolution.progress.view().fields_rest.map(|why| why.code), Some("columns_full"));
    evolution.settled(Widened::default());
    assert_eq!(evolution.watch(), Watch::OFF);
    let large = self::evolution();
    large.settled(Widened { narrow: 1, ..Widened::default() });
    assert_eq!(large.watch(), Watch { fields: true, ..Watch::OFF });
    assert_eq!(large.progress.view().fields_rest.map(|why| why.code), Some("column_narrow"));
    let never = Evolution { adds: Evolve::Rest, ..self::evolution() };
    assert_eq!(never.watch(), Watch::OFF);
}
