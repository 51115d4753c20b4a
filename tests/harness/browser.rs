//! A browser without a window: Chromium with a profile of its own, told what to do over a pipe.
//!
//! Speaks the DevTools protocol as Chromium does on descriptors 3 and 4: JSON, a NUL after each message. A shell puts our two pipes there, so that
//! neither a port nor a WebSocket is needed. The browser resolves no name: what a page wants from elsewhere fails, and is heard.
//! Owns no page's meaning; knows elements by CSS selectors only.

use crate::leash::Leash;
use crate::repository;
use crate::run_dir;
use crate::unprivileged::is_root;
use crate::wait::wait_for;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long an answer may take: starting a browser is seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A browser that is asked to end takes no longer.
const END: Duration = Duration::from_secs(10);

/// What it is started with beside its profile. The last word keeps it on this machine.
const WORDS: &[&str] = &[
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// A browser with one tab.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
    complaints: Vec<String>,
    loaded: bool,
    log: PathBuf,
    _leash: Leash,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Self {
        let home = run_dir::fresh("browser");
        let log = home.join("browser.log");
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >&2", "sh"]).arg(program()).args(WORDS);
        command.arg(format!("--user-data-dir={}", home.join("profile").display())).arg("about:blank");
        if is_root() {
            // Chromium's sandbox refuses root. It shows pages of ours only.
            command.arg("--no-sandbox");
        }
        command.env("HOME", &home).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::create(&log).expect("the browser's log can be written"));
        let mut child = command.spawn().expect("sh can be started");
        let leash = Leash::on(child.id(), "KILL");
        let orders = child.stdin.take().expect("the pipe was asked for");
        let messages = listen(child.stdout.take().expect("the pipe was asked for"));
        let (session, complaints, loaded) = (None, Vec::new(), false);
        let mut browser = Self { child, orders, messages, last: 0, session, complaints, loaded, log, _leash: leash };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.ask("Target.attachToTarget", attach)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Runs `script` in every page opened from now on, before the page's own.
    pub fn before_pages(&mut self, script: &str) {
        self.ask("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// The size of its window, as a phone (or a desk) has it.
    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// Goes to `url`; returns when the page and what belongs to it are there, which says nothing of what its scripts ask for later.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        self.loaded = false;
        let went = self.ask("Page.navigate", json!({ "url": url }));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        let since = Instant::now();
        while !self.loaded {
            let _ = self.hear(since, url);
        }
    }

    /// The value of a JavaScript expression in the page, awaited when it is a promise.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let question = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let said = self.ask("Runtime.evaluate", question);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].clone()
    }

    /// The text of the first element that `selector` finds, as it is seen; empty when there is none or it is hidden.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let look = format!("document.querySelector({})", json!(selector));
        let seen = format!("(({look})?.checkVisibility() ? ({look}).innerText : '')");
        self.value(&seen).as_str().unwrap_or_default().trim().to_owned()
    }

    /// Waits until the text of `selector` is as `wanted` says; panics with the last one seen.
    #[track_caller]
    pub fn wait_text(&mut self, selector: &str, deadline: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = wait_for(deadline, || {
            last = self.text(selector);
            wanted(&last).then_some(())
        });
        assert!(found.is_some(), "{selector} says {last:?} after {deadline:?}; heard: {:?}", self.complaints());
        last
    }

    /// Clicks the first element that `selector` finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        assert_eq!(self.value(&format!("{found} !== null")), true, "there is no {selector} to click");
        self.value(&format!("{found}.click()"));
    }

    /// Types into the field that `selector` finds: real keys, as a person would.
    #[track_caller]
    pub fn fill(&mut self, selector: &str, text: &str) {
        let field = format!("document.querySelector({})", json!(selector));
        self.value(&format!("{field}.focus(), {field}.select()"));
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// What the page was wrong about so far: exceptions, errors and warnings on the console, what its policy forbade. Then forgotten.
    pub fn complaints(&mut self) -> Vec<String> {
        // An answer comes after everything that was heard before it.
        self.value("0");
        std::mem::take(&mut self.complaints)
    }

    #[track_caller]
    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut order = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut line = order.to_string().into_bytes();
        line.push(0);
        let sent = self.orders.write_all(&line).and_then(|()| self.orders.flush());
        sent.unwrap_or_else(|error| panic!("{method}: the browser is gone: {error}; {}", self.tail()));
        let since = Instant::now();
        loop {
            let message = self.hear(since, method);
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    /// The next message, noted if it tells of the page; panics when there is none in time.
    #[track_caller]
    fn hear(&mut self, since: Instant, what: &str) -> Value {
        let left = PATIENCE.saturating_sub(since.elapsed());
        let message = self.messages.recv_timeout(left);
        let message = message.unwrap_or_else(|error| panic!("{what}: no answer: {error}; {}", self.tail()));
        self.loaded |= message["method"] == "Page.loadEventFired";
        self.complaints.extend(complaint(&message));
        message
    }

    /// The end of what the browser itself said.
    fn tail(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(2_000)..]).into_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killing only the first of its processes would leave the others to find out by themselves.
        let close = json!({ "id": self.last + 1, "method": "Browser.close" }).to_string() + "\0";
        let _ = self.orders.write_all(close.as_bytes());
        if wait_for(END, || self.child.try_wait().ok().flatten()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The program, as the set-up script finds it.
fn program() -> PathBuf {
    let script = repository::root().join("deploy/setup/chromium.sh");
    let said = Command::new(script).arg("--program").output().expect("the set-up script can be run");
    assert!(said.status.success(), "no Chromium here: run make setup");
    PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())
}

/// Messages as they come, until the browser ends.
fn listen(from: ChildStdout) -> Receiver<Value> {
    let (give, take) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(from).split(0) {
            let Ok(message) = message else { return };
            // Half a message is what a browser leaves that is killed.
            let Ok(parsed) = serde_json::from_slice(&message) else { return };
            if give.send(parsed).is_err() {
                return;
            }
        }
    });
    take
}

/// What a message says against the page.
fn complaint(message: &Value) -> Option<String> {
    let said = &message["params"];
    let grave = |level: &Value| level == "error" || level == "warning";
    match message["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(said["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled" if grave(&said["type"]) => Some(said["args"].to_string()),
        "Log.entryAdded" if grave(&said["entry"]["level"]) => {
            Some(format!("{}: {}", said["entry"]["source"], said["entry"]["text"]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Browser;

    #[test]
    fn what_a_page_is_wrong_about_is_heard() {
        let mut browser = Browser::start();
        assert_eq!(browser.value("6 * 7"), 42);
        browser.open(
            "data:text/html,<script>console.error('one'); setTimeout(() => { throw new Error('two'); })</script>",
        );
        browser.value("new Promise((done) => setTimeout(done, 100))");
        let heard = browser.complaints().join("\n");
        assert!(heard.contains("one") && heard.contains("two"), "{heard}");
        assert!(browser.complaints().is_empty(), "it is told once");
        let policy =
            "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\"><p style='color:red'>three</p>";
        browser.open(&format!("data:text/html,{policy}"));
        assert_eq!(browser.text("p"), "three");
        assert!(browser.complaints().join("\n").contains("Content Security Policy"), "what a policy forbids is heard");
    }
}
