//! PostgreSQL: the sink, its checkpoints, and its own schema.
//!
//! | file | owns |
//! |---|---|
//! | `config`, `tls`, `connect`, `wire` | reaching the server: URL, `sslmode`, session settings, one connection with its driver |
//! | `classify` | SQLSTATE → what to do |
//! | `schema/`, `ddl`, `drift`, `contract` | Landfall's own tables; the mapped tables; what somebody changed of them; what no mapping names any more |
//! | `added`, `evolve` | columns that the service added: what they make of a mapping; adding them |
//! | `statement`, `child_statement`, `copy` | SQL text, rows on the wire |
//! | `advance`, `tail` | what commits beside the rows |
//! | `apply`, `write`, `refused`, `bulk` | the writer |
//! | `checkpoint`, `ranges`, `fingerprint` | admission and reading; ranges of copies; the mapping's hash |
//! | `status`, `decisions`, `keys` | what `status` shows; what operators decided; the keys of a table |
//! | `letters` | dead letters as people look at them |
//! | `standing`, `copy_out` | what stands in the tables of a stream, for comparison |
//! | `exchange` | two pipelines that change places; the end of one |
//! | `preflight` | what `check` shows |
//!
//! Keeps promises 2, 3, 8, 9, 13 and 17. Values never enter SQL text, and PostgreSQL's own messages, which may repeat
//! values, never leave this room.

mod added;
mod advance;
mod apply;
mod bulk;
mod checkpoint;
mod child_statement;
mod classify;
mod config;
mod connect;
mod constraints;
mod contract;
mod controls;
mod copy;
mod copy_out;
mod ddl;
mod decisions;
mod doubt;
mod drift;
mod evolve;
mod exchange;
pub mod fingerprint;
mod health;
mod keys;
mod letters;
#[cfg(feature = "mutants")]
mod mutant;
mod named;
pub mod preflight;
mod ranges;
mod rebind;
mod refused;
mod schema;
mod settle;
mod standing;
mod statement;
pub mod status;
mod tail;
mod taken_up;
mod target;
mod tls;
mod wire;
mod write;

pub use apply::PostgresWriter;
pub use config::{InvalidTarget, SecretUrl, SynchronousCommit, TargetConfig, Timeouts};
pub use constraints::Examined;
pub use contract::{Contraction, Superfluous};
pub use ddl::{MappingChange, WantedStream};
pub use decisions::Decision;
pub use exchange::Side;
pub use health::HealthProbe;
pub use letters::{LetterChoice, LetterValues, PAGE, PAGE_WITH_VALUES, Reach, StoredLetter};
pub use named::{Cut, CutStream};
pub use standing::{About, Applied, Standing, TakeStanding};
pub use taken_up::LetterReader;
pub use target::PostgresTarget;
pub use tls::TlsMode;
