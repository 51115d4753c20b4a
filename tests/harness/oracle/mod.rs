//! Calls the oracle: a program in another language that decodes stores by itself and compares them with the tables.

use crate::database::Login;
use crate::{mongo_server, repository};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A question to the oracle about one pipeline.
#[derive(Clone, Debug)]
pub struct Oracle {
    config: PathBuf,
    login: Login,
    ledgers: Vec<(String, PathBuf)>,
    mongo: Option<String>,
}

/// The variable that configurations name as the URI of their MongoDB.
pub const MONGO_VARIABLE: &str = "MONGODB_URI_UNDER_TEST";

/// Its answer.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Everything holds.
    pub holds: bool,
    /// Its report.
    pub report: Value,
}

impl Oracle {
    /// About the pipeline of this configuration file and target.
    pub fn new(config: &Path, login: &Login) -> Self {
        Self { config: config.to_path_buf(), login: login.clone(), ledgers: Vec::new(), mongo: None }
    }

    /// Reads the lines of `source` from `ledger`, in which the driver noted every complete line in order, rather than from
    /// files that may have been rotated away.
    #[must_use]
    pub fn ledger(mut self, source: &str, ledger: &Path) -> Self {
        self.ledgers.push((source.to_owned(), ledger.to_path_buf()));
        self
    }

    /// Reaches the MongoDB that the configuration names by [`MONGO_VARIABLE`] at this URI: directly, whatever way the product takes.
    #[must_use]
    pub fn mongo(mut self, uri: &str) -> Self {
        self.mongo = Some(uri.to_owned());
        self
    }

    /// Compares stores and tables: every key, every value, nothing missing, nothing extra, dead letters included.
    pub fn equal(&self) -> Verdict {
        self.ask("equal")
    }

    /// Checks the accounting identity of the checkpoints and, where the audit is installed, its history.
    pub fn witness(&self) -> Verdict {
        self.ask("witness")
    }

    fn ask(&self, question: &str) -> Verdict {
        let script = repository::root().join("tests/oracle/oracle.py");
        // Only MongoDB needs more than Python itself.
        let python = if self.mongo.is_some() { mongo_server::python() } else { PathBuf::from("python3") };
        let mut command = Command::new(python);
        command.arg("-B").arg(script).arg(question).arg("--config").arg(&self.config);
        for (source, ledger) in &self.ledgers {
            command.arg("--ledger").arg(format!("{source}={}", ledger.display()));
        }
        command.envs(self.mongo.iter().map(|uri| (MONGO_VARIABLE, uri)));
        command.envs(self.login.environment()).env("PGTZ", "UTC");
        let done = command.output().expect("python3 can be run: make setup");
        let text = String::from_utf8_lossy(&done.stdout);
        match (done.status.code(), serde_json::from_str(&text)) {
            (Some(0), Ok(report)) => Verdict { holds: true, report },
            (Some(3), Ok(report)) => Verdict { holds: false, report },
            (code, _) => panic!("the oracle could not answer ({code:?}): {}", String::from_utf8_lossy(&done.stderr)),
        }
    }
}

impl Verdict {
    /// Panics with the report unless everything holds.
    #[track_caller]
    pub fn expect(&self, moment: &str) {
        assert!(self.holds, "{moment}: {}", serde_json::to_string_pretty(&self.report).unwrap_or_default());
    }
}

#[cfg(test)]
mod mongo_tests;
#[cfg(test)]
mod tests;
