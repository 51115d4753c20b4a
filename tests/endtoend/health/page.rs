//! The page says why nothing is written, and tells a stream to write all the same.

use super::{SOON, expect_measure, holds, press, pressed};
use crate::http::{TOKEN, end, ready, start};
use landfall_tests::browser::Browser;

#[test]
fn the_page_shows_the_reason_and_has_it_ignored() {
    let (site, mut document) = pressed("health_page", 0);
    let (service, http) = start(&site);
    ready(&http);
    press(&site, "9");
    expect_measure(&site, "query", "holding", holds);
    let mut browser = Browser::start();
    browser.size(1440, 900);
    browser.open(&format!("http://{}", http.address()));
    let words = "what target.health.query gives: 9 (limit 5)";
    browser.wait_text("#needs-list", SOON, |text| text.contains("throttled") && text.contains(words));
    browser.wait_text("[data-stream=users] [data-field=state]", SOON, |text| text.contains("throttled"));
    browser.wait_text("#events-list", SOON, |text| text.contains("throttled_by_health"));
    document.add("users", 5);
    browser.click("[data-stream=users] .act");
    browser.click("#choose-form [value=ignore]");
    browser.fill("#reason", "tonight");
    browser.click("#choose-form [type=submit]");
    browser.fill("#token", TOKEN);
    browser.click("#confirm-do");
    browser.wait_text("#needs-list", SOON, |text| text.contains("ignores health") && text.contains("tonight"));
    site.expect_soon_equal("ignored");
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    end(service);
}
