//! `hooks`: which programs and which addresses are told what happens.
//!
//! Starts nothing and connects to nothing: whether a program is there is found when it is told something.

use super::permission;
use super::post::{self, Key, Post};
use super::reference::resolve;
use super::section::{At, Reading, Section};
use super::tree::Node;
use crate::timeline::Occasion;
use std::fmt;
use std::time::Duration;

/// More are no list that somebody wrote.
const MOST: usize = 32;
/// Longest command line, in words.
const MOST_WORDS: usize = 64;
/// How long a hook may take, when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that may be said: events wait meanwhile.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Which headroom is low, when nothing is said.
const HEADROOM: Duration = Duration::from_secs(3_600);
/// Beyond this no log reaches back.
const LONGEST_HEADROOM: Duration = Duration::from_secs(86_400 * 365);

/// One of `hooks`.
#[derive(Clone, Debug)]
pub struct Hook {
    /// What it is told of.
    pub on: Vec<Occasion>,
    /// How it is told.
    pub action: HookAction,
    /// How long it may take.
    pub timeout: Duration,
    /// Which headroom of a source's log is low.
    pub headroom_below: Duration,
}

impl Hook {
    /// The headroom it wants to be told of, if it does.
    pub fn headroom(&self) -> Option<Duration> {
        self.on.contains(&Occasion::HeadroomLow).then_some(self.headroom_below)
    }
}

/// How a hook is told.
#[derive(Clone)]
pub enum HookAction {
    /// `run`: a program and its arguments.
    Run(Vec<String>),
    /// `post`: an address.
    Post(Box<Post>),
}

impl HookAction {
    /// Its key in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Post(_) => "post",
        }
    }
}

impl fmt::Debug for HookAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", self.word())
    }
}

/// `hooks`.
pub fn hooks(
    root: &mut Section<'_>,
    reading: &mut Reading<'_>,
    warnings: &mut Vec<permission::Warning>,
) -> Option<Vec<Hook>> {
    let Some(node) = root.get("hooks") else {
        return Some(Vec::new());
    };
    let nodes = reading.list(node, "hooks")?;
    if nodes.len() > MOST {
        reading.problems.add(node.at, "more than 32 hooks", "fewer, or one program that tells the others");
        return None;
    }
    let read: Vec<Option<Hook>> =
        nodes.iter().enumerate().map(|(at, node)| hook(node, at, reading, warnings)).collect();
    read.into_iter().collect()
}

fn hook(node: &Node, at: usize, reading: &mut Reading<'_>, warnings: &mut Vec<permission::Warning>) -> Option<Hook> {
    let path = format!("hooks[{at}]");
    let mut section = Section::open(node, &path, reading)?;
    let on = section.need("on", "on: [halted, held]", reading).and_then(|node| occasions(node, reading));
    let (run, post) = (section.get("run"), section.get("post"));
    let token = section.get("token");
    // Whatever is wrong with the rest of it, neither is shown.
    post.iter().chain(&token).for_each(|secret| reading.problems.hide(secret.at));
    let (run_at, token_at) = (section.key_place("run"), section.key_place("token"));
    let bounded =
        |node: Option<&Node>, what: &str, (default, most): (Duration, Duration), reading: &mut Reading<'_>| {
            node.map_or(Some(default), |node| reading.duration(node, what, Duration::from_millis(100)..=most))
        };
    let timeout = bounded(section.get("timeout"), "timeout", (TIMEOUT, LONGEST_TIMEOUT), reading);
    let headroom = bounded(section.get("headroom_below"), "headroom_below", (HEADROOM, LONGEST_HEADROOM), reading);
    section.close(reading);
    if post.is_none() && token.is_some() {
        reading.problems.add(token_at, "`token` is shown to an address that is posted to", "`post` beside it");
    }
    let action = match (run, post) {
        (Some(run), None) => words(run, reading).map(HookAction::Run),
        (None, Some(post)) => {
            let advice = "`https://host/path`, by way of `\"${HOOK_URL}\"` or `file:PATH`";
            let key = Key { path: &path, name: "post", advice };
            let url = post::url(post, key, reading);
            if url.is_some() {
                post::warn(post, key, warnings);
            }
            let advice = "`\"${HOOK_TOKEN}\"` or `file:PATH`";
            let shown = Key { path: &path, name: "token", advice };
            let token = token.map(|node| post::bearer(node, shown, reading, warnings));
            let token = token.map_or(Some(None), |token| token.map(Some));
            url.zip(token).map(|(url, token)| HookAction::Post(Box::new(Post { url: url.value, token })))
        }
        (Some(_), Some(_)) => {
            reading.problems.add(run_at, format!("{path} has both `run` and `post`"), "two hooks");
            None
        }
        (None, None) => {
            let what = format!("{path} has neither `run` nor `post`");
            reading.problems.add(node.at, what, "`run: [/path/to/program]` or `post: \"${HOOK_URL}\"`");
            None
        }
    };
    Some(Hook { on: on?, action: action?, timeout: timeout?, headroom_below: headroom? })
}

fn occasions(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<Occasion>> {
    let nodes = reading.list(node, "on")?;
    if nodes.is_empty() {
        reading.problems.add(node.at, "`on` is empty: nothing would be told", "`[halted, held]`");
        return None;
    }
    let read: Vec<_> = nodes.iter().map(|node| reading.choice(node, "an occasion", &Occasion::WORDS)).collect();
    read.into_iter().collect()
}

/// A program and its arguments. No shell is asked, so neither is its search for programs.
fn words(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<String>> {
    let advice = "`[/path/to/program, argument]`";
    let nodes = reading.list(node, "run")?;
    if nodes.is_empty() || nodes.len() > MOST_WORDS {
        reading.problems.add(node.at, "`run` is a program and at most 63 arguments", advice);
        return None;
    }
    let read: Vec<Option<At<String>>> = nodes.iter().map(|node| reading.text(node, "a word of `run`")).collect();
    let mut words: Vec<String> = Vec::with_capacity(read.len());
    for word in read {
        let word = word?;
        if word.value.contains('\0') {
            reading.problems.add(word.at, "a word of `run` holds a zero byte", advice);
            return None;
        }
        if words.is_empty() && !word.value.contains('/') {
            let what = "the program of `run` must be a path: it is not searched for";
            reading.problems.add(word.at, what, advice);
            return None;
        }
        words.push(word.value);
    }
    words[0] = resolve(&words[0], &reading.surroundings.base).to_string_lossy().into_owned();
    Some(words)
}
