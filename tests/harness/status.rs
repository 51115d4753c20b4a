//! `landfall status -o json`, read for the tests: the one place that knows its shape.

use serde_json::Value;

/// A whole status.
#[derive(Clone, Debug)]
pub struct Status(Value);

/// One stream of it.
#[derive(Clone, Debug)]
pub struct StreamStatus(Value);

impl Status {
    /// From the command's output, one JSON envelope whose `result` is the report; `None` when it is not.
    pub fn parse(text: &str) -> Option<Self> {
        let envelope: Value = serde_json::from_str(text).ok()?;
        envelope.get("result").filter(|report| report.is_object()).cloned().map(Self)
    }

    /// A stream by name.
    pub fn stream(&self, name: &str) -> Option<StreamStatus> {
        let streams = self.0["streams"].as_array()?;
        streams.iter().find(|stream| stream["name"] == name).cloned().map(StreamStatus)
    }

    /// All of it.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl StreamStatus {
    /// `following`, `waiting`, `held`, `halted`, …
    pub fn state(&self) -> &str {
        self.condition("state")
    }

    /// The name of the reason: `unparsable`, `missing`, …
    pub fn code(&self) -> &str {
        self.condition("code")
    }

    /// The sentence for the operator.
    pub fn detail(&self) -> &str {
        self.condition("detail")
    }

    /// What `accept` and `refuse` name.
    pub fn subject(&self) -> &str {
        self.condition("revision")
    }

    /// Nothing stands between its source and its table.
    pub fn is_ready(&self) -> bool {
        self.0["ready"] == true
    }

    /// Columns that the service added.
    pub fn columns_added(&self) -> u64 {
        self.0["evolution"]["columns"].as_u64().unwrap_or_default()
    }

    /// Why new fields get no columns for now; empty when they do.
    pub fn resting(&self) -> &str {
        self.0["evolution"]["resting"]["code"].as_str().unwrap_or_default()
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    fn condition(&self, member: &str) -> &str {
        self.0["condition"][member].as_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_stream_is_found_in_the_envelope() {
        let text = r#"{"command":"status","ok":false,"result":{"streams":[
            {"name":"a","ready":false,"condition":{"state":"held","revision":"ff"}}]}}"#;
        let status = Status::parse(text).unwrap();
        let stream = status.stream("a").unwrap();
        assert_eq!((stream.state(), stream.subject(), stream.is_ready()), ("held", "ff", false));
        assert!(status.stream("b").is_none());
        assert!(Status::parse(r#"{"command":"status","ok":false,"result":null,"error":{}}"#).is_none());
    }
}
