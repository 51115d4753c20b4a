//! The log: `tracing` to stderr, text or JSON lines. LANDFALL_LOG takes a filter like `landfall=debug`.

use super::args::{Arguments, Format};
use crate::log_dial::{LogDial, LogLevel};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

/// Starts the log of this process; what turns its level.
pub(super) fn start(arguments: &Arguments) -> LogDial {
    let ours = match (arguments.quiet, arguments.verbose) {
        (true, 0) => LogLevel::Error,
        (_, 0) => LogLevel::Info,
        (_, 1) => LogLevel::Debug,
        _ => LogLevel::Trace,
    };
    let filter = std::env::var("LANDFALL_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(ours.filter()));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // A second start in one process (tests) keeps the first log.
    match arguments.log_format {
        Format::Text => {
            let builder = builder.with_target(false).with_filter_reloading();
            let dial = dial(builder.reload_handle());
            builder.try_init().map(|()| dial).unwrap_or_default()
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let dial = dial(builder.reload_handle());
            builder.try_init().map(|()| dial).unwrap_or_default()
        }
    }
}

fn dial<S: 'static>(handle: Handle<EnvFilter, S>) -> LogDial {
    LogDial::new(move |level| handle.reload(EnvFilter::new(level.filter())).is_ok())
}
