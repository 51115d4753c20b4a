//! `landfall status -o json`, read for the tests: the one place that knows its shape.

use serde_json::Value;

/// A whole status.
#[derive(Clone, Debug)]
pub struct Status(Value);

/// One stream of it.
#[derive(Clone, Debug)]
pub struct StreamStatus(Value);

impl Status {
    /// From the command's output; `None` when it is not JSON.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// A stream by name. Streams may stand in an array (each with a `name`) or in a map.
    pub fn stream(&self, name: &str) -> Option<StreamStatus> {
        let found = match &self.0["streams"] {
            Value::Array(streams) => streams.iter().find(|stream| stream["name"] == name),
            Value::Object(streams) => streams.get(name),
            _ => None,
        };
        found.cloned().map(StreamStatus)
    }

    /// All of it.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl StreamStatus {
    /// `following`, `waiting`, `held`, `halted`, …
    pub fn state(&self) -> &str {
        self.word(&["state", "condition"])
    }

    /// The name of the reason: `unparsable`, `missing`, …
    pub fn code(&self) -> &str {
        self.word(&["code", "reason"])
    }

    /// The sentence for the operator.
    pub fn detail(&self) -> &str {
        self.word(&["detail", "message"])
    }

    /// What `accept` and `refuse` name.
    pub fn subject(&self) -> &str {
        self.word(&["revision", "subject"])
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// The first of these members that is a string, on the stream or inside its `condition`.
    fn word(&self, names: &[&str]) -> &str {
        let places = [&self.0, &self.0["condition"], &self.0["state"]];
        names
            .iter()
            .find_map(|name| places.iter().find_map(|place| place.get(name).and_then(Value::as_str)))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_stream_is_found_in_an_array_and_in_a_map() {
        let array = Status::parse(r#"{"streams":[{"name":"a","state":"held","revision":"ff"}]}"#).unwrap();
        assert_eq!(array.stream("a").unwrap().subject(), "ff");
        let map = Status::parse(r#"{"streams":{"a":{"condition":{"state":"waiting","code":"missing"}}}}"#).unwrap();
        assert_eq!(map.stream("a").unwrap().state(), "waiting");
        assert_eq!(map.stream("a").unwrap().code(), "missing");
        assert!(map.stream("b").is_none());
    }
}
