//! What the tests of this room share, and a desk that is attended to.

use super::*;
use crate::timeline::Occasion;

pub(super) fn event(event: &'static str, stream: &str, code: &str) -> Event {
    Event {
        pipeline: "flux".to_owned(),
        event,
        stream: Some(stream.to_owned()),
        source: None,
        at: "2023-11-14T22:13:20Z".to_owned(),
        code: code.to_owned(),
        detail: "so it is".to_owned(),
        status_url: None,
    }
}

pub(super) fn hook(program: &str) -> Hook {
    Hook {
        on: vec![Occasion::Halted, Occasion::Recovered],
        action: HookAction::Run(vec![program.to_owned()]),
        timeout: Duration::from_secs(10),
        headroom_below: Duration::from_secs(3_600),
    }
}

#[test]
fn the_json_of_an_event_is_stable() {
    let text = String::from_utf8(event("halted", "users", "mapping_changed").json()).expect("text");
    let wanted = r#"{"pipeline":"flux","event":"halted","stream":"users","source":null,"at":"2023-11-14T22:13:20Z","code":"mapping_changed","detail":"so it is","status_url":null}"#;
    assert_eq!(text, format!("{wanted}\n"));
}

#[tokio::test]
async fn a_hook_that_fails_is_told_the_next_event_and_a_closed_desk_ends_it() {
    let desk = Arc::new(Desk::new(1, hook("/nowhere/at/all")));
    desk.lay(event("halted", "a", "x"), Instant::now());
    desk.lay(event("halted", "b", "x"), Instant::now());
    desk.close();
    attend(Arc::clone(&desk), CancellationToken::new()).await.expect("a hook ends nothing");
    let report = desk.report();
    assert_eq!((report.told, report.failed, report.failing), (0, 2, true));
    assert_eq!(report.trouble.map(|trouble| trouble.code).as_deref(), Some("hook_failed"));
}

#[tokio::test]
async fn a_hook_that_hangs_does_not_hold_up_a_stop() {
    let mut hangs = hook("/bin/sleep");
    hangs.action = HookAction::Run(vec!["/bin/sleep".to_owned(), "600".to_owned()]);
    hangs.timeout = Duration::from_secs(600);
    let desk = Arc::new(Desk::new(1, hangs));
    desk.lay(event("halted", "a", "x"), Instant::now());
    let stop = CancellationToken::new();
    stop.cancel();
    let started = Instant::now();
    attend(desk, stop).await.expect("a hook ends nothing");
    assert!(started.elapsed() < GRACE * 3);
}
