//! Which command lines decide a condition.

use super::report::StreamCondition;

/// The command lines for a stream in this condition; empty when nothing waits for a decision. Subjects are hashes and codes
/// of ours and names are checked ones, so that a line can be pasted into a shell as it is.
pub fn how_to(stream: &str, condition: &StreamCondition) -> Vec<String> {
    match condition {
        StreamCondition::Held { revision, refused: false, .. } => {
            vec![format!("landfall accept {stream} {revision}"), format!("landfall refuse {stream} {revision}")]
        }
        // A refused revision may still be accepted after a second look.
        StreamCondition::Held { revision, .. } => vec![format!("landfall accept {stream} {revision}")],
        // Other halted states are mended by what their detail says, not by a word.
        StreamCondition::Halted(trouble) if trouble.code == "file_shrank" => {
            vec![format!("landfall accept {stream} {}", trouble.code)]
        }
        StreamCondition::Halted(_) => Vec::new(),
        StreamCondition::Stopped
        | StreamCondition::Starting
        | StreamCondition::Copying { .. }
        | StreamCondition::Following
        | StreamCondition::Waiting(_) => Vec::new(),
    }
}
