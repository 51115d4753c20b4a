//! A secret of the configuration: a connection string, a token.
//!
//! Keeps S5 of the security list: it has neither `Debug` nor `Display`, so that it cannot reach a log or an error by
//! accident, and its memory is wiped when it is dropped.

use zeroize::Zeroizing;

/// Text that must not be shown.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a secret must not be printable")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
