//! The words of `landfall checkpoint` and `landfall replay`.

use super::{Actor, interval};
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CheckpointCommand {
    /// Make one.
    Create {
        /// Its name.
        name: String,
        /// Of this stream; may be given several times. All when left out.
        #[arg(long, value_name = "STREAM")]
        stream: Vec<String>,
        /// Keep what the sources hold beside it, so that `replay --into` can begin there.
        #[arg(long)]
        with_base: bool,
        #[command(flatten)]
        actor: Actor,
    },
    /// All there are, and what they keep on disk.
    List,
    /// Delete one; what only it kept is trimmed.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        actor: Actor,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct ReplayWords {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<IntoCommand>,
    #[command(flatten)]
    pub(in crate::cli) arguments: ReplayArguments,
}

/// What is done with a schema that was replayed into.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IntoCommand {
    /// Compare a schema with the sources, while the running service follows it.
    Compare {
        /// The schema.
        schema: String,
        /// Tell what both sides hold where they differ, not only where.
        #[arg(long, env = "LANDFALL_SHOW_VALUES", value_parser = BoolishValueParser::new())]
        show_values: bool,
        /// How long records that differ are looked at again, and applying may stand still, before they are called suspect.
        #[arg(long, value_name = "DURATION", default_value = "60s", env = "LANDFALL_PATIENCE", value_parser = interval)]
        patience: Duration,
        /// Write a page for an auditor: versions, mapping, counts, digests, timeline.
        #[arg(long, value_name = "FILE", env = "LANDFALL_HTML")]
        html: Option<PathBuf>,
        #[command(flatten)]
        actor: Actor,
    },
    /// Put a schema in the place of the live one, in one short transaction. What was live is followed there: the same command is the way back.
    Swap {
        /// The schema.
        schema: String,
        /// Though no comparison has shown it to hold what the sources hold.
        #[arg(long)]
        uncompared: bool,
        #[command(flatten)]
        actor: Actor,
    },
    /// Give a schema up: drop its tables, and keep nothing for it any more.
    Drop {
        /// The schema.
        schema: String,
        #[command(flatten)]
        actor: Actor,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArguments {
    /// Where to begin: a checkpoint's name, a time (2026-11-27T10:00:00Z), or `earliest`, the first event that is still there. With --into a checkpoint
    /// with a base, or `earliest`; a new copy of the sources when left out.
    #[arg(long, value_name = "NAME|TIME|earliest", required_unless_present = "into")]
    pub(in crate::cli) from: Option<String>,
    /// This stream; may be given several times. All when left out.
    #[arg(long, value_name = "STREAM", conflicts_with = "into")]
    pub(in crate::cli) stream: Vec<String>,
    /// Into tables of a new schema beside the live one, with the mapping of this configuration (-c), and go on there until it is swapped or dropped.
    #[arg(long, value_name = "SCHEMA")]
    pub(in crate::cli) into: Option<String>,
    /// Say how much would be read, and write nothing.
    #[arg(long, conflicts_with = "into")]
    pub(in crate::cli) dry_run: bool,
    #[command(flatten)]
    pub(in crate::cli) actor: Actor,
}
