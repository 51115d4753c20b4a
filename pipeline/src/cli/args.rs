//! What can be typed.

mod letters;
mod replay;

pub(super) use letters::{DeadletterCommand, LetterArguments, RedressArguments};
pub(super) use replay::{CheckpointCommand, IntoCommand, ReplayArguments, ReplayWords};

use crate::control::protocol::HealthHeeding;
use crate::log_dial::LogLevel;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

const AFTER: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 differences, 4 halted and needs a decision,
            5 another owner runs, 130 interrupted.
Every option can be given by the variable shown with it. NO_COLOR is honoured.";

/// Carries JSON files, MongoDB and SQLite into PostgreSQL while they are being written to.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, after_help = AFTER, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Arguments {
    /// Configuration file.
    #[arg(
        short = 'c',
        long,
        global = true,
        value_name = "FILE",
        default_value = "landfall.yaml",
        env = "LANDFALL_CONFIG"
    )]
    pub(super) config: PathBuf,
    /// What stdout carries, text or json; json is one envelope and stable. Of init, a file to write may stand here too.
    #[arg(short = 'o', long, global = true, value_name = "text|json", default_value = "text", env = "LANDFALL_OUTPUT", value_parser = Output::parse)]
    pub(super) output: Output,
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, env = "LANDFALL_LOG_FORMAT")]
    pub(super) log_format: Format,
    /// No progress and no notes; errors are still said.
    #[arg(short = 'q', long, global = true, env = "LANDFALL_QUIET", value_parser = BoolishValueParser::new())]
    pub(super) quiet: bool,
    /// More log lines; twice for everything.
    #[arg(short = 'v', long, global = true, action = ArgAction::Count, env = "LANDFALL_VERBOSE")]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Text or JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What `-o` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// How stdout looks.
    As(Format),
    /// Where the configuration goes.
    File(PathBuf),
}

impl Output {
    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "text" => Ok(Self::As(Format::Text)),
            "json" => Ok(Self::As(Format::Json)),
            file if file.ends_with(".yaml") || file.ends_with(".yml") => Ok(Self::File(file.into())),
            _ => Err("write text or json; with init also a file that ends in .yaml".to_owned()),
        }
    }

    /// How stdout looks.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::As(format) => *format,
            Self::File(_) => Format::Text,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look at stores and write a configuration that holds them.
    Init(InitArguments),
    /// Try the mapping: a record in, the rows expected out. Offline.
    Test(TestArguments),
    /// Look at configuration, stores and target, and change nothing.
    Check,
    /// Tables in the target: show or run what the streams need.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Run the service.
    Run(RunArguments),
    /// Show streams, lag, and what needs a decision.
    Status(StatusArguments),
    /// Compare sources and target, row by row, while changes flow.
    Verify(VerifyArguments),
    /// What could not become a row and waits: list it, show one, give it out, retry it, give it up.
    #[command(subcommand)]
    Deadletter(DeadletterCommand),
    /// Name a consistent cut that a replay can begin at; the queue keeps what is behind it.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Write what the queue still holds once more, as the mapping of now has it: the last change of each key, never over a newer one.
    Replay(ReplayWords),
    /// Let a held revision or a halted stream go on, on the running service.
    Accept(Accepted),
    /// Keep a held revision from being applied, on the running service.
    Refuse(Subject),
    /// Apply nothing of a stream, or of any; capture goes on. Lasts over restarts.
    Pause(Controlled),
    /// Apply again.
    Resume(Controlled),
    /// Limit how many rows a second are applied. Lasts over restarts.
    Throttle(Throttled),
    /// Turn how much the running service's log says, until it ends.
    LogLevel {
        /// How much.
        level: LogLevel,
        #[command(flatten)]
        actor: Actor,
    },
    /// A completion script for a shell, on stdout.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The manual, on stdout; with --dir a page for each command.
    Man(ManArguments),
}

impl Command {
    /// Its name in the JSON envelope.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Test(_) => "test",
            Self::Check => "check",
            Self::Schema(SchemaCommand::Plan { .. }) => "schema plan",
            Self::Schema(SchemaCommand::Apply { .. }) => "schema apply",
            Self::Schema(SchemaCommand::Contract { .. }) => "schema contract",
            Self::Run(_) => "run",
            Self::Status(_) => "status",
            Self::Verify(_) => "verify",
            Self::Deadletter(DeadletterCommand::List { .. }) => "deadletter list",
            Self::Deadletter(DeadletterCommand::Show { .. }) => "deadletter show",
            Self::Deadletter(DeadletterCommand::Retry(_)) => "deadletter retry",
            Self::Deadletter(DeadletterCommand::Discard { .. }) => "deadletter discard",
            Self::Deadletter(DeadletterCommand::Export { .. }) => "deadletter export",
            Self::Checkpoint(CheckpointCommand::Create { .. }) => "checkpoint create",
            Self::Checkpoint(CheckpointCommand::List) => "checkpoint list",
            Self::Checkpoint(CheckpointCommand::Delete { .. }) => "checkpoint delete",
            Self::Replay(ReplayWords { command: None, .. }) => "replay",
            Self::Replay(ReplayWords { command: Some(IntoCommand::Compare { .. }), .. }) => "replay compare",
            Self::Replay(ReplayWords { command: Some(IntoCommand::Swap { .. }), .. }) => "replay swap",
            Self::Replay(ReplayWords { command: Some(IntoCommand::Drop { .. }), .. }) => "replay drop",
            Self::Accept(_) => "accept",
            Self::Refuse(_) => "refuse",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Throttle(_) => "throttle",
            Self::LogLevel { .. } => "log-level",
            Self::Completions { .. } => "completions",
            Self::Man(_) => "man",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Print the SQL that apply would run.
    Plan {
        /// Those of foreign keys and uniqueness, and what is against them.
        #[arg(long)]
        constraints: bool,
    },
    /// Create and extend tables; additive only. One transaction, but for indexes of tables with rows: those are built beside the writers.
    Apply {
        /// Rows written so far keep the old mapping until their records change; without this a changed mapping is refused.
        #[arg(long, env = "LANDFALL_ACCEPT_MAPPING_CHANGE", value_parser = BoolishValueParser::new())]
        accept_mapping_change: bool,
        /// Build and validate foreign keys and uniqueness; all streams must be quiet.
        #[arg(long)]
        constraints: bool,
        #[command(flatten)]
        actor: Actor,
    },
    /// Show what Landfall made and no mapping names any more; with --yes, drop it. Destructive.
    Contract {
        /// Drop it, with the values it holds; refused while anything still needs it.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        actor: Actor,
    },
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// This stream; may be given several times. All when left out.
    #[arg(long, value_name = "STREAM")]
    pub(super) stream: Vec<String>,
    /// Tell what both sides hold where they differ, not only where.
    #[arg(long, env = "LANDFALL_SHOW_VALUES", value_parser = BoolishValueParser::new())]
    pub(super) show_values: bool,
    /// Begin at the beginning, whatever an earlier run has left.
    #[arg(long, env = "LANDFALL_FRESH", value_parser = BoolishValueParser::new())]
    pub(super) fresh: bool,
    /// How long records that differ are looked at again, and applying may stand still, before they are called suspect.
    #[arg(long, value_name = "DURATION", default_value = "60s", env = "LANDFALL_PATIENCE", value_parser = interval)]
    pub(super) patience: Duration,
    /// Write a page for an auditor: versions, mapping, counts, digests, timeline.
    #[arg(long, value_name = "FILE", env = "LANDFALL_HTML")]
    pub(super) html: Option<PathBuf>,
    /// Compare one record in N. Shows how many may differ, and never that all are equal.
    #[arg(long, value_name = "N", env = "LANDFALL_SAMPLE")]
    pub(super) sample: Option<NonZeroU64>,
    /// Capture again what differs, and delete what the source lacks, through the running service; then compare that once more.
    #[arg(long, env = "LANDFALL_REPAIR", value_parser = BoolishValueParser::new())]
    pub(super) repair: bool,
    /// Of --repair: say what would be done, and do nothing.
    #[arg(long, requires = "repair")]
    pub(super) dry_run: bool,
    /// Compare again and again until it is stopped; with -o json one envelope a line.
    #[arg(long, env = "LANDFALL_CONTINUOUS", value_parser = BoolishValueParser::new())]
    pub(super) continuous: bool,
    /// Share of the time that --continuous takes, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "10", env = "LANDFALL_COST", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) cost: u8,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Write pages into this directory, one for each command.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// JSON files, directories, globs of NDJSON, or a mongodb:// URI with a database.
    #[arg(value_name = "SOURCE", required = true)]
    pub(super) sources: Vec<String>,
    /// Write over a configuration that is there.
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Files of cases; landfall.test.yaml beside landfall.yaml when left out.
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// End when everything that stands in the sources has been applied.
    #[arg(long, env = "LANDFALL_UNTIL_CAUGHT_UP", value_parser = BoolishValueParser::new())]
    pub(super) until_caught_up: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Show it again and again; with -o json one envelope a line.
    #[arg(short = 'w', long, env = "LANDFALL_WATCH", value_parser = BoolishValueParser::new())]
    pub(super) watch: bool,
    /// Time between two looks of --watch.
    #[arg(long, value_name = "DURATION", default_value = "1s", env = "LANDFALL_INTERVAL", value_parser = interval)]
    pub(super) interval: Duration,
}

#[derive(Debug, Args)]
pub(super) struct Subject {
    /// The stream.
    pub(super) stream: String,
    /// Hash of the held revision, or code of the halted state, as `landfall status` shows it.
    pub(super) subject: String,
    #[command(flatten)]
    pub(super) actor: Actor,
}

#[derive(Debug, Args)]
pub(super) struct Accepted {
    #[command(flatten)]
    pub(super) subject: Subject,
    /// Where a place in the source's log is lost: copy nothing, go on from now, and have `landfall verify --repair` find and write what
    /// changed in between. The stream is not ready until that has shown it to be equal.
    #[arg(long)]
    pub(super) compare: bool,
}

#[derive(Debug, Args)]
pub(super) struct Controlled {
    /// The stream; all of them when left out.
    pub(super) stream: Option<String>,
    /// Why, for status and history.
    #[arg(long, value_name = "TEXT", env = "LANDFALL_REASON")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) actor: Actor,
}

#[derive(Debug, Args)]
pub(super) struct Throttled {
    #[command(flatten)]
    pub(super) controlled: Controlled,
    /// Most rows a second, for each stream.
    #[arg(long, value_name = "N", env = "LANDFALL_ROWS_PER_SECOND", required_unless_present_any = ["off", "target_health"])]
    pub(super) rows_per_second: Option<NonZeroU64>,
    /// No limit.
    #[arg(long, conflicts_with = "rows_per_second")]
    pub(super) off: bool,
    /// Whether limits of target.health hold it back; the rate stays as it is.
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with_all = ["rows_per_second", "off"])]
    pub(super) target_health: Option<HealthHeeding>,
}

#[derive(Debug, Args)]
pub(super) struct Actor {
    /// Who decides, for the history; the user's name when left out.
    #[arg(long, value_name = "NAME", env = "LANDFALL_ACTOR")]
    pub(super) actor: Option<String>,
}

fn age(text: &str) -> Result<Duration, String> {
    crate::config::quantity::duration(text).ok_or_else(|| "write a duration, like 90s, 12h or 7d".to_owned())
}

/// Shorter intervals would show noise and cost the service; longer ones are for cron.
fn interval(text: &str) -> Result<Duration, String> {
    crate::config::quantity::duration(text)
        .filter(|duration| (Duration::from_millis(100)..=Duration::from_secs(3_600)).contains(duration))
        .ok_or_else(|| "write a duration from 100ms to 1h, like 2s".to_owned())
}
