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
