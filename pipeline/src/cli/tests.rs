//! What the command line promises to those who type it and to scripts: its shape, envelope, failures and exit codes.

use super::args::Arguments;
use super::envelope::{self, Finished};
use super::exit::Exit;
use super::failure::CliFailure;
use super::golden;
use clap::CommandFactory;
use landfall_connectors::failure::{Failure, FailureClass};

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn help_says_everything_that_can_be_typed() {
    // What variables are set on the machine of the test must not show.
    let mut command = Arguments::command().term_width(100).mut_args(|arg| arg.hide_env_values(true));
    let mut text = String::new();
    let mut add = |command: &mut clap::Command, path: &str| {
        text.push_str(&format!("$ landfall {path}--help\n{}\n", command.render_long_help()));
    };
    command.build();
    add(&mut command, "");
    for sub in command.clone().get_subcommands_mut() {
        let name = sub.get_name().to_owned();
        add(&mut sub.clone().term_width(100), &format!("{name} "));
        for inner in sub.get_subcommands_mut() {
            let path = format!("{name} {} ", inner.get_name());
            add(&mut inner.clone().term_width(100), &path);
        }
    }
    golden::check("help.txt", &text);
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
