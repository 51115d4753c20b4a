//! What commands take from the process: the configuration's path, variables, the user's name. Filled once, in `main`.

use super::failure::CliFailure;
use crate::config::{self, Pipeline};
use std::path::PathBuf;

/// Settings of this process.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    config: PathBuf,
}

impl Settings {
    pub(super) fn of_process(config: PathBuf) -> Self {
        Self { config }
    }

    /// Reads and validates the configuration.
    pub(super) fn pipeline(&self) -> Result<Pipeline, CliFailure> {
        Ok(config::load(&self.config, &|name| std::env::var(name).ok())?)
    }

    /// Reads the configuration where nothing will be connected to: variables that are not set stand for something.
    pub(super) fn pipeline_offline(&self) -> Result<Pipeline, CliFailure> {
        Ok(config::load(&self.config, &or_stand_in)?)
    }

    /// Reads the configuration and says its warnings.
    pub(super) fn pipeline_with_warnings(&self, console: &super::Console) -> Result<Pipeline, CliFailure> {
        let pipeline = self.pipeline()?;
        if !pipeline.warnings.is_empty() {
            console.note(&format!("warning: {}", pipeline.warnings));
        }
        Ok(pipeline)
    }

    /// Who acts, for the target's history: as said, else the user's name, else their number.
    pub(super) fn actor(&self, said: Option<String>) -> String {
        // Longer or stranger names are somebody's joke on the history.
        const MOST: usize = 128;
        let name = said.or_else(|| std::env::var("USER").ok()).filter(|name| !name.trim().is_empty());
        let name = name.unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()));
        name.chars().filter(|c| !c.is_control()).take(MOST).collect()
    }
}

/// A variable of the process, else what stands in for it.
pub(super) fn or_stand_in(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| Some(stand_in(name)))
}

/// A value that is right wherever the variable's name says what is wanted.
fn stand_in(name: &str) -> String {
    if name.to_ascii_uppercase().contains("MONGO") { "mongodb://localhost/none" } else { "postgresql://localhost/none" }
        .to_owned()
}
