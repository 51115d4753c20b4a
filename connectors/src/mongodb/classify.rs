//! From the driver's errors to a classified failure. Codes and labels only: the server's messages may repeat values, and are not
//! passed on.
//!
//! | error | class | code |
//! |---|---|---|
//! | network, pool cleared, no member found, DNS | Transient | `source_unreachable` |
//! | label `SystemOverloadedError`; 433 449 450 462 | Transient | `source_overloaded` |
//! | 91 189 10107 11600 11602 13388 13435 13436 | Transient | `source_stepped_down`: an election or a shutdown |
//! | 6 7 43 50 89 133 134 136 150 175 222 234 237 262 279 402 406 407 412 453 9001 11601, label `ResumableChangeStreamError` | Transient | `source_interrupted` |
//! | 13 18 391 8000, refused log-in | Transient | `source_access_denied`: a password or role may be mended meanwhile |
//! | 239 246 | Transient | `snapshot_too_old`: read the chunk again |
//! | a reply that is not what the protocol says | Transient | `source_reply_invalid` |
//! | 286 | Halt | `history_lost` |
//! | 280 40647 9 | Halt | `token_not_matched` |
//! | 260 346 | Halt | `stream_invalidated` |
//! | 10334 | Halt | `event_too_large` |
//! | 47 | Halt | `images_missing` |
//! | 40573 | Halt | `not_a_replica_set` |
//! | 20 26 73 166 | Halt | `source_target_invalid` |
//! | 2 14 72 115 303 304 40324 40415 | Halt | `source_option_refused` |
//! | TLS settings | Halt | `source_tls` |
//! | a server too old for the driver | Halt | `source_version` |
//! | label `NonResumableChangeStreamError` on another code | Halt | `source_error` |
//! | all else | Transient | `source_error`: shown and tried again slowly, from the same place |

use crate::failure::{Failure, FailureClass};
use mongodb::error::{Error, ErrorKind, RESUMABLE_CHANGE_STREAM_ERROR};

/// The label of errors that no resume can mend.
const NON_RESUMABLE: &str = "NonResumableChangeStreamError";
/// The label of a server that asks to be left alone for a while.
const OVERLOADED: &str = "SystemOverloadedError";

/// What is the matter, as far as anybody acts on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Trouble {
    Unreachable,
    Overloaded,
    SteppedDown,
    Interrupted,
    AccessDenied,
    SnapshotTooOld,
    ReplyInvalid,
    HistoryLost,
    TokenNotMatched,
    Invalidated,
    EventTooLarge,
    ImagesMissing,
    NotReplicaSet,
    TargetInvalid,
    OptionRefused,
    Tls,
    Version,
    NotResumable,
    Other,
}

impl Trouble {
    /// What an error is.
    pub(crate) fn of(error: &Error) -> Self {
        // The driver puts that label on connections that are refused, too: only a server can say it of itself.
        match &*error.kind {
            ErrorKind::Command(command) => Self::of_command(command.code, &|label| error.contains_label(label)),
            ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Shutdown => Self::Unreachable,
            ErrorKind::Authentication { .. } => Self::AccessDenied,
            ErrorKind::InvalidTlsConfig { .. } => Self::Tls,
            ErrorKind::IncompatibleServer { .. } => Self::Version,
            ErrorKind::InvalidResponse { .. } | ErrorKind::MissingResumeToken | ErrorKind::Bson(_) => {
                Self::ReplyInvalid
            }
            _ => Self::Other,
        }
    }

    /// What a command's error is, by its code and labels.
    pub(crate) fn of_command(code: i32, has_label: &dyn Fn(&str) -> bool) -> Self {
        match code {
            _ if has_label(OVERLOADED) => Self::Overloaded,
            433 | 449 | 450 | 462 => Self::Overloaded,
            286 => Self::HistoryLost,
            9 | 280 | 40647 => Self::TokenNotMatched,
            260 | 346 => Self::Invalidated,
            10334 => Self::EventTooLarge,
            47 => Self::ImagesMissing,
            13 | 18 | 391 | 8000 => Self::AccessDenied,
            40573 => Self::NotReplicaSet,
            20 | 26 | 73 | 166 => Self::TargetInvalid,
            2 | 14 | 72 | 115 | 303 | 304 | 40324 | 40415 => Self::OptionRefused,
            239 | 246 => Self::SnapshotTooOld,
            91 | 189 | 10107 | 11600 | 11602 | 13388 | 13435 | 13436 => Self::SteppedDown,
            6 | 7 | 43 | 50 | 89 | 133 | 134 | 136 | 150 | 175 | 222 | 234 | 237 | 262 | 279 | 402 | 406 | 407
            | 412 | 453 | 9001 | 11601 => Self::Interrupted,
            _ if has_label(NON_RESUMABLE) => Self::NotResumable,
            _ if has_label(RESUMABLE_CHANGE_STREAM_ERROR) => Self::Interrupted,
            _ => Self::Other,
        }
    }

    /// Class, code, and what to tell the operator.
    fn says(self) -> (FailureClass, &'static str, &'static str) {
        use FailureClass::Transient;
        match self {
            Self::Unreachable => (
                Transient,
                "source_unreachable",
                "no member of the source answers; waiting. If the address in the URI is reachable, the names that the set \
                 advertises may not be: see directConnection",
            ),
            Self::Overloaded => (Transient, "source_overloaded", "the source is overloaded; waiting longer than usual"),
            Self::SteppedDown => {
                (Transient, "source_stepped_down", "the source elects a primary or shuts down; waiting")
            }
            Self::Interrupted => {
                (Transient, "source_interrupted", "the source interrupted the read; going on from the same place")
            }
            Self::AccessDenied => (
                Transient,
                "source_access_denied",
                "the source refuses our user or one of its privileges (find and changeStream on the database are needed); \
                 waiting for them to be mended",
            ),
            Self::SnapshotTooOld => {
                (Transient, "snapshot_too_old", "the source no longer holds that point in time; reading anew")
            }
            Self::ReplyInvalid => {
                (Transient, "source_reply_invalid", "the source's reply is not what the protocol says; asking again")
            }
            Self::Other => {
                (Transient, "source_error", "the source failed in a way that is not known here; trying again")
            }
            halting => halting.says_for_good(),
        }
    }

    /// The same of what waiting does not mend.
    fn says_for_good(self) -> (FailureClass, &'static str, &'static str) {
        use FailureClass::Halt;
        match self {
            Self::HistoryLost => {
                (Halt, "history_lost", "the source's log no longer reaches back to where capture stands")
            }
            Self::TokenNotMatched => {
                (Halt, "token_not_matched", "the source does not find the place where capture stands")
            }
            Self::Invalidated => {
                (Halt, "stream_invalidated", "the change stream ended for good and cannot be resumed behind its end")
            }
            Self::EventTooLarge => (
                Halt,
                "event_too_large",
                "a change is larger than the 16 MB that the source can send, and this source cannot split it \
                 (MongoDB 6.0.9 and 7.0 can)",
            ),
            Self::ImagesMissing => (
                Halt,
                "images_missing",
                "the source no longer has, or never kept, the post-image of a change: switch \
                 changeStreamPreAndPostImages on for the collection, or use capture: lookup",
            ),
            Self::NotReplicaSet => (
                Halt,
                "not_a_replica_set",
                "the source is a standalone server and has no change streams: start it as a replica set (of one member)",
            ),
            Self::TargetInvalid => (
                Halt,
                "source_target_invalid",
                "the source has no change stream for this database or collection (internal database, view, or not there)",
            ),
            Self::OptionRefused => {
                (Halt, "source_option_refused", "the source does not know an option that is needed here")
            }
            Self::Tls => (Halt, "source_tls", "the TLS settings of the source cannot be used"),
            Self::Version => (Halt, "source_version", "the source's version is not supported"),
            _ => (Halt, "source_error", "the source says that the change stream cannot be resumed"),
        }
    }

    /// Class.
    pub(crate) fn class(self) -> FailureClass {
        self.says().0
    }

    /// The failure of `doing` something.
    pub(crate) fn failure(self, doing: &str, code: Option<i32>) -> Failure {
        let (class, name, what) = self.says();
        let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
        Failure::new(class, name, format!("{doing}: {what}{code}"))
    }
}

/// The failure that an error of `doing` something is.
pub(crate) fn classify(error: &Error, doing: &str) -> Failure {
    Trouble::of(error).failure(doing, server_code(error))
}

/// The server's number for an error, if it is the server's.
pub(crate) fn server_code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(code: i32) -> (FailureClass, &'static str) {
        let failure = Trouble::of_command(code, &|_| false).failure("reading", Some(code));
        (failure.class, failure.code)
    }

    #[test]
    fn every_code_of_the_server_has_its_class_and_name() {
        use FailureClass::{Halt, Transient};
        let table: &[(FailureClass, &str, &[i32])] = &[
            (Transient, "source_interrupted", &[6, 7, 89, 134, 150, 262, 402, 406, 407, 412, 453, 9001, 133, 234]),
            (Transient, "source_interrupted", &[43, 50, 136, 175, 222, 237, 279, 11601]),
            (Transient, "source_stepped_down", &[91, 189, 10107, 11600, 11602, 13388, 13435, 13436]),
            (Transient, "source_overloaded", &[433, 449, 450, 462]),
            (Transient, "source_access_denied", &[13, 18, 391, 8000]),
            (Transient, "snapshot_too_old", &[239, 246]),
            (Halt, "history_lost", &[286]),
            (Halt, "token_not_matched", &[280, 40647, 9]),
            (Halt, "stream_invalidated", &[260, 346]),
            (Halt, "event_too_large", &[10334]),
            (Halt, "images_missing", &[47]),
            (Halt, "not_a_replica_set", &[40573]),
            (Halt, "source_target_invalid", &[73, 166, 20]),
            (Halt, "source_option_refused", &[72, 40415, 40324]),
            (Transient, "source_error", &[1, 8, 99_999]),
        ];
        for (class, name, codes) in table {
            for code in *codes {
                assert_eq!(plain(*code), (*class, *name), "code {code}");
            }
        }
    }

    #[test]
    fn labels_speak_where_codes_are_silent() {
        let labelled = |code, label: &'static str| Trouble::of_command(code, &move |asked| asked == label);
        assert_eq!(labelled(99_999, RESUMABLE_CHANGE_STREAM_ERROR), Trouble::Interrupted);
        assert_eq!(labelled(99_999, NON_RESUMABLE), Trouble::NotResumable);
        assert_eq!(labelled(10107, OVERLOADED), Trouble::Overloaded);
        assert_eq!(labelled(286, NON_RESUMABLE), Trouble::HistoryLost, "a known code says more than its label");
    }

    #[test]
    fn what_the_driver_says_itself_is_classified_by_its_kind() {
        let io = Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        let failure = classify(&io, "reading");
        assert_eq!((failure.class, failure.code), (FailureClass::Transient, "source_unreachable"));
        assert_eq!(classify(&Error::custom(1), "reading").code, "source_error");
    }
}
