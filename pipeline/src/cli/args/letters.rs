//! The words of `landfall deadletter`.

use super::{Actor, age};
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeadletterCommand {
    /// The letters that park their keys, oldest first, and how many there are by reason.
    List {
        #[command(flatten)]
        chosen: LetterArguments,
        /// Most letters that are listed.
        #[arg(long, value_name = "N", default_value = "50", env = "LANDFALL_LIMIT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// All of one letter.
    Show {
        /// Its number, as list shows it.
        id: i64,
        /// Tell its key and its record.
        #[arg(long, env = "LANDFALL_SHOW_VALUES", value_parser = BoolishValueParser::new())]
        show_values: bool,
    },
    /// Map them again, with the mapping of now; later changes that wait behind them follow in their order. Through the running service, or without one.
    Retry(RedressArguments),
    /// Give letters up: their changes never become rows. What waits behind them is retried. Recorded with actor and reason.
    Discard {
        #[command(flatten)]
        chosen: RedressArguments,
        /// Give up what waits behind them too.
        #[arg(long)]
        behind: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Everything that waits, the changes behind parked keys too, as NDJSON.
    Export {
        #[command(flatten)]
        chosen: LetterArguments,
        /// Into this new file instead of stdout.
        #[arg(long, value_name = "FILE", env = "LANDFALL_TO")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LetterArguments {
    /// Of this stream alone.
    #[arg(long, value_name = "STREAM")]
    pub(in crate::cli) stream: Option<String>,
    /// Parked for this reason alone.
    #[arg(long, value_name = "CODE")]
    pub(in crate::cli) code: Option<String>,
    /// At least as old.
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(in crate::cli) older_than: Option<Duration>,
    /// Tell keys and records too.
    #[arg(long, env = "LANDFALL_SHOW_VALUES", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) show_values: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RedressArguments {
    /// This letter alone, by its number.
    #[arg(conflicts_with_all = ["stream", "code", "older_than", "all"])]
    pub(in crate::cli) id: Option<i64>,
    /// Those of this stream.
    #[arg(long, value_name = "STREAM")]
    pub(in crate::cli) stream: Option<String>,
    /// Those parked for this reason.
    #[arg(long, value_name = "CODE")]
    pub(in crate::cli) code: Option<String>,
    /// Those at least as old.
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(in crate::cli) older_than: Option<Duration>,
    /// All of them.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Say what would become of them, and do nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT", env = "LANDFALL_REASON")]
    pub(in crate::cli) reason: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) actor: Actor,
}
