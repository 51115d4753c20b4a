//! What a hook is told: one event, as JSON and as variables of a program's environment.

use serde::Serialize;

/// An event. Its JSON is stable: fields are added, never renamed or given another meaning.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Event {
    /// The pipeline's name.
    pub pipeline: String,
    /// What it is an occasion of: a word of `on`.
    pub event: &'static str,
    /// Of which stream; `None`: of no single one.
    pub stream: Option<String>,
    /// Of which source, where a source and no stream is meant.
    pub source: Option<String>,
    /// When it was seen, RFC 3339.
    pub at: String,
    /// Name of the state that was come to; of the one that is over, for `recovered`.
    pub code: String,
    /// In words.
    pub detail: String,
    /// Where the status can be asked for; `None`: HTTP is not answered.
    pub status_url: Option<String>,
}

impl Event {
    /// As JSON with a line end.
    pub(super) fn json(&self) -> Vec<u8> {
        // Texts and nothing else: there is nothing that could fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// As variables.
    pub(super) fn variables(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("LANDFALL_PIPELINE", &self.pipeline),
            ("LANDFALL_EVENT", self.event),
            ("LANDFALL_STREAM", self.stream.as_deref().unwrap_or_default()),
            ("LANDFALL_SOURCE", self.source.as_deref().unwrap_or_default()),
            ("LANDFALL_AT", &self.at),
            ("LANDFALL_CODE", &self.code),
            ("LANDFALL_STATUS_URL", self.status_url.as_deref().unwrap_or_default()),
        ]
    }
}
