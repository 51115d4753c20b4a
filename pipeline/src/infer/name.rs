//! Names for pipelines, sources and streams, made from what the store calls its things.

use landfall_schemas::naming::snake;

/// A name for a pipeline, a source or a stream: ASCII, a letter first.
pub(super) fn label(name: &str) -> String {
    let ascii: String = snake(name).chars().map(|c| if c.is_ascii() { c } else { '_' }).take(48).collect();
    let trimmed = ascii.trim_matches('_');
    if trimmed.starts_with(|c: char| c.is_ascii_lowercase()) { trimmed.to_owned() } else { format!("store_{trimmed}") }
}
