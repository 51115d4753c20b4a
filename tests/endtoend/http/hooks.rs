//! How hooks fare is told by metrics.

use super::{SOON, config, end, prepared, ready, scrape, start, wait_series};
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use serde_json::json;

#[test]
fn what_hooks_took_and_did_not_is_counted_by_their_place() {
    let hooks = json!([
        { "on": ["caught_up", "phase"], "run": ["/bin/true"] },
        { "on": ["caught_up", "phase"], "run": ["/bin/false"], "timeout": "5s" },
        { "on": ["halted"], "run": ["/bin/true"] },
    ]);
    let site = Site::new(config("http_hooks").section("hooks", hooks));
    let _document = prepared(&site);
    let (service, http) = start(&site);
    ready(&http);
    let events =
        |hook: u32, outcome: &str| format!("landfall_hook_events_total{{hook=\"{hook}\",outcome=\"{outcome}\"}}");
    let _ = wait_series(&http, &events(1, "delivered"), |told| told >= 1.0);
    let metrics = wait_series(&http, &events(2, "failed"), |failed| failed >= 1.0);
    assert_eq!(metrics.value(&events(2, "delivered")), 0.0);
    assert_eq!(metrics.value(&events(1, "dropped")), 0.0);
    assert_eq!(metrics.value("landfall_hook_failing{hook=\"2\"}"), 1.0);
    assert_eq!(metrics.value("landfall_hook_failing{hook=\"1\"}"), 0.0);
    let last = "landfall_hook_last_success_timestamp_seconds{hook=\"1\"}";
    assert!(metrics.value(last) > 1.7e9);
    for never in ["2", "3"] {
        let series = format!("landfall_hook_last_success_timestamp_seconds{{hook=\"{never}\"}}");
        assert!(!metrics.samples.contains_key(&series), "hook {never} never took one");
    }
    wait_until(SOON, "nothing waits", || scrape(&http).value("landfall_hook_waiting_events{hook=\"1\"}") == 0.0);
    end(service);
}
