//! The words of `landfall checkpoint` and `landfall replay`.

use super::Actor;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CheckpointCommand {
    /// Make one.
    Create {
        /// Its name.
        name: String,
        /// Of this stream; may be given several times. All when left out.
        #[arg(long, value_name = "STREAM")]
        stream: Vec<String>,
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
pub(in crate::cli) struct ReplayArguments {
    /// Where to begin: a checkpoint's name, a time (2026-11-27T10:00:00Z), or `earliest`, the first event that is still there.
    #[arg(long, value_name = "NAME|TIME|earliest")]
    pub(in crate::cli) from: String,
    /// This stream; may be given several times. All when left out.
    #[arg(long, value_name = "STREAM")]
    pub(in crate::cli) stream: Vec<String>,
    /// Say how much would be read, and write nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    #[command(flatten)]
    pub(in crate::cli) actor: Actor,
}
