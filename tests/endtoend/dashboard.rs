//! The page, in a browser: it says what the status says, does what it is told to with the token and only then, and nothing that comes from a
//! store or an operator becomes markup.

use landfall_tests::browser::Browser;
use landfall_tests::config::Config;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::landfall::Landfall;
use landfall_tests::seed::Seed;
use landfall_tests::site::Site;
use landfall_tests::small_disk::SmallDisk;
use landfall_tests::wait::wait_for;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(45);
const TOKEN: &str = "a-token-for-the-page-0123456789";
/// A phone that is not new.
const PHONE: (u32, u32) = (360, 780);
const DESK: (u32, u32) = (1440, 900);
/// Tries what markup does where text is taken for it: an event handler, a script, an end of an attribute.
const CANARY: &str =
    "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>'\" onfocus='window.pwned=1' {{7*7}}";

/// Two streams: one whole, one with a record that is parked and one that waits behind it.
fn site(name: &str) -> (Site, Landfall) {
    let site = Site::new(config(name));
    let service = filled(&site);
    (site, service)
}

fn config(name: &str) -> Config {
    let store = json!({ "kind": "json_document", "path": "store.json", "rescan": "1s" });
    let log = json!({ "kind": "json_lines", "path": "log.ndjson" });
    Config::new(name)
        .section("http", json!({ "listen": "127.0.0.1:0", "token": TOKEN }))
        .source("store", store)
        .source("log", log)
        .stream("users", "store", json!({ "select": "/users", "key": "id" }))
        .stream("things", "log", json!({ "key": "id", "columns": { "n": "integer" } }))
}

/// Its stores, and its service.
fn filled(site: &Site) -> Landfall {
    let _ = DocumentStore::create(&site.path("store.json"), &["users"], 1_234, Seed::new(5));
    let lines = ["{\"id\":\"a\",\"n\":\"no number\"}", "{\"id\":\"b\",\"n\":1}", "{\"id\":\"a\",\"n\":2}", ""];
    std::fs::write(site.path("log.ndjson"), lines.join("\n")).unwrap();
    site.apply_schema();
    site.run_and_listen()
}

fn address(site: &Site) -> String {
    let file = site.path("state/http.addr");
    let written = wait_for(SOON, || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')));
    format!("http://{}", written.expect("the service says where it answers").trim())
}

/// A browser at the page of this site, which shows its streams.
fn visit(site: &Site, (width, height): (u32, u32)) -> Browser {
    let mut browser = Browser::start();
    browser.size(width, height);
    browser.open(&address(site));
    browser.wait_text("[data-stream=users] [data-field=applied]", SOON, |text| !text.is_empty());
    browser
}

fn end(service: Landfall) {
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}

fn stream(site: &Site, name: &str) -> Value {
    let status = site.status().expect("the service answers");
    serde_json::from_str(&status.stream(name).expect("the stream is there").text()).unwrap()
}

/// `1,204,311`, written here anew: what judges shares no code with what it judges.
fn grouped(number: &Value) -> String {
    let digits: Vec<char> = number.as_u64().expect("a count").to_string().chars().rev().collect();
    let groups: Vec<String> = digits.chunks(3).map(|group| group.iter().collect()).collect();
    groups.join(",").chars().rev().collect()
}

#[test]
fn the_page_says_what_the_status_says_and_is_wrong_about_nothing() {
    let (site, service) = site("page_numbers");
    site.expect_stream("users", "following", |stream| stream.state() == "following" && stream.is_ready());
    site.expect_stream("things", "one parked", |stream| {
        let report: Value = serde_json::from_str(&stream.text()).unwrap();
        report["queued"] == 0 && report["parked"]["by_code"]["column_type"] == 1
    });
    let mut browser = visit(&site, DESK);
    for name in ["users", "things"] {
        let told = stream(&site, name);
        for (field, count) in
            [("captured", "captured"), ("applied", "applied"), ("parked", "dead_lettered"), ("queued", "queued")]
        {
            let cell = format!("[data-stream={name}] [data-field={field}]");
            browser.wait_text(&cell, SOON, |text| text == grouped(&told[count]));
        }
        for (field, word) in [("phase", &told["phase"]), ("state", &told["condition"]["state"])] {
            let cell = format!("[data-stream={name}] [data-field={field}]");
            browser.wait_text(&cell, SOON, |text| text == word.as_str().unwrap());
        }
        let ready = if told["ready"] == true { "yes" } else { "no" };
        browser.wait_text(&format!("[data-stream={name}] [data-field=ready]"), SOON, |text| text == ready);
    }
    let (users, things) = (stream(&site, "users"), stream(&site, "things"));
    let sum = |count: &str| grouped(&json!(users[count].as_u64().unwrap() + things[count].as_u64().unwrap()));
    assert_eq!(browser.text("#tile-applied"), sum("applied"));
    assert_eq!(browser.text("#tile-behind"), sum("lag_events"));
    assert_eq!(browser.text("#tile-parked"), sum("dead_lettered"));
    assert!(browser.text("[data-code=column_type]").contains("landfall deadletter list --code column_type"));
    let sources = site.status().expect("the service answers").json()["sources"].clone();
    for source in sources.as_array().unwrap() {
        let cell = |field: &str| format!("[data-source={}] [data-field={field}]", source["name"].as_str().unwrap());
        assert_eq!(source["watch"], "events", "{source}");
        browser.wait_text(&cell("watch"), SOON, |text| text == "file events");
        assert!(source["queue"]["disk_free_bytes"].as_u64().is_some_and(|free| free > 0), "{source}");
        browser.wait_text(&cell("queue"), SOON, |text| text.ends_with(" free"));
    }
    assert_eq!(browser.text("#pipeline"), "page_numbers");
    assert!(browser.text("#fresh").contains("updated"), "{}", browser.text("#fresh"));
    assert_eq!(browser.complaints(), Vec::<String>::new(), "no error, and nothing that the policy forbids");
    end(service);
}

#[test]
fn a_disk_without_room_stands_at_the_head_of_the_page() {
    let site = Site::new(config("page_disk").section("queue", json!({ "disk_reserve": "8MiB" })));
    let disk = SmallDisk::mount(&site.path("state"), "24m");
    let service = filled(&site);
    let mut browser = visit(&site, PHONE);
    browser.wait_text("#state-word", SOON, |text| text != "queue full" && !text.is_empty());
    let ballast = disk.ballast(18 << 20);
    browser.wait_text("#state-word", SOON, |text| text == "queue full");
    let needs = browser.wait_text("#needs-list", SOON, |text| text.contains("queue full"));
    assert!(needs.contains("8.0 MiB is its reserve"), "{needs}");
    std::fs::remove_file(ballast).unwrap();
    browser.wait_text("#state-word", SOON, |text| text != "queue full");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    end(service);
}

#[test]
fn nothing_that_comes_from_outside_becomes_markup() {
    let (site, service) = site("page_canaries");
    let _ =
        site.finish(&["pause", "users", "--actor", "<b>ada</b>", "--reason", "<img src=x onerror=alert(1)>"]).expect(0);
    let mut browser = visit(&site, DESK);
    let told = browser.wait_text("#needs-list", SOON, |text| text.contains("paused"));
    assert!(told.contains("<b>ada</b>: <img src=x onerror=alert(1)>"), "an operator's words are words: {told}");

    // Names that no configuration takes, in every place that an answer has: what the page does must not hang on what the service refuses.
    browser.before_pages(&spoiled());
    browser.open(&address(&site));
    browser.wait_text("#needs-list", SOON, |text| text.contains("halted") && text.contains("held"));
    for place in
        ["#pipeline", "#needs-list", "#streams-body", "#sources-body", "#letters-list", "#verify-list", "#events-list"]
    {
        let text = browser.wait_text(place, SOON, |text| text.contains("window.pwned=1"));
        assert!(text.contains("</script>") && text.contains("{{7*7}}"), "{place} shows it as it is: {text}");
    }
    browser.click(".need .buttons button");
    assert!(browser.text("#confirm").contains("</script>"), "what is decided is named");
    browser.click("#confirm-cancel");
    browser.click("[data-stream] .act");
    assert!(browser.text("#choose-title").contains("<script>"));
    browser.click("#choose-cancel");
    browser.click("[data-stream] .name");
    browser.wait_text("#charted", SOON, |text| text.contains("onerror"));
    assert_eq!(browser.value("window.pwned ?? null"), Value::Null, "nothing ran");
    let made =
        "document.querySelectorAll('img, iframe, object, script:not([src]), [onerror], [onfocus], [style]').length";
    assert_eq!(browser.value(made), 0, "nothing became an element");
    assert_eq!(browser.complaints(), Vec::<String>::new(), "nothing was left for the policy to forbid");
    end(service);
}

/// A script for the page that puts the canary wherever the service's answers have text.
fn spoiled() -> String {
    let canary = json!(CANARY);
    format!(
        r#"(() => {{
        const evil = {canary};
        const asked = window.fetch.bind(window);
        const answer = (value) => new Response(JSON.stringify(value));
        window.fetch = async (path, options) => {{
            const real = await asked(path, options);
            if (path === "/api/v1/events") return answer([{{ at: evil, level: "error", code: evil, stream: evil, detail: evil }}]);
            if (path !== "/api/v1/status") return real;
            const report = await real.json();
            const bad = (name, condition) => ({{
                ...report.streams[0], name, source: evil, table: evil, condition, doubt: evil, how_to: [`landfall accept ${{name}} x`],
                control: {{ paused: true, rows_per_second: 3, actor: evil, reason: evil }}, dead_lettered: 3,
                parked: {{ by_code: {{ [evil]: 3 }}, oldest_seconds: 3 }}, evolution: {{ columns: 1, misfits: 1, resting: {{ code: evil, detail: evil }} }},
            }});
            report.pipeline = evil;
            report.streams = [
                bad(evil, {{ state: "halted", code: evil, detail: evil }}),
                bad(evil + 1, {{ state: "held", revision: evil, deletes: 1, of: 2, refused: false }}),
                bad(evil + 2, {{ state: "waiting", code: evil, detail: evil }}),
            ];
            report.target = {{ reachable: false, waiting_for: {{ code: evil, detail: evil }} }};
            report.sources = [{{ ...report.sources[0], name: evil, kind: evil, watch: evil, left_out: [{{ name: evil, why: evil }}] }}];
            return answer(report);
        }};
    }})()"#
    )
}

#[test]
fn a_phone_scrolls_the_page_in_one_direction_only() {
    let (site, service) = site("page_phone");
    let mut browser = visit(&site, PHONE);
    let wide = "document.documentElement.scrollWidth";
    let beyond = "[...document.querySelectorAll('main *, header > *')].filter((one) => one.checkVisibility() && \
         one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 200))";
    assert_eq!(browser.value(wide), PHONE.0);
    assert_eq!(browser.value(beyond), json!([]));
    browser.before_pages(&spoiled());
    browser.open(&address(&site));
    browser.wait_text("#needs-list", SOON, |text| text.contains("halted"));
    assert_eq!(browser.value(wide), PHONE.0, "long names break their lines");
    browser.click("[data-stream] .act");
    assert_eq!(browser.value(wide), PHONE.0, "a dialog fits");
    end(service);
}

/// Goes through both steps of an order for `users`; the token is typed where it is asked for.
fn order(browser: &mut Browser, verb: &str, token: Option<&str>) {
    browser.click("[data-stream=users] .act");
    browser.click(&format!("#choose-form [value={verb}]"));
    browser.fill("#reason", "ordered in a browser");
    browser.click("#choose-form [type=submit]");
    assert!(browser.text("#confirm-title").contains("users"), "{}", browser.text("#confirm"));
    assert_eq!(browser.text("#token-field").is_empty(), token.is_none(), "the token is asked for once");
    if let Some(token) = token {
        browser.fill("#token", token);
    }
    browser.click("#confirm-do");
}

#[test]
fn a_pause_by_the_page_needs_the_token_and_a_second_word() {
    let (site, service) = site("page_pause");
    site.expect_stream("users", "ready", landfall_tests::status::StreamStatus::is_ready);
    let mut browser = visit(&site, DESK);
    let word = "[data-stream=users] [data-field=state]";
    browser.wait_text(word, SOON, |text| text == "following");

    order(&mut browser, "pause", Some("not-the-token-0123456789"));
    let refused = browser.wait_text("#confirm-wrong", SOON, |text| !text.is_empty());
    assert!(refused.contains("token"), "the service's own words: {refused}");
    assert_eq!(stream(&site, "users")["control"], Value::Null, "a wrong token changes nothing");
    browser.click("#confirm-cancel");

    order(&mut browser, "pause", Some(TOKEN));
    browser.wait_text(word, SOON, |text| text.starts_with("paused"));
    let control = stream(&site, "users")["control"].clone();
    assert_eq!((&control["paused"], &control["reason"]), (&json!(true), &json!("ordered in a browser")));
    browser.wait_text("#needs-list", SOON, |text| text.contains("ordered in a browser"));

    order(&mut browser, "resume", None);
    browser.wait_text(word, SOON, |text| text == "following");
    assert_eq!(stream(&site, "users")["control"], Value::Null);

    // The page forgets it when it is told to, and keeps it nowhere.
    let kept = "[localStorage.length, sessionStorage.length, document.cookie, location.search + location.hash, \
         document.querySelector('#token').value]";
    assert_eq!(browser.value(kept), json!([0, 0, "", "", ""]));
    assert_eq!(browser.value("document.documentElement.outerHTML").as_str().unwrap().matches(TOKEN).count(), 0);
    browser.click("#forget");
    order(&mut browser, "pause", Some(TOKEN));
    browser.wait_text(word, SOON, |text| text.starts_with("paused"));
    end(service);
}

#[test]
fn a_service_that_is_gone_is_missed_and_its_numbers_are_called_old() {
    let (site, service) = site("page_lost");
    let mut browser = visit(&site, DESK);
    assert_eq!(browser.text("#lost"), "");
    let shown = browser.text("#tile-applied");
    end(service);
    let lost = browser.wait_text("#lost", SOON, |text| text.contains("Connection lost"));
    assert!(lost.contains("old") && lost.contains("next try"), "{lost}");
    browser.wait_text("#fresh", SOON, |text| text.ends_with("old"));
    assert_eq!(browser.text("#tile-applied"), shown, "what was known is still there to read");
}
