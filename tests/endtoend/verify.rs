//! `landfall verify`: what it finds, what it does not invent, and what it says when it cannot tell.
//!
//! What is expected is known to the test because the test did it: it spoils rows by SQL and says which tables, keys and columns it spoilt.

mod corruptions;
mod grown;
mod kinds;
mod losses;
mod lost_position;
mod repairs;
mod sources;
mod under_load;

use landfall_tests::landfall::Finished;
use landfall_tests::site::Site;
use serde_json::Value;

/// What `verify -o json` said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) exit: Option<i32>,
    pub(crate) result: Value,
    pub(crate) output: String,
}

impl Said {
    fn of(finished: &Finished) -> Self {
        let envelope: Value = serde_json::from_str(finished.stdout.trim())
            .unwrap_or_else(|error| panic!("{error}: {}", finished.output()));
        Self { exit: finished.code, result: envelope["result"].clone(), output: finished.output() }
    }

    pub(crate) fn verdict(&self) -> &str {
        self.result["verdict"].as_str().unwrap_or_else(|| panic!("no verdict: {}", self.output))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.result[name].as_u64().unwrap_or_else(|| panic!("no {name}: {}", self.output))
    }

    pub(crate) fn stream(&self, name: &str) -> &Value {
        let streams = self.result["streams"].as_array().into_iter().flatten();
        streams.into_iter().find(|stream| stream["stream"] == name).unwrap_or_else(|| panic!("{}", self.output))
    }

    /// Everything is equal, and so it says.
    #[track_caller]
    pub(crate) fn expect_equal(&self, records: u64) {
        assert_eq!((self.exit, self.verdict()), (Some(0), "equal"), "{}", self.output);
        assert_eq!(self.number("equal"), records, "{}", self.output);
        for none in ["missing", "extra", "different", "suspect", "parked", "not_compared"] {
            assert_eq!(self.number(none), 0, "{none}: {}", self.output);
        }
    }

    /// Codes of what stands in the way of a verdict.
    pub(crate) fn reasons(&self, stream: &str) -> Vec<String> {
        let reasons = self.stream(stream)["reasons"].as_array().cloned().unwrap_or_default();
        reasons.iter().map(|reason| reason["code"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Runs it to its end.
pub(crate) fn verify(site: &Site, more: &[&str]) -> Said {
    let words: Vec<&str> = ["verify", "-o", "json"].iter().chain(more).copied().collect();
    Said::of(&site.finish(&words))
}
