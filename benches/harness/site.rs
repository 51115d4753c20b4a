//! A pipeline in a folder of its own, as a user would keep it: `landfall.yaml`, `state/`, and whatever store there is.
//!
//! The product reads the file itself, so that mapping and table are the ones a real run has. Secrets come by the environment.

use landfall_pipeline::config::{self, Pipeline};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with a configuration.
#[derive(Clone, Debug)]
pub struct Site {
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    logging: &'static [&'static str],
}

/// What the log holds unless a bench is about it: errors.
const QUIET: &[&str] = &["-q"];

impl Site {
    /// Writes the configuration into `folder`; `url` becomes `DATABASE_URL`.
    pub fn write(folder: &Path, url: &str, text: &str) -> Self {
        fs::create_dir_all(folder).expect("the bench folder is writable");
        fs::write(folder.join("landfall.yaml"), text).expect("a bench's own folder is writable");
        Self { folder: folder.to_owned(), variables: vec![("DATABASE_URL", url.to_owned())], logging: QUIET }
    }

    /// `MONGODB_URI` too.
    #[must_use]
    pub fn mongo(mut self, uri: &str) -> Self {
        self.variables.push(("MONGODB_URI", uri.to_owned()));
        self
    }

    /// Another section at the end of the configuration.
    #[must_use]
    pub fn also(self, section: &str) -> Self {
        let mut text = fs::read_to_string(self.file()).expect("a site has a configuration");
        text.push_str(section);
        fs::write(self.file(), text).expect("a bench's own folder is writable");
        self
    }

    /// Other options for the log, in front of the command.
    #[must_use]
    pub fn logging(mut self, options: &'static [&'static str]) -> Self {
        self.logging = options;
        self
    }

    /// Another PostgreSQL database.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.variables.retain(|(name, _)| *name != "DATABASE_URL");
        self.variables.push(("DATABASE_URL", url.to_owned()));
        self
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.folder.join("landfall.yaml")
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The options for the log.
    pub fn log_options(&self) -> &[&str] {
        self.logging
    }

    /// What the product's environment holds beside the usual.
    pub fn variables(&self) -> &[(&'static str, String)] {
        &self.variables
    }

    /// The configuration, read by the product.
    pub fn read(&self) -> Pipeline {
        let variable =
            |name: &str| self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        config::load(&self.file(), &variable).expect("the bench's configuration is valid")
    }
}
