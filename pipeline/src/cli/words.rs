//! `landfall completions` and `landfall man`: what can be typed, for shells and for readers of manuals. Made from the definitions that parse
//! the command line, so that neither can fall behind.

use super::Outcome;
use super::args::{Arguments, ManArguments};
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;
use std::io;

pub(super) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut bare(), "landfall", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Ok(Finished {
        result: json!({ "shell": shell.to_string(), "script": script }),
        text: script,
        ..Finished::done(String::new())
    })
}

pub(super) fn man(arguments: &ManArguments) -> Outcome {
    let failed = |error: io::Error| {
        let message = format!("the manual cannot be written: {}", error.kind());
        CliFailure::new(Exit::Failed, "unwritable", message).suggest("a directory that is there and writable")
    };
    match &arguments.dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(bare()).render(&mut page).map_err(failed)?;
            let page = String::from_utf8_lossy(&page).into_owned();
            Ok(Finished { result: json!({ "page": page }), text: page, ..Finished::done(String::new()) })
        }
        Some(dir) => {
            clap_mangen::generate_to(bare(), dir).map_err(failed)?;
            let written = format!("manual pages written to {}", dir.display());
            Ok(Finished { result: json!({ "dir": dir.display().to_string() }), ..Finished::done(written) })
        }
    }
}

/// The definitions without what variables are set here: the text must not depend on the machine, nor show a secret of its environment.
fn bare() -> clap::Command {
    Arguments::command().mut_args(|arg| arg.hide_env_values(true))
}
