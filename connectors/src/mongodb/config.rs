//! What a MongoDB source is told: where it is, what is captured, where copies are read.
//!
//! The URI may hold a password: it is wiped from memory when dropped and no error or debug output repeats any part of it.

use mongodb::options::{ReadPreference, ReadPreferenceOptions, SelectionCriteria};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// A connection string, `mongodb://…` or `mongodb+srv://…`.
#[derive(Clone)]
pub struct SecretUri(Zeroizing<String>);

impl SecretUri {
    /// Takes the URI over.
    pub fn new(uri: String) -> Self {
        Self(Zeroizing::new(uri))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretUri(…)")
    }
}

/// Where the state of a changed document comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Capture {
    /// Looked up when its change is read: it may be newer than the change, or gone already.
    #[default]
    Lookup,
    /// From the collection's post-images: exactly what the change left.
    Images,
}

/// Which member of the set copies are read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadFrom {
    /// The primary alone.
    Primary,
    /// The primary, or a secondary while there is none.
    PrimaryPreferred,
    /// A secondary alone.
    Secondary,
    /// A secondary, or the primary while there is none.
    SecondaryPreferred,
    /// Whichever answers fastest.
    Nearest,
}

impl ReadFrom {
    /// How far behind a secondary may be that is read: the least that servers accept. A copy waits for the time its capture
    /// began anyway, so a member that is far behind would only make it wait.
    const MAX_STALENESS: Duration = Duration::from_secs(90);

    /// As the driver says it.
    pub(crate) fn criteria(self) -> SelectionCriteria {
        let options = Some(ReadPreferenceOptions::builder().max_staleness(Self::MAX_STALENESS).build());
        SelectionCriteria::ReadPreference(match self {
            Self::Primary => ReadPreference::Primary,
            Self::PrimaryPreferred => ReadPreference::PrimaryPreferred { options },
            Self::Secondary => ReadPreference::Secondary { options },
            Self::SecondaryPreferred => ReadPreference::SecondaryPreferred { options },
            Self::Nearest => ReadPreference::Nearest { options },
        })
    }
}

/// A MongoDB database and how it is read.
#[derive(Clone, Debug)]
pub struct MongoConfig {
    /// Where it is.
    pub uri: SecretUri,
    /// The database whose collections are captured.
    pub database: String,
    /// Name of the pipeline, as the server's logs and `currentOp` show it: `landfall/NAME`.
    pub pipeline: String,
    /// Where the state of a changed document comes from.
    pub capture: Capture,
    /// Which member copies are read from; `None`: as the URI says, else the primary.
    pub read_from: Option<ReadFrom>,
    /// PEM file of the authorities that the server's certificate is checked against; switches TLS on. `None`: as the URI says.
    pub ca_file: Option<PathBuf>,
}

impl MongoConfig {
    /// A source with the usual settings.
    pub fn new(uri: SecretUri, database: &str, pipeline: &str) -> Self {
        Self {
            uri,
            database: database.to_owned(),
            pipeline: pipeline.to_owned(),
            capture: Capture::default(),
            read_from: None,
            ca_file: None,
        }
    }
}
