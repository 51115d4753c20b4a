//! What `status` shows: a report that the service publishes, that travels over the control socket, and that people read.
//!
//! [`report`] is the stable shape (`-o json` prints it as it is), [`decision`] the commands it advises, [`table`] and
//! [`render`] its text. Owns no numbers: the service counts, this room only shows. Keeps promise 20: a stream carries all
//! terms of the accounting identity and can say whether they add up.

mod attached;
mod condition;
pub mod decision;
pub mod evolution;
mod forecast;
mod health;
pub mod measure;
mod parked;
pub mod readiness;
pub mod render;
pub mod report;
pub mod screen;
mod source;
pub mod table;

pub use attached::{ComparedReport, ComparingReport, ComparisonReport, HookReport, Stage};
pub use condition::StreamCondition;
pub use evolution::EvolutionReport;
pub use forecast::{CopyReport, ForecastReport, PACE, Paces};
pub use health::{HealthReport, MeasureReport};
pub use parked::ParkedReport;
pub use report::{
    BesideReport, ControlReport, HttpReport, StatusReport, StreamPhase, StreamReport, TargetReport, Trouble,
};
pub use source::{LeftOutReport, LogReport, QueueFull, QueueReport, SourceReport, WatchMode};

#[cfg(test)]
mod tests;
