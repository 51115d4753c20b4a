//! What `status --watch` shows on a terminal: the report, and what only a row of reports can tell (how the rate has been, how long a copy or a
//! backlog will take). Cut to the size of the terminal, coloured where colour is wanted; words and numbers are those of [`render`].
//!
//! Owns no terminal: a frame is text, and whoever shows it says how large it may be.

use super::measure::{count, span};
use super::render;
use super::report::{StatusReport, StreamReport};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Reports that the line of rates shows.
const KEPT: usize = 60;
/// A pace over less says nothing.
const LEAST: Duration = Duration::from_secs(3);
/// The heights of a rate.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// States that need somebody, states that will pass, and the good one.
const ALARMS: [&str; 5] = ["halted", "held", "NOT reachable", "FULL", "LOST IN"];
const PASSING: [&str; 5] = ["waiting", "copying", "starting", "paused", "throttled"];
const GOOD: &str = "following";

/// How a frame may look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Canvas {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
    /// Colour is wanted.
    pub colour: bool,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Screen {
    rates: VecDeque<f64>,
    /// When each thing that is to be done was first seen, and how much of it was left.
    left: BTreeMap<String, (Instant, u64)>,
}

impl Screen {
    /// The frame for a report that was seen now.
    pub fn frame(&mut self, report: &StatusReport, now: Instant, canvas: Canvas) -> String {
        self.rates.push_back(report.streams.iter().map(|stream| stream.rate).sum());
        if self.rates.len() > KEPT {
            self.rates.pop_front();
        }
        let text = render::text(report);
        let mut lines = text.lines();
        let mut all = vec![lines.next().unwrap_or_default().to_owned()];
        if report.running {
            all.push(self.flow(report));
        }
        all.extend(self.expected(report, now));
        all.extend(lines.map(str::to_owned));
        fitted(all, canvas)
    }

    /// `▁▂▅█▇  12,340/s · 120,000 applied · 1,204 behind · worst lag 1.2s`
    fn flow(&self, report: &StatusReport) -> String {
        let most = self.rates.iter().copied().fold(0.0, f64::max);
        let height = |rate: &f64| {
            let at = if most > 0.0 { (rate / most * (BARS.len() - 1) as f64).round() as usize } else { 0 };
            BARS[at.min(BARS.len() - 1)]
        };
        let mut line: String = self.rates.iter().map(height).collect();
        let _ = write!(line, "  {}", render::line(report));
        if let Some(worst) = report.streams.iter().filter_map(|stream| stream.lag_ms).max() {
            let _ = write!(line, " · worst lag {}", span(worst));
        }
        line
    }

    /// Copies and backlogs, with the time they will take at the pace they have had since they were first seen.
    fn expected(&mut self, report: &StatusReport, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        let mut going = BTreeMap::new();
        for stream in &report.streams {
            let Some((what, left)) = to_do(stream) else { continue };
            let key = format!("{} {what}", stream.name);
            let (since, first) =
                self.left.get(&key).copied().filter(|(_, first)| *first >= left).unwrap_or((now, left));
            going.insert(key, (since, first));
            let took = now.saturating_duration_since(since);
            let done = first - left;
            let eta = if took >= LEAST && done > 0 {
                format!("about {} left", span((took.as_millis() as f64 * left as f64 / done as f64) as u64))
            } else {
                "how long is not known yet".to_owned()
            };
            lines.push(format!("{}: {} {what}, {eta}", stream.name, count(left)));
        }
        self.left = going;
        lines
    }
}

/// What is left of a stream's copy, or of what waits in its queue.
fn to_do(stream: &StreamReport) -> Option<(&'static str, u64)> {
    if let Some(copy) = stream.copy {
        return Some(("records to copy", copy.estimate.saturating_sub(copy.records)));
    }
    // Less is no backlog: it is what is on its way.
    (stream.queued > 1_000 && !stream.is_paused()).then_some(("events to apply", stream.queued))
}

/// As many lines as there is room for, each cut to its width; the last one says how many are missing.
fn fitted(mut lines: Vec<String>, canvas: Canvas) -> String {
    let room = canvas.lines.max(2) - 1;
    if lines.len() > room {
        let missing = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push(format!("… {missing} lines more: landfall status"));
    }
    let mut text = String::new();
    for line in lines {
        let cut: String = line.chars().take(canvas.columns).collect();
        text.push_str(&if canvas.colour { coloured(&cut) } else { cut });
        text.push('\n');
    }
    text
}

fn coloured(line: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let code = if has(&ALARMS) {
        "1;31"
    } else if has(&PASSING) {
        "33"
    } else if line.starts_with("STREAM") || line.starts_with("SOURCE") {
        "2"
    } else if line.contains(GOOD) {
        "32"
    } else {
        return line.to_owned();
    };
    format!("\u{1b}[{code}m{line}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::CopyReport;
    use crate::status::tests::report;

    const PLAIN: Canvas = Canvas { columns: 200, lines: 100, colour: false };

    #[test]
    fn a_frame_tells_how_the_rate_was_and_how_long_a_copy_and_a_backlog_take() {
        let (mut screen, begin) = (Screen::default(), Instant::now());
        let mut seen = report();
        seen.streams.truncate(2);
        let name = |at: usize| seen.streams[at].name.clone();
        let (first, second) = (name(0), name(1));
        let mut look = |records: u64, queued: u64, rate: f64, seconds: u64| {
            seen.streams[0].copy = Some(CopyReport { records, estimate: 10_000, exact: false });
            seen.streams[1].copy = None;
            seen.streams[1].control = None;
            seen.streams[1].queued = queued;
            (seen.streams[0].rate, seen.streams[1].rate) = (rate, 0.0);
            screen.frame(&seen, begin + Duration::from_secs(seconds), PLAIN)
        };
        let early = look(1_000, 50_000, 10.0, 0);
        assert!(early.contains(&format!("{first}: 9,000 records to copy, how long is not known yet")), "{early}");
        let later = look(2_000, 40_000, 80.0, 10);
        assert!(later.contains(&format!("{first}: 8,000 records to copy, about 1m 20s left")), "{later}");
        assert!(later.contains(&format!("{second}: 40,000 events to apply, about 40.0s left")), "{later}");
        assert!(later.lines().nth(1).is_some_and(|line| line.starts_with("▂█  ")), "{later}");
        let more = look(2_500, 60_000, 80.0, 20);
        assert!(
            more.contains(&format!("{second}: 60,000 events to apply, how long is not known yet")),
            "it grew: {more}"
        );
    }

    #[test]
    fn a_frame_fits_its_terminal_and_says_what_it_leaves_out() {
        let mut screen = Screen::default();
        let frame = screen.frame(&report(), Instant::now(), Canvas { columns: 40, lines: 10, colour: true });
        let plain = |line: &str| {
            let mut text = line.to_owned();
            while let Some(at) = text.find('\u{1b}') {
                let end = text[at..].find('m').map_or(text.len(), |end| at + end + 1);
                text.replace_range(at..end, "");
            }
            text
        };
        assert_eq!(frame.lines().count(), 9);
        assert!(frame.lines().all(|line| plain(line).chars().count() <= 40), "{frame}");
        assert!(frame.lines().last().is_some_and(|line| line.contains("lines more")), "{frame}");
        assert!(frame.contains("\u{1b}["), "colour was wanted");
        assert!(!screen.frame(&report(), Instant::now(), PLAIN).contains('\u{1b}'));
    }
}
