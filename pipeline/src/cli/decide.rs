//! `landfall accept` and `landfall refuse`: an operator's word, said to the running service.

use super::Outcome;
use super::args::Subject;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::config::Pipeline;
use crate::control::{ControlClient, Request};
use serde_json::json;

/// Longest subject: a hash in hex, or a code of ours.
const MAX_SUBJECT: usize = 256;

/// Which word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Accept,
    Refuse,
}

pub(super) async fn decide(subject: Subject, word: Word, settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline()?;
    check(&subject, &pipeline)?;
    let Some(mut client) = ControlClient::connect(&pipeline.state_dir).await? else {
        let message = format!("no service runs for {}: a decision is taken by the running service", pipeline.name);
        return Err(CliFailure::new(Exit::Failed, "not_running", message).suggest("start `landfall run`, then decide"));
    };
    let request = Request::Decide {
        stream: subject.stream.clone(),
        subject: subject.subject.clone(),
        accept: word == Word::Accept,
        actor: settings.actor(subject.actor.actor),
    };
    client.decide(&request).await?;
    let said = if word == Word::Accept { "accepted" } else { "refused" };
    Ok(Finished {
        result: json!({ "stream": subject.stream, "subject": subject.subject, "decision": said }),
        ..Finished::done(format!("{said}: {} of {}", subject.subject, subject.stream))
    })
}

fn check(subject: &Subject, pipeline: &Pipeline) -> Result<(), CliFailure> {
    if !pipeline.streams.iter().any(|stream| stream.name.as_str() == subject.stream) {
        let names: Vec<_> = pipeline.streams.iter().map(|stream| stream.name.as_str()).collect();
        return Err(CliFailure::new(Exit::Usage, "unknown_stream", "the configuration has no such stream")
            .suggest(format!("one of {}", names.join(", "))));
    }
    if subject.subject.is_empty() || subject.subject.len() > MAX_SUBJECT {
        return Err(CliFailure::new(Exit::Usage, "bad_subject", "this is neither a revision nor a state")
            .suggest("copy it from `landfall status`"));
    }
    Ok(())
}
