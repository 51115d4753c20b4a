//! What is told of a row of reports, and what of it hooks are told.

use super::*;
use crate::status::{
    ComparedReport, HealthReport, LogReport, MeasureReport, ParkedReport, SourceReport, StreamCondition, StreamPhase,
    StreamReport, Trouble,
};

fn report(change: impl FnOnce(&mut StreamReport)) -> StatusReport {
    let mut stream = StreamReport::new("users", "store", "public.users").in_condition(StreamCondition::Following);
    change(&mut stream);
    StatusReport { running: true, streams: vec![stream], ..StatusReport::default() }
}

fn in_condition(condition: StreamCondition) -> StatusReport {
    report(|stream| *stream = stream.clone().in_condition(condition))
}

fn halted(code: &str) -> StreamCondition {
    StreamCondition::Halted(Trouble { code: code.into(), detail: "so it is".into() })
}

fn codes(timeline: &Timeline) -> Vec<String> {
    timeline.entries().into_iter().map(|entry| entry.code).collect()
}

/// What hooks are told of these reports: occasion and code.
fn told(timeline: &Timeline, reports: &[StatusReport]) -> Vec<String> {
    let of = |entry: Entry| entry.told.map(|told| format!("{} {}", told.occasion.word(), told.code));
    reports.iter().flat_map(|report| timeline.note(report, 0)).filter_map(of).collect()
}

#[test]
fn each_change_is_told_once() {
    let timeline = Timeline::default();
    let starting = in_condition(StreamCondition::Starting);
    let halted = in_condition(halted("mapping_changed"));
    let busy = report(|stream| (stream.captured, stream.queued) = (5, 5));
    let done = report(|stream| stream.captured = 5);
    for one in [&starting, &starting, &busy, &done, &busy, &done, &halted, &halted, &done] {
        timeline.note(one, 1_700_000_000_000);
    }
    let wanted = [
        "started",
        "starting",
        "following",
        "caught_up",
        "all_caught_up",
        "mapping_changed",
        "following",
        "caught_up",
        "all_caught_up",
    ];
    assert_eq!(codes(&timeline), wanted);
    let entry = &timeline.entries()[5];
    assert_eq!((entry.level, entry.stream.as_deref()), (Level::Error, Some("users")));
    assert_eq!(entry.at, "2023-11-14T22:13:20Z");
}

#[test]
fn letters_that_go_on_rising_are_one_entry_and_the_ring_is_bounded() {
    let timeline = Timeline::default();
    let with = |letters: u64| {
        report(|stream| {
            (stream.captured, stream.queued) = (5, 1);
            let by_code = [("column_type".to_owned(), letters)].into();
            stream.parked = Some(ParkedReport { by_code, oldest_seconds: 1 });
        })
    };
    for letters in [1, 2, 3, 3, 2] {
        timeline.note(&with(letters), 0);
    }
    let entries = timeline.entries();
    assert_eq!(codes(&timeline), ["started", "following", "parked"]);
    assert!(entries[2].detail.starts_with("3 "));
    for round in 0..1_000 {
        let paused = round % 2 == 0;
        let control = crate::status::ControlReport { paused, actor: "ada".into(), ..Default::default() };
        timeline.note(&report(|stream| stream.control = Some(control)), round);
    }
    assert_eq!(timeline.entries().len(), MOST);
}

#[test]
fn hooks_are_told_of_trouble_once_and_of_its_end() {
    let timeline = Timeline::default();
    let held = StreamCondition::Held { revision: "ff".into(), deletes: 9, of: 10, refused: false };
    let done = report(|stream| stream.captured = 5);
    let waiting = StreamCondition::Waiting(Trouble { code: "missing".into(), detail: String::new() });
    let reports = [
        in_condition(StreamCondition::Starting),
        done.clone(),
        in_condition(halted("a")),
        in_condition(halted("a")),
        in_condition(halted("b")),
        in_condition(StreamCondition::Starting),
        in_condition(halted("b")),
        in_condition(StreamCondition::Starting),
        done.clone(),
        in_condition(held.clone()),
        done.clone(),
        in_condition(waiting),
        done,
    ];
    let wanted = [
        "caught_up caught_up",
        "halted a",
        "halted b",
        "recovered b",
        "caught_up caught_up",
        "held held",
        "recovered held",
        "caught_up caught_up",
        "caught_up caught_up",
    ];
    assert_eq!(told(&timeline, &reports), wanted);
}

#[test]
fn a_limit_of_health_that_holds_is_told_once_with_its_reason_and_so_is_its_end() {
    let timeline = Timeline::default();
    let with = |value: Option<f64>, holds: bool| {
        let trouble = value.is_none().then(|| Trouble { code: "health_unreadable".into(), detail: "so it is".into() });
        let one = MeasureReport {
            measure: "lock_waits".into(),
            limit: 5.0,
            value,
            holds,
            held_seconds: 0.0,
            words: String::new(),
            trouble,
        };
        let mut report = in_condition(StreamCondition::Following);
        report.target.health = Some(HealthReport { measures: vec![one] });
        report
    };
    let reports = [
        with(Some(1.0), false),
        with(Some(7.0), true),
        with(Some(9.0), true),
        with(Some(1.0), true),
        with(Some(1.0), false),
        with(None, false),
        with(None, false),
        with(Some(1.0), false),
    ];
    let wanted = ["caught_up caught_up", "throttled lock_waits", "recovered lock_waits"];
    assert_eq!(told(&timeline, &reports), wanted);
    let wanted = ["throttled_by_health", "health_released", "health_unreadable", "health_readable"];
    assert_eq!(codes(&timeline)[3..], wanted, "{:?}", codes(&timeline));
    let held = timeline.entries().into_iter().find(|entry| entry.code == "throttled_by_health").expect("it is told");
    assert_eq!((held.level, held.stream), (Level::Warn, None));
    assert!(held.detail.starts_with("lock_waits: sessions of others") && held.detail.contains("7 (limit 5)"));
}

#[test]
fn who_ignores_the_health_of_the_target_is_told() {
    let timeline = Timeline::default();
    let with = |ignores_health: bool| {
        let control = crate::status::ControlReport { ignores_health, actor: "ada".into(), ..Default::default() };
        report(|stream| stream.control = ignores_health.then_some(control))
    };
    for ignores in [false, true, true, false] {
        timeline.note(&with(ignores), 0);
    }
    assert_eq!(codes(&timeline)[3..], ["health_ignored", "health_heeded"]);
    assert!(timeline.entries()[3].detail.ends_with("ignored by ada"));
}

#[test]
fn hooks_are_told_that_all_have_caught_up_when_the_last_one_has() {
    let timeline = Timeline::default();
    let both = |first: u64, second: u64, paused: bool| {
        let stream = |name: &str, queued: u64| {
            let mut stream = StreamReport::new(name, "store", "t").in_condition(StreamCondition::Following);
            (stream.captured, stream.queued) = (9, queued);
            stream
        };
        let control = crate::status::ControlReport { paused, actor: "ada".into(), ..Default::default() };
        let mut streams = vec![stream("a", first), stream("b", second)];
        streams[1].control = Some(control);
        StatusReport { running: true, streams, ..StatusReport::default() }
    };
    let reports = [both(1, 1, false), both(0, 1, false), both(1, 0, false), both(0, 2, false)];
    assert_eq!(told(&timeline, &reports), ["caught_up caught_up"]);
    assert_eq!(told(&timeline, &[both(0, 0, false), both(5, 5, false)]), [""; 0], "new changes are no news");
    assert_eq!(told(&timeline, &[both(0, 5, true), both(0, 5, false)]), [""; 0], "what waited is not applied yet");
    assert_eq!(told(&timeline, &[both(0, 0, false)]), ["caught_up caught_up"]);
}

#[test]
fn hooks_are_told_of_letters_phases_and_comparisons() {
    let timeline = Timeline::default();
    let with = |phase: StreamPhase, letters: u64, at_ms: u64| {
        report(|stream| {
            stream.queued = 1;
            stream.captured = 9;
            stream.phase = phase;
            stream.control = None;
            let parked = ParkedReport { by_code: [("column_type".to_owned(), letters)].into(), oldest_seconds: 1 };
            stream.parked = (letters > 0).then_some(parked);
            let compared = ComparedReport { verdict: "equal".into(), differences: 0, at_ms, through_ms: None };
            stream.compared = Some(compared);
        })
    };
    let reports = [
        with(StreamPhase::Prepared, 0, 1),
        with(StreamPhase::Copying, 0, 1),
        with(StreamPhase::Live, 2, 1),
        with(StreamPhase::Prepared, 3, 1),
        with(StreamPhase::Live, 0, 2),
    ];
    let wanted =
        ["phase copying", "phase live", "parked parked", "parked parked", "recovered parked", "verified equal"];
    assert_eq!(told(&timeline, &reports), wanted);
    let again = Timeline::default();
    assert_eq!(told(&again, &[with(StreamPhase::Live, 0, 2)]), [""; 0], "what was so before is no news");
}

#[test]
fn low_headroom_is_told_to_each_height_once_until_there_is_enough() {
    let timeline = Timeline::watching([Duration::from_secs(60), Duration::from_secs(3_600)]);
    let with = |headroom: Option<f64>, loss: Option<f64>| {
        let log = LogReport { headroom_seconds: headroom, seconds_to_loss: loss, ..LogReport::default() };
        let source = SourceReport {
            name: "app".into(),
            kind: "mongodb".into(),
            queue: Default::default(),
            watch: None,
            polls_because: None,
            log: Some(log),
            left_out: Vec::new(),
        };
        StatusReport { running: true, sources: vec![source], ..StatusReport::default() }
    };
    let heights = |report: &StatusReport| {
        let told = timeline.note(report, 0).into_iter().filter_map(|entry| entry.told);
        told.map(|told| (told.occasion, told.source, told.below_ms)).collect::<Vec<_>>()
    };
    let app = || Some("app".to_owned());
    assert_eq!(heights(&with(Some(90_000.0), None)), []);
    assert_eq!(heights(&with(Some(3_599.0), None)), [(Occasion::HeadroomLow, app(), Some(3_600_000))]);
    assert_eq!(heights(&with(Some(3_601.0), None)), [], "wavering is no news");
    assert_eq!(heights(&with(Some(3_601.0), Some(50.0))), [(Occasion::HeadroomLow, app(), Some(60_000))]);
    assert_eq!(heights(&with(None, None)), [], "what cannot be looked at is not over");
    let over = [(Occasion::Recovered, app(), Some(60_000)), (Occasion::Recovered, app(), Some(3_600_000))];
    assert_eq!(heights(&with(Some(90_000.0), None)), over);
}
