//! HTTP/1.1 over a plain socket, one request a connection, and the text of metrics read strictly: what the tests speak to the service with.
//!
//! Shares nothing with the product's server, so that what one of them gets wrong the other does not forgive.

use crate::shape;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer takes no longer: orders are written to the target.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is answered in a published shape, wherever a test asks for it.
const SHAPES: [(&str, &str); 3] = [("/api/v1/status", "status"), ("/api/v1/events", "events"), ("/readyz", "readyz")];

/// A service that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Http(SocketAddr);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status; 0 when the connection ended before there was one.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Http {
    /// At this address, as `http.addr` has it.
    #[track_caller]
    pub fn at(address: &str) -> Self {
        Self(address.trim().parse().expect("an address and a port"))
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.0
    }

    /// A connection.
    pub fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.0, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// `GET path`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// `POST path` of a JSON body with a token.
    #[track_caller]
    pub fn order(&self, path: &str, token: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask("POST", path, &[("Authorization", &bearer), ("Content-Type", "application/json")], body)
    }

    /// Any request. `Host` and `Content-Length` are added where they are not given.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !given("Host") {
            text.push_str(&format!("Host: {}\r\n", self.0));
        }
        if !given("Content-Length") && method != "GET" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let answer = self.send(&format!("{text}\r\n{body}"));
        let shape = SHAPES.iter().find(|(published, _)| method == "GET" && path == *published);
        if let (Some((_, name)), 200 | 503) = (shape, answer.status) {
            shape::expect(name, &answer.json());
        }
        answer
    }

    /// Sends this text and reads until the other end closes.
    #[track_caller]
    pub fn send(&self, text: &str) -> Answer {
        let mut stream = self.connect().expect("the service is connected to");
        // A body that is refused unread may end the connection under the writer.
        let _ = stream.write_all(text.as_bytes());
        Answer::read(&mut stream)
    }
}

impl Answer {
    /// Reads to the end of a stream.
    pub fn read(stream: &mut impl Read) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_default();
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Panics unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// Metrics in the text format of Prometheus 0.0.4.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Value by series: name and labels as they stand.
    pub samples: BTreeMap<String, f64>,
    /// Kind by family.
    pub families: BTreeMap<String, String>,
}

impl Exposition {
    /// Reads the text; panics at the first line that is not as the format has it.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has an end");
        let mut all = Self::default();
        let mut family = (String::new(), String::new());
        let mut helped = BTreeSet::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a family and its help");
                assert!(is_name(name) && !words.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a family and its kind");
                assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "help stands first: {line}");
                let twice = all.families.insert(name.to_owned(), kind.to_owned());
                assert!(twice.is_none(), "a family stands once: {line}");
                family = (name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = sample(line);
                assert!(belongs(&series, &family), "{line} under {family:?}");
                assert!(all.samples.insert(series, value).is_none(), "a series stands once: {line}");
            }
        }
        all.histograms_add_up();
        all
    }

    fn histograms_add_up(&self) {
        for (series, count) in self.samples.iter().filter(|(series, _)| family_of(series).ends_with("_count")) {
            let name = family_of(series).trim_end_matches("_count");
            if self.families.get(name).is_none_or(|kind| kind != "histogram") {
                continue;
            }
            let labels = series.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
            let last = if labels.is_empty() {
                format!("{name}_bucket{{le=\"+Inf\"}}")
            } else {
                format!("{name}_bucket{{le=\"+Inf\",{labels}}}")
            };
            assert_eq!(self.samples.get(&last), Some(count), "the last bucket holds all: {series}");
        }
    }

    /// The value of a series; panics when there is none.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no series {series}"))
    }
}

fn family_of(series: &str) -> &str {
    series.split_once('{').map_or(series, |(name, _)| name)
}

fn belongs(series: &str, (family, kind): &(String, String)) -> bool {
    let name = family_of(series);
    match kind.as_str() {
        "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(family)),
        "counter" => name == family && name.ends_with("_total"),
        _ => name == family,
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A sample without a timestamp: `name{label="value",…} number`.
fn sample(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(is_name(name) && labels.ends_with('}'), "not a series: {line}");
    for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
        let (label, value) = label.split_once("=\"").unwrap_or_else(|| panic!("not a label: {line}"));
        let value = value.trim_end_matches('"');
        assert!(is_name(label) && !value.contains(['"', '\\', '\n']), "not a label of ours: {line}");
    }
    let number = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
    (series.to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    #[test]
    fn a_text_of_metrics_is_read() {
        let text = "# HELP a_total A\n# TYPE a_total counter\na_total{x=\"y\",z=\"w\"} 1\n# HELP h H\n# TYPE h histogram\n\
             h_sum 1.5\nh_count 2\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\n";
        let read = Exposition::parse(text);
        assert_eq!(read.value("a_total{x=\"y\",z=\"w\"}"), 1.0);
        assert_eq!(read.samples.len(), 5);
    }

    #[test]
    #[should_panic(expected = "a series stands once")]
    fn a_series_that_stands_twice_is_found() {
        let _ = Exposition::parse("# HELP a A\n# TYPE a gauge\na 1\na 1\n");
    }

    #[test]
    #[should_panic(expected = "under")]
    fn a_sample_of_another_family_is_found() {
        let _ = Exposition::parse("# HELP a A\n# TYPE a gauge\nb 1\n");
    }
}
