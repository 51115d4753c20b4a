//! What the command line promises to those who type it and to scripts: its shape, envelope, failures and exit codes.

use super::args::Arguments;
use super::envelope::{self, Finished};
use super::exit::Exit;
use super::failure::CliFailure;
use super::golden;
use clap::CommandFactory;
use landfall_connectors::failure::{Failure, FailureClass};

/// What the generated chapter begins with.
const COMMANDS: &str = "# Commands

<!-- Written by a test from the definitions that parse the command line; LANDFALL_BLESS=1 writes it anew. -->

What `landfall COMMAND --help` and `landfall man` say, as one page. `landfall completions SHELL` prints a completion script.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 differences found or equality not shown, 4 halted and needs a decision, 5 another
owner runs, 130 interrupted. A command that fails names a code; its page is in [the runbooks](../runbooks/README.md). With `-o json`
stdout carries one envelope, `{command, ok, summary, result, error}`, and nothing else; what is for people goes to stderr. `NO_COLOR` is
honoured.

These options belong to every command:

";

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

/// The command line as it is defined, built. What variables are set on the machine of the test must not show.
fn defined() -> clap::Command {
    let mut command = Arguments::command().term_width(100).mut_args(|arg| arg.hide_env_values(true));
    command.build();
    command
}

/// Every command with what is typed for it, in the order of the help.
pub(super) fn every(mut see: impl FnMut(&mut clap::Command, &str)) {
    let mut command = defined();
    see(&mut command, "");
    for sub in command.clone().get_subcommands_mut() {
        let name = sub.get_name().to_owned();
        see(&mut sub.clone().term_width(100), &format!("{name} "));
        for inner in sub.get_subcommands_mut() {
            let path = format!("{name} {} ", inner.get_name());
            see(&mut inner.clone().term_width(100), &path);
        }
    }
}

#[test]
fn help_says_everything_that_can_be_typed() {
    let mut text = String::new();
    every(|command, path| {
        text.push_str(&format!("$ landfall {path}--help\n{}\n", command.render_long_help()));
    });
    golden::check("help.txt", &text);
}

#[test]
fn the_book_has_a_chapter_of_every_command() {
    let mut text = format!("{COMMANDS}{}\n", options(&defined(), |_| true));
    every(|command, path| {
        if path.is_empty() || path == "help " || path.ends_with(" help ") {
            return;
        }
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let own = options(command, |argument| !argument.is_global_set());
        text.push_str(&format!("## landfall {}\n\n{about}.\n\n```\n{usage}\n```\n\n{own}", path.trim_end()));
        text.push_str(if own.is_empty() { "" } else { "\n" });
    });
    golden::check_in_repository("deploy/docs/commands.md", &format!("{}\n", text.trim_end()));
}

/// A table of a command's arguments.
fn options(command: &clap::Command, wanted: impl Fn(&clap::Arg) -> bool) -> String {
    let named = |argument: &&clap::Arg| !["help", "version"].contains(&argument.get_id().as_str());
    let rows: Vec<String> =
        command.get_arguments().filter(named).filter(|argument| wanted(argument)).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("| argument | variable | default | it says |\n|---|---|---|---|\n{}", rows.concat())
}

fn row(argument: &clap::Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>"));
    let takes = argument.get_action().takes_values();
    let value = if takes { values.collect::<Vec<_>>().join(" ") } else { String::new() };
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = argument.get_short().map(|short| format!("-{short}")).into_iter().chain(long).collect();
    let name = format!("{} {value}", names.join(", "));
    let variable = argument.get_env().map(|variable| format!("`{}`", variable.to_string_lossy())).unwrap_or_default();
    let default = argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy()));
    let default = if takes { default.collect::<Vec<_>>().join(" ") } else { String::new() };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let cell = |text: &str| text.replace('|', "\\|");
    format!("| `{}` | {variable} | {default} | {} |\n", cell(name.trim()), cell(&help))
}

#[test]
fn the_envelope_has_one_shape() {
    let done = envelope::line("check", &Ok(Finished::done("all is well")));
    assert_eq!(
        done,
        "{\"command\":\"check\",\"ok\":true,\"summary\":\"all is well\",\"result\":null,\"error\":null}\n"
    );
    let finding = Finished { exit: Exit::NeedsDecision, ..Finished::done("a stream needs a decision") };
    let line = envelope::line("status", &Ok(finding));
    assert!(line.contains("\"ok\":false") && line.ends_with("\"error\":null}\n"), "{line}");
    let failure =
        CliFailure::new(Exit::Failed, "not_running", "no service runs").suggest("start it").caused_by(&"a cause");
    let line = envelope::line("accept", &Err(failure));
    assert_eq!(
        line,
        "{\"command\":\"accept\",\"ok\":false,\"summary\":\"no service runs\",\"result\":null,\"error\":{\"code\":\"not_running\",\
         \"message\":\"no service runs\",\"suggestion\":\"start it\",\"caused_by\":[\"a cause\"]}}\n"
    );
}

#[test]
fn failures_say_what_why_and_what_to_do() {
    let failure = CliFailure::new(Exit::Failed, "control_failed", "the service did not answer")
        .caused_by(&"timed out")
        .suggest("look at its log");
    let text = "error: the service did not answer [control_failed]\n  caused by: timed out\n  → look at its log\n";
    assert_eq!(failure.to_string(), text);
}

#[test]
fn classes_have_their_exit_codes() {
    for (class, code, exit) in [
        (FailureClass::Halt, "mapping_changed", Exit::NeedsDecision),
        (FailureClass::Fenced, "other_owner", Exit::OtherOwner),
        (FailureClass::Transient, "target_unreachable", Exit::Failed),
        (FailureClass::Fatal, "sync_failed", Exit::Failed),
    ] {
        assert_eq!(CliFailure::from(Failure::new(class, code, "")).exit, exit, "{code}");
    }
}
