//! What `verify` found. The JSON of it is stable: fields are added, never renamed or given another meaning.
//!
//! Keys of records are named here, since nobody could mend a difference without them; values only where they were asked for.

use crate::status::Trouble;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every record of both sides was compared and is equal.
    Equal,
    /// Equality cannot be shown: something was not compared, is parked, or did not settle.
    #[default]
    Unknown,
    /// There are differences.
    Different,
}

impl Verdict {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "OK",
            Self::Unknown => "UNKNOWN",
            Self::Different => "DIFFERENT",
        }
    }
}

/// Records, by how they fared. A record with all its rows below it counts once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tallies {
    /// Rows are as the source says.
    pub equal: u64,
    /// The source has it, the target has none of its rows and no dead letter.
    pub missing: u64,
    /// The target has rows of it, the source has it not.
    pub extra: u64,
    /// Both have it, and its rows differ.
    pub different: u64,
    /// It differed, and has not settled since.
    pub suspect: u64,
    /// A dead letter holds it.
    pub parked: u64,
    /// It could not be compared.
    pub not_compared: u64,
}

impl Tallies {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.equal += other.equal;
        self.missing += other.missing;
        self.extra += other.extra;
        self.different += other.different;
        self.suspect += other.suspect;
        self.parked += other.parked;
        self.not_compared += other.not_compared;
    }

    /// All records.
    pub fn records(&self) -> u64 {
        self.equal + self.differences() + self.suspect + self.parked + self.not_compared
    }

    /// Those that differ for certain.
    pub fn differences(&self) -> u64 {
        self.missing + self.extra + self.different
    }

    /// Equal ones in a hundred, rounded down to four places: 100 means all.
    pub fn accuracy(&self) -> f64 {
        let all = u128::from(self.records());
        match (u128::from(self.equal) * 1_000_000).checked_div(all) {
            None => 100.0,
            Some(millionths) => millionths as f64 / 10_000.0,
        }
    }

    /// What these numbers alone say.
    pub fn verdict(&self) -> Verdict {
        match self.records() == self.equal {
            _ if self.differences() > 0 => Verdict::Different,
            true => Verdict::Equal,
            false => Verdict::Unknown,
        }
    }
}

/// In which way a row differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The source says the row, the target has it not.
    Missing,
    /// The target has the row, the source says it not.
    Extra,
    /// Both have it.
    Different,
    /// Nothing can be made of the record, and no dead letter says so.
    Unparked,
}

impl FindingKind {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
            Self::Unparked => "not parked",
        }
    }
}

/// One row that differs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// How.
    pub kind: FindingKind,
    /// `schema.table`.
    pub table: String,
    /// Columns of its primary key and what they hold.
    pub key: Value,
    /// Columns that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnFinding>,
}

/// One column that differs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ColumnFinding {
    /// Its name.
    pub column: String,
    /// Inside a document: the pointer of the first place that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What the source says; only where values were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// What the target holds; the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Value>,
}

/// When one side was read, and what of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SideReport {
    /// Unix milliseconds.
    pub started_ms: u64,
    /// Unix milliseconds.
    pub ended_ms: u64,
    /// Rows, of all tables.
    pub rows: u64,
    /// The sum of all rows' hashes, in hex: equal on both sides when their rows are.
    pub digest: String,
}

/// What was done about differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RepairReport {
    /// Records that differed and could be named to the source.
    pub asked: u64,
    /// Of them those that are equal since.
    pub repaired: u64,
    /// Records that differed and whose key cannot be told from the table as the source writes it.
    pub not_nameable: u64,
    /// It was only said what would be done.
    pub dry_run: bool,
}

/// What a sample shows of all records.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct SampleReport {
    /// One record in so many was compared.
    pub one_in: u64,
    /// How sure the interval is: 0.95.
    pub confidence: f64,
    /// At least this share of all records is not equal …
    pub differing_low: f64,
    /// … and at most this.
    pub differing_high: f64,
}

/// One stream.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StreamResult {
    /// Its name.
    pub stream: String,
    /// Its source.
    pub source: String,
    /// `schema.table` of its own table.
    pub table: String,
    /// What was shown.
    pub verdict: Verdict,
    /// Records.
    #[serde(flatten)]
    pub tallies: Tallies,
    /// Equal records in a hundred, rounded down.
    pub accuracy: f64,
    /// What the source held at this time was applied, as far as the verdict goes; Unix milliseconds.
    pub verified_through_ms: Option<u64>,
    /// Events of the stream that were applied when the target was read.
    pub applied_events: Option<u64>,
    /// SHA-256 of the mapping, in hex.
    pub mapping: String,
    /// The source's side.
    pub read_source: Option<SideReport>,
    /// The target's side.
    pub read_target: Option<SideReport>,
    /// Times that records were looked at again.
    pub rounds: u32,
    /// What stands in the way of a verdict.
    pub reasons: Vec<Trouble>,
    /// What was done about differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairReport>,
    /// Only a sample was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleReport>,
    /// Rows that differ: the first ones.
    pub findings: Vec<Finding>,
    /// Records that differ and are not among them.
    pub findings_left_out: u64,
}

/// Whether somebody applies changes while the two sides are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// A service was asked how far it is.
    Running,
    /// None ran: changes that were not captured yet count as differences.
    #[default]
    None,
}

/// A whole run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The pipeline.
    pub pipeline: String,
    /// The worst of its streams.
    pub verdict: Verdict,
    /// Of all streams together.
    #[serde(flatten)]
    pub tallies: Tallies,
    /// Equal records in a hundred, rounded down.
    pub accuracy: f64,
    /// The earliest of its streams.
    pub verified_through_ms: Option<u64>,
    /// Whether a service ran.
    pub service: Service,
    /// It went on where an earlier run had ended.
    pub resumed: bool,
    /// Unix milliseconds.
    pub started_ms: u64,
    /// Unix milliseconds.
    pub ended_ms: u64,
    /// Which program compared.
    pub version: String,
    /// `server_version_num` of the target, where it was reached.
    pub server_version: Option<u32>,
    /// Streams in the order of the configuration.
    pub streams: Vec<StreamResult>,
}

impl VerifyReport {
    /// Puts the streams' results together.
    #[must_use]
    pub fn of(mut self, streams: Vec<StreamResult>) -> Self {
        for stream in &streams {
            self.tallies.add(&stream.tallies);
        }
        self.verdict = streams.iter().map(|stream| stream.verdict).max().unwrap_or(Verdict::Unknown);
        let nothing = streams.iter().any(|stream| stream.read_source.is_none() || stream.read_target.is_none());
        // Of a side that was not read nobody knows how many records there are.
        self.accuracy = if nothing { 0.0 } else { self.tallies.accuracy() };
        let through: Option<Vec<u64>> = streams.iter().map(|stream| stream.verified_through_ms).collect();
        self.verified_through_ms = through.and_then(|through| through.into_iter().min());
        self.streams = streams;
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn a_hundred_percent_means_all() {
        let nearly = Tallies { equal: 9_999_999, missing: 1, ..Tallies::default() };
        assert_eq!(nearly.accuracy(), 99.9999);
        assert_eq!(Tallies { equal: 3, ..Tallies::default() }.accuracy(), 100.0);
        assert_eq!(Tallies::default().accuracy(), 100.0);
    }

    #[test]
    fn equal_is_said_only_when_everything_is() {
        let some = |tallies: Tallies| Tallies { equal: 5, ..tallies }.verdict();
        assert_eq!(some(Tallies::default()), Verdict::Equal);
        assert_eq!(some(Tallies { suspect: 1, ..Tallies::default() }), Verdict::Unknown);
        assert_eq!(some(Tallies { parked: 1, ..Tallies::default() }), Verdict::Unknown);
        assert_eq!(some(Tallies { not_compared: 1, ..Tallies::default() }), Verdict::Unknown);
        assert_eq!(some(Tallies { parked: 1, extra: 1, ..Tallies::default() }), Verdict::Different);
    }

    /// A report in which everything is said.
    pub(crate) fn example() -> VerifyReport {
        let value = |text: &str| Some(Value::from(text));
        let column =
            ColumnFinding { column: "doc".into(), at: Some("/a/0".into()), source: value("x"), target: value("y") };
        let finding = Finding {
            kind: FindingKind::Different,
            table: "public.users".into(),
            key: serde_json::json!({ "id": 5 }),
            columns: vec![column],
        };
        let side = || SideReport { started_ms: 1, ended_ms: 2, rows: 3, digest: "0f".into() };
        let tallies = Tallies { equal: 1, missing: 2, extra: 3, different: 4, suspect: 5, parked: 6, not_compared: 7 };
        let stream = StreamResult {
            stream: "users".into(),
            source: "store".into(),
            table: "public.users".into(),
            verdict: tallies.verdict(),
            tallies,
            accuracy: tallies.accuracy(),
            verified_through_ms: Some(1),
            applied_events: Some(9),
            mapping: "ab".into(),
            read_source: Some(side()),
            read_target: Some(side()),
            rounds: 2,
            reasons: vec![Trouble { code: "paused".into(), detail: "stream users is paused".into() }],
            repair: Some(RepairReport { asked: 1, ..RepairReport::default() }),
            sample: Some(SampleReport { one_in: 10, confidence: 0.95, differing_low: 0.25, differing_high: 0.5 }),
            findings: vec![finding],
            findings_left_out: 8,
        };
        let report = VerifyReport { pipeline: "shop".into(), version: "1".into(), ..VerifyReport::default() };
        report.of(vec![stream])
    }

    #[test]
    fn the_json_has_the_shape_that_programs_rely_on() {
        let text = serde_json::to_string_pretty(&example()).unwrap();
        crate::cli::golden::check("verify-report.json", &(text + "\n"));
    }
}
