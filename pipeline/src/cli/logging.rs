//! The log: `tracing` to stderr, text or JSON lines. LANDFALL_LOG takes a filter like `landfall=debug`.

use super::args::{Arguments, Format};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts the log of this process.
pub(super) fn start(arguments: &Arguments) {
    let ours = match (arguments.quiet, arguments.verbose) {
        (true, 0) => "error",
        (_, 0) => "info",
        (_, 1) => "debug",
        _ => "trace",
    };
    // Libraries speak of what they carry: they stay at warnings, so that no payload reaches a log by way of them.
    let standard = format!("warn,landfall_pipeline={ours},landfall_connectors={ours},landfall_schemas={ours}");
    let filter = std::env::var("LANDFALL_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(standard));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // A second start in one process (tests) keeps the first log.
    let _ = match arguments.log_format {
        Format::Text => builder.with_target(false).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}
