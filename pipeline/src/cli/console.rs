//! stdout and stderr of this process: the only place that writes to them (beside the log and the progress bars).

use super::args::Format;
use super::envelope::{self, Finished};
use super::exit::Exit;
use super::failure::CliFailure;
use std::io::{self, IsTerminal, Write};

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    format: Format,
    notes: Notes,
    terminal: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Notes {
    Said,
    Kept,
}

impl Console {
    pub(super) fn of_process(format: Format, quiet: bool) -> Self {
        let notes = if quiet { Notes::Kept } else { Notes::Said };
        Self { format, notes, terminal: io::stderr().is_terminal() }
    }

    /// People look at stderr and want to be told.
    pub(super) fn shows_progress(&self) -> bool {
        self.notes == Notes::Said
    }

    /// stderr is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// What is written to stdout is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line for people, unless they asked for quiet.
    pub(super) fn note(&self, text: &str) {
        if self.notes == Notes::Said {
            to_stderr(text);
        }
    }

    /// Data for stdout. A reader who has gone (`| head`) is no failure.
    pub(super) fn data(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Says how a command ended and gives its exit code.
    pub(super) fn finish(&self, command: &'static str, outcome: Result<Finished, CliFailure>) -> Exit {
        let exit = match &outcome {
            Ok(finished) => finished.exit,
            Err(failure) => failure.exit,
        };
        match (self.format, &outcome) {
            (Format::Json, _) => self.data(&envelope::line(command, &outcome)),
            (Format::Text, Ok(finished)) => {
                self.data(&finished.text);
                self.note(&finished.summary);
            }
            (Format::Text, Err(_)) => {}
        }
        if let Err(failure) = &outcome {
            // Also beside JSON: a log of stderr alone must tell what happened.
            to_stderr(&failure.to_string());
        }
        exit
    }
}

fn to_stderr(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut err = io::stderr().lock();
    // Where nobody can read, nothing can be said.
    let _ = err.write_all(text.trim_end().as_bytes()).and_then(|()| err.write_all(b"\n"));
}
