//! Which command lines decide a condition.

use super::condition::StreamCondition;
use crate::doubt::{NOT_COMPARED, may_go_on};
use crate::letterbox::TOO_OLD;

/// Halted states that a word mends. Others are mended by what their detail says; a word on them only means: try again.
const MENDED_BY_A_WORD: [&str; 7] = [
    "file_shrank",
    "queue_changed",
    "history_lost",
    "token_ahead",
    "token_not_matched",
    "source_changed",
    "position_unreadable",
];
/// Halted states in which both words are decisions.
const DECIDED_EITHER_WAY: [&str; 1] = ["collection_gone"];
/// Those of them that a worker halts in: a word on them can wait in the target for the next service.
const OF_WORKERS: [&str; 2] = ["queue_changed", "collection_gone"];

/// Whether a word on this halted state can be given while no service runs.
pub fn can_wait(code: &str) -> bool {
    OF_WORKERS.contains(&code)
}

/// The command lines for a stream in this condition; empty when nothing waits for a decision. Subjects are hashes and codes
/// of ours and names are checked ones, so that a line can be pasted into a shell as it is.
pub fn how_to(stream: &str, condition: &StreamCondition) -> Vec<String> {
    match condition {
        StreamCondition::Held { revision, refused: false, .. } => {
            vec![format!("landfall accept {stream} {revision}"), format!("landfall refuse {stream} {revision}")]
        }
        // A refused revision may still be accepted after a second look.
        StreamCondition::Held { revision, .. } => vec![format!("landfall accept {stream} {revision}")],
        StreamCondition::Halted(trouble) if MENDED_BY_A_WORD.contains(&trouble.code.as_str()) => {
            let accept = format!("landfall accept {stream} {}", trouble.code);
            let compare = may_go_on(&trouble.code).then(|| format!("{accept} --compare"));
            [accept].into_iter().chain(compare).collect()
        }
        StreamCondition::Halted(trouble) if DECIDED_EITHER_WAY.contains(&trouble.code.as_str()) => {
            ["accept", "refuse"].map(|word| format!("landfall {word} {stream} {}", trouble.code)).to_vec()
        }
        StreamCondition::Halted(trouble) if trouble.code == TOO_OLD => {
            ["retry", "discard"].map(|verb| format!("landfall deadletter {verb} --stream {stream}")).to_vec()
        }
        StreamCondition::Halted(_) => Vec::new(),
        StreamCondition::Waiting(trouble) if trouble.code == NOT_COMPARED => {
            vec![format!("landfall verify --repair --stream {stream}")]
        }
        StreamCondition::Stopped
        | StreamCondition::Starting
        | StreamCondition::Copying { .. }
        | StreamCondition::Following
        | StreamCondition::Waiting(_) => Vec::new(),
    }
}
