//! From SQLSTATE to a classified failure. Never from message text, and no message text is passed on: PostgreSQL's words
//! may repeat row values and keys.
//!
//! | SQLSTATE | class | code |
//! |---|---|---|
//! | 08*, 57P01–57P05, connection ended, I/O error | Transient | `target_unreachable` |
//! | TLS handshake refused by us or by the server | Transient | `tls_refused`: a certificate may be renewed meanwhile |
//! | 53100 · 53200 · 53300 · other 53* | Transient | `target_disk_full` · `target_memory` · `target_connections` · `target_resources` |
//! | 40001 · 40P01 · 55P03 | Transient | `serialization` · `deadlock` · `lock_wait` |
//! | 25006 | Transient | `target_read_only`: a standby, waited for to be promoted |
//! | 28* | Transient | `access_denied`: a password may be rotated on either side first; not ready meanwhile |
//! | 42501 | Halt | `permission_denied` |
//! | 57014 | TooMuch | `statement_timeout` |
//! | 3D000 | Halt | `database_missing` |
//! | 3F000, other 42*, 0A000 | Halt | `schema_drift` |
//! | 23503 · 23505 · 23P01 | Halt | `foreign_key` · `unique_violation` · `exclusion_violation` |
//! | 21000 | Halt | `key_collision`: two keys of the source are one in the target |
//! | 22*, 23502, 23514, 23*, 44000, 54000 | Halt | `refused` (the writer looks for the row before it comes to this) |
//! | P0* | Halt | `target_trigger` |
//! | XX001, XX002 | Halt | `target_corrupted` |
//! | all else | Halt | `target_error` |

use super::wire::WireError;
use crate::failure::{Failure, FailureClass};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

/// A failure outside of a commit.
pub(crate) fn classify(error: &WireError, doing: &str) -> Failure {
    match error {
        WireError::TimedOut => Failure::new(
            FailureClass::Transient,
            "target_timeout",
            format!("{doing}: no answer from PostgreSQL within the deadline; the connection was given up"),
        ),
        WireError::Postgres(error) => classify_error(error, doing),
    }
}

/// A failure after `COMMIT` was sent. Only an answer of the plain severity `ERROR` says that nothing was written; with a
/// lost connection, a shutdown or a deadline the commit may stand (promise 9).
pub(crate) fn classify_commit(error: &WireError) -> Failure {
    if let WireError::Postgres(error) = error
        && let Some(db) = error.as_db_error()
        && db.parsed_severity() == Some(Severity::Error)
        && db.code().code() != "08007"
    {
        return classify_error(error, "commit");
    }
    Failure::new(
        FailureClass::Unknown,
        "commit_unknown",
        "the connection was lost while PostgreSQL committed: the checkpoint says whether it did",
    )
}

fn classify_error(error: &Error, doing: &str) -> Failure {
    let Some(db) = error.as_db_error() else {
        let (code, what) = match trouble(error) {
            Trouble::Io(kind) => ("target_unreachable", format!("no connection to PostgreSQL ({kind})")),
            Trouble::Certificate(tls) => ("tls_refused", format!("TLS: {tls}")),
            Trouble::NoTls => ("tls_refused", "the server offers no TLS, or not to us; see sslmode".to_owned()),
            Trouble::Closed => ("target_unreachable", "the connection to PostgreSQL ended".to_owned()),
        };
        return Failure::new(FailureClass::Transient, code, format!("{doing}: {what}"));
    };
    let (class, code, what) = of_sqlstate(db.code().code());
    Failure::new(class, code, format!("{doing}: {what} ({})", names(db)))
}

/// What stands behind an error that is not the server's.
enum Trouble {
    Io(std::io::ErrorKind),
    /// rustls's words name certificates and hosts, never rows or secrets.
    Certificate(String),
    NoTls,
    Closed,
}

fn trouble(error: &Error) -> Trouble {
    let mut cause = std::error::Error::source(error);
    if cause.is_none() || error.is_closed() {
        return Trouble::Closed;
    }
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            let tls = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
            return tls.map_or_else(|| Trouble::Io(io.kind()), |tls| Trouble::Certificate(tls.to_string()));
        }
        cause = inner.source();
    }
    Trouble::NoTls
}

/// SQLSTATE and the names of the objects concerned; never PostgreSQL's message or detail.
fn names(db: &DbError) -> String {
    let mut out = format!("SQLSTATE {}", db.code().code());
    for (what, name) in
        [("schema", db.schema()), ("table", db.table()), ("column", db.column()), ("constraint", db.constraint())]
    {
        if let Some(name) = name {
            out.push_str(&format!(", {what} {name}"));
        }
    }
    out
}

/// Class, code and what to tell the operator.
pub(crate) fn of_sqlstate(state: &str) -> (FailureClass, &'static str, &'static str) {
    use FailureClass::{Halt, TooMuch, Transient};
    let class = state.get(..2).unwrap_or(state);
    match (class, state) {
        (_, "53100") => (Transient, "target_disk_full", "PostgreSQL's disk is full; waiting for space"),
        (_, "53200") => (Transient, "target_memory", "PostgreSQL is out of memory; waiting"),
        (_, "53300") => (Transient, "target_connections", "PostgreSQL has no connection to spare; waiting for one"),
        ("53", _) => (Transient, "target_resources", "PostgreSQL is short of a resource; waiting"),
        (_, "40001") => (Transient, "serialization", "another transaction came between; trying again"),
        (_, "40P01") => (Transient, "deadlock", "a deadlock with another session; trying again"),
        (_, "55P03") => (Transient, "lock_wait", "another session holds a lock we need; waiting for it"),
        (_, "25006") => {
            (Transient, "target_read_only", "PostgreSQL is read-only (a standby?); waiting for it to take writes")
        }
        (_, "57014") => (TooMuch, "statement_timeout", "PostgreSQL cancelled the statement"),
        ("08" | "57", _) => {
            (Transient, "target_unreachable", "PostgreSQL ended the connection or is starting; waiting")
        }
        ("28", _) => {
            (Transient, "access_denied", "PostgreSQL refuses our role or password; waiting for them to be mended")
        }
        (_, "42501") => (Halt, "permission_denied", "our role lacks a privilege; grant it and resume"),
        (_, "3D000") => (Halt, "database_missing", "the database does not exist; create it or mend the URL"),
        ("42" | "3F" | "0A", _) => {
            (Halt, "schema_drift", "the table is not as mapped; compare with `landfall schema plan`")
        }
        (_, "23503") => (Halt, "foreign_key", "a foreign key refuses the rows; drop it until cutover"),
        (_, "23505") => (Halt, "unique_violation", "a unique index refuses the rows; drop it until cutover"),
        (_, "23P01") => {
            (Halt, "exclusion_violation", "an exclusion constraint refuses the rows; drop it until cutover")
        }
        ("21", _) => {
            (Halt, "key_collision", "two keys of the source are one key in the target; mend the mapping's key")
        }
        ("22" | "23" | "44" | "54", _) => (Halt, "refused", "PostgreSQL refuses the rows"),
        ("P0", _) => (Halt, "target_trigger", "a trigger or function of the target raised an error"),
        (_, "XX001" | "XX002") => (Halt, "target_corrupted", "PostgreSQL reports damaged data"),
        _ => (Halt, "target_error", "PostgreSQL reports an error we do not know"),
    }
}

/// Whether PostgreSQL may mean single rows, so that looking for them makes sense. A foreign key or another unique index
/// speaks about other rows too: parking would hide it.
pub(crate) fn may_be_a_row(state: &str) -> bool {
    match state.get(..2) {
        Some("22" | "44" | "54") => true,
        Some("23") => matches!(state, "23502" | "23514"),
        _ => false,
    }
}

/// The SQLSTATE of an error, if the server gave one and the connection lives on.
pub(crate) fn living_sqlstate(error: &WireError) -> Option<&str> {
    match error {
        WireError::Postgres(error) => {
            error.as_db_error().filter(|db| db.parsed_severity() == Some(Severity::Error)).map(|db| db.code().code())
        }
        WireError::TimedOut => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_away_by_itself_is_waited_for() {
        for state in ["08006", "57P01", "57P02", "57P03", "53100", "53300", "40001", "40P01", "55P03", "25006", "28P01"]
        {
            assert_eq!(of_sqlstate(state).0, FailureClass::Transient, "{state}");
        }
        assert_eq!(of_sqlstate("57014").0, FailureClass::TooMuch);
    }

    #[test]
    fn what_needs_a_person_halts_under_its_own_name() {
        for (state, code) in [
            ("42703", "schema_drift"),
            ("42P01", "schema_drift"),
            ("3D000", "database_missing"),
            ("42501", "permission_denied"),
            ("23503", "foreign_key"),
            ("23505", "unique_violation"),
            ("21000", "key_collision"),
        ] {
            assert_eq!((of_sqlstate(state).0, of_sqlstate(state).1), (FailureClass::Halt, code), "{state}");
            assert!(!may_be_a_row(state), "{state}");
        }
    }

    #[test]
    fn only_values_and_row_constraints_are_looked_for_row_by_row() {
        for state in ["22003", "22021", "22P02", "22P03", "23502", "23514", "54000"] {
            assert!(may_be_a_row(state), "{state}");
        }
    }
}
