//! The command line: a file per command, one table of exit codes, one envelope for `-o json`.
//!
//! stdout carries data only; everything for people goes to stderr. Owns no verb: commands read the configuration, call the
//! room that does the work, and say how it went.

mod args;
mod check;
mod checkpoint;
mod console;
mod control;
mod deadletter;
mod decide;
mod envelope;
mod exit;
mod failure;
mod init;
mod into;
mod logging;
mod progress;
mod replay;
mod run;
mod schema;
mod settings;
mod status;
mod test;
mod verify;
mod words;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod tests;

pub use exit::Exit;

use crate::control::protocol::ControlChange;
use crate::log_dial::LogDial;
use args::{Arguments, Command, Output};
use clap::Parser;
use clap::error::ErrorKind;
use console::Console;
use envelope::Finished;
use failure::CliFailure;
use settings::Settings;
use std::process::ExitCode;

/// What a command comes to.
type Outcome = Result<Finished, CliFailure>;

/// Runs the command line of this process: what every binary of Landfall calls.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error).into(),
    };
    let console = Console::of_process(arguments.output.format(), arguments.quiet);
    let log = logging::start(&arguments);
    let name = arguments.command.name();
    let outcome = perform(arguments, &console, log);
    console.finish(name, outcome).into()
}

fn perform(arguments: Arguments, console: &Console, log: LogDial) -> Outcome {
    if let (Output::File(file), false) = (&arguments.output, matches!(arguments.command, Command::Init(_))) {
        let what = format!("-o {} names a file, and only init writes one", file.display());
        return Err(CliFailure::new(Exit::Usage, "usage", what).suggest("-o text or -o json"));
    }
    let written = match arguments.output {
        Output::File(file) => file,
        Output::As(_) => arguments.config.clone(),
    };
    let settings = Settings::of_process(arguments.config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        CliFailure::new(Exit::Failed, "no_runtime", format!("the process cannot start its threads: {}", error.kind()))
    })?;
    runtime.block_on(async {
        match arguments.command {
            Command::Init(options) => init::init(options, &written, console).await,
            Command::Test(options) => test::test(options, &settings),
            Command::Check => check::check(&settings).await,
            Command::Schema(command) => schema::schema(command, &settings, console).await,
            Command::Run(options) => Box::pin(run::run(options, &settings, console, log)).await,
            Command::Status(options) => status::status(options, &settings, console).await,
            Command::Verify(options) => verify::verify(options, &settings, console).await,
            Command::Deadletter(command) => deadletter::deadletter(command, &settings, console).await,
            Command::Checkpoint(command) => Box::pin(checkpoint::checkpoint(command, &settings, console)).await,
            Command::Replay(words) => Box::pin(replay::replay(words, &settings, console)).await,
            Command::Accept(accepted) => decide::accept(accepted, &settings).await,
            Command::Refuse(subject) => decide::decide(subject, decide::Word::Refuse, &settings).await,
            Command::Pause(all) => control::control(all, ControlChange::Pause, &settings).await,
            Command::Resume(all) => control::control(all, ControlChange::Resume, &settings).await,
            Command::LogLevel { level, actor } => control::log_level(level, actor, &settings).await,
            Command::Completions { shell } => words::completions(shell),
            Command::Man(arguments) => words::man(&arguments),
            Command::Throttle(throttled) => control::throttle(throttled, &settings).await,
        }
    })
}

/// Help and version are answers, everything else is a usage error.
fn usage(error: &clap::Error) -> Exit {
    // Nothing can be said about a terminal that takes no text.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
