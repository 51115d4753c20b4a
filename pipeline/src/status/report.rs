//! The shape of a status report. Its JSON is stable: fields are added, never renamed or given another meaning.

use super::attached::{ComparedReport, ComparingReport, ComparisonReport, HookReport};
use super::condition::StreamCondition;
use super::decision;
use super::evolution::EvolutionReport;
use super::forecast::{CopyReport, ForecastReport};
use super::health::HealthReport;
use super::parked::ParkedReport;
use super::source::SourceReport;
use landfall_connectors::checkpoints::{Counts, Phase};
use landfall_connectors::control::Control;
use landfall_connectors::failure::Failure;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// All there is to know about a pipeline at one moment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StatusReport {
    /// The pipeline's name.
    pub pipeline: String,
    /// A service is running. When it is not, the numbers are what disk and target hold.
    pub running: bool,
    /// How long it has been running.
    pub uptime_ms: Option<u64>,
    /// The target.
    pub target: TargetReport,
    /// Sources in the order of the configuration.
    pub sources: Vec<SourceReport>,
    /// Streams in the order of the configuration.
    pub streams: Vec<StreamReport>,
    /// Schemas beside the live one that the queue is replayed into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<BesideReport>,
    /// Where HTTP is answered, or why it is not; `None`: it is not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpReport>,
    /// Hooks in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookReport>,
    /// A comparison under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ComparisonReport>,
}

/// A schema beside the live one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BesideReport {
    /// Its name.
    pub schema: String,
    /// The same streams there.
    pub streams: Vec<StreamReport>,
}

/// Whether HTTP is answered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HttpReport {
    /// Where, once it is.
    pub address: Option<String>,
    /// Why it is not; tried again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// A named state with its explanation. `code` is the name of a runbook page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// Stable name.
    pub code: String,
    /// What happened, where, and what can be done.
    pub detail: String,
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        Self { code: failure.code.to_owned(), detail: failure.detail.clone() }
    }
}

/// The target.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TargetReport {
    /// The last thing asked of it was answered.
    pub reachable: bool,
    /// What is waited for while it is not.
    pub waiting_for: Option<Trouble>,
    /// Its health, where limits are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthReport>,
}

/// How rows get into the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamPhase {
    /// Not admitted yet.
    Prepared,
    /// The first revision is being captured.
    Copying,
    /// The first revision goes into the bare heap.
    Bulk,
    /// Changes go through the stage.
    Live,
}

impl StreamPhase {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Copying => "copying",
            Self::Bulk => "bulk",
            Self::Live => "live",
        }
    }
}

impl From<Phase> for StreamPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Bulk => Self::Bulk,
            Phase::Live => Self::Live,
        }
    }
}

/// One stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StreamReport {
    /// Its name.
    pub name: String,
    /// Its source.
    pub source: String,
    /// `schema.table`.
    pub table: String,
    /// How rows get into the table.
    pub phase: StreamPhase,
    /// What it is doing.
    pub condition: StreamCondition,
    /// What its source holds is applied or on its way, and nothing stands in between.
    pub ready: bool,
    /// Events captured since offset 0.
    pub captured: u64,
    /// Of them written, or found already equal.
    pub applied: u64,
    /// Of them overtaken.
    pub superseded: u64,
    /// Of them left out by a filter.
    pub filtered: u64,
    /// Of them parked.
    pub dead_lettered: u64,
    /// Of them parked and given up.
    #[serde(default)]
    pub discarded: u64,
    /// Of them waiting in the queue.
    pub queued: u64,
    /// Captured and not applied yet.
    pub lag_events: u64,
    /// Age of the newest event when its batch was committed; `None` before the first.
    pub lag_ms: Option<u64>,
    /// Events a second, of late.
    pub rate: f64,
    /// Partitions that stand still.
    pub partitions_halted: Vec<u16>,
    /// Command lines that decide what waits for a decision, or end a pause.
    pub how_to: Vec<String>,
    /// A copy from the source under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyReport>,
    /// How far the copy is, and when it will be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastReport>,
    /// Pause and throttle, while there is any.
    #[serde(default)]
    pub control: Option<ControlReport>,
    /// Measures of the target's health that hold it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    /// What waits because it could not become a row, as it was seen some seconds ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<ParkedReport>,
    /// Changes were lost, and no comparison has shown since what they left: the name of this doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// What became of fields that no column took, where the service adds columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evolution: Option<EvolutionReport>,
    /// What the last comparison has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<ComparedReport>,
    /// How far a comparison under way is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparing: Option<ComparingReport>,
}

/// Pause and throttle of a stream, and whether it heeds the target's health.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ControlReport {
    /// Nothing is applied.
    pub paused: bool,
    /// Most rows a second.
    pub rows_per_second: Option<NonZeroU64>,
    /// The target's health holds nothing of it back.
    #[serde(default)]
    pub ignores_health: bool,
    /// Who said so.
    pub actor: String,
    /// And why; may be empty.
    pub reason: String,
}

impl StreamReport {
    /// A stream of which nothing is known but its names.
    pub fn new(name: &str, source: &str, table: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            table: table.to_owned(),
            phase: StreamPhase::Prepared,
            condition: StreamCondition::Stopped,
            ready: false,
            captured: 0,
            applied: 0,
            superseded: 0,
            filtered: 0,
            dead_lettered: 0,
            discarded: 0,
            queued: 0,
            lag_events: 0,
            lag_ms: None,
            rate: 0.0,
            partitions_halted: Vec::new(),
            how_to: Vec::new(),
            copy: None,
            forecast: None,
            control: None,
            held_by: Vec::new(),
            parked: None,
            doubt: None,
            evolution: None,
            compared: None,
            comparing: None,
        }
    }

    /// Sets what became of `captured` events; what is left of them is queued.
    #[must_use]
    pub fn counted(mut self, captured: u64, counts: Counts) -> Self {
        self.captured = captured;
        self.applied = counts.applied;
        self.superseded = counts.superseded;
        self.filtered = counts.filtered;
        self.dead_lettered = counts.dead_lettered;
        self.discarded = counts.discarded;
        self.queued = captured.saturating_sub(counts.total());
        self.lag_events = self.queued;
        self
    }

    /// Sets the condition and the commands that decide it.
    #[must_use]
    pub fn in_condition(mut self, condition: StreamCondition) -> Self {
        self.how_to = decision::how_to(&self.name, &condition);
        self.condition = condition;
        self
    }

    /// Shows pause and throttle. Call after [`StreamReport::in_condition`].
    #[must_use]
    pub fn controlled(mut self, control: &Control) -> Self {
        if !control.paused && control.rows_per_second.is_none() && !control.ignores_health {
            return self;
        }
        let Control { paused, rows_per_second, ignores_health, actor, reason } = control.clone();
        if paused {
            self.ready = false;
            self.how_to.push(format!("landfall resume {}", self.name));
        }
        self.control = Some(ControlReport { paused, rows_per_second, ignores_health, actor, reason });
        self
    }

    /// The target's health holds it back, and nothing else stands in the way.
    pub fn is_held_by_health(&self) -> bool {
        let works = matches!(self.condition, StreamCondition::Following | StreamCondition::Copying { .. });
        works && !self.is_paused() && !self.held_by.is_empty()
    }

    /// Whether an operator paused it.
    pub fn is_paused(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.paused)
    }

    /// Live, and all that was captured is settled.
    pub fn is_quiet(&self) -> bool {
        let calm = matches!(self.condition, StreamCondition::Stopped | StreamCondition::Following);
        self.phase == StreamPhase::Live && self.queued == 0 && calm
    }

    /// Settled without a row and without a letter: overtaken by newer ones, left out by a filter, given up, or marks that the service makes itself.
    pub fn passed(&self) -> u64 {
        self.superseded + self.filtered + self.discarded
    }

    /// captured = applied + superseded + filtered + dead-lettered + discarded + queued.
    pub fn identity_holds(&self) -> bool {
        let ended = self.applied + self.superseded + self.filtered + self.dead_lettered + self.discarded;
        self.captured == ended + self.queued
    }
}

impl StatusReport {
    /// Some stream waits for an operator's decision.
    pub fn needs_decision(&self) -> bool {
        self.streams.iter().any(|stream| stream.condition.needs_decision())
    }
}
