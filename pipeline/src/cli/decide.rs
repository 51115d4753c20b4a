//! `landfall accept` and `landfall refuse`: an operator's word, said to the running service, or written to the target for the
//! next one to find (then under the state lock, so that no service starts meanwhile).

use super::Outcome;
use super::args::{Accepted, Subject};
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::assemble;
use crate::config::Pipeline;
use crate::control::{ControlClient, Request};
use crate::queue::lock::{LockRefused, StateLock};
use crate::run::names_a_revision;
use crate::status::decision;
use landfall_connectors::postgres::Decision;
use serde_json::json;

/// Longest subject: a hash in hex, or a code of ours.
const MAX_SUBJECT: usize = 256;

/// Accepts, and where it was said so, without a copy.
pub(super) async fn accept(accepted: Accepted, settings: &Settings) -> Outcome {
    let Accepted { subject, compare } = accepted;
    if !compare {
        return decide(subject, Word::Accept, settings).await;
    }
    let pipeline = settings.pipeline()?;
    check(&subject, &pipeline)?;
    let actor = settings.actor(subject.actor.actor.clone());
    let Some(mut client) = ControlClient::connect(&pipeline.state_dir).await? else {
        let message = format!("no service runs for {}: it is the one that goes on", pipeline.name);
        return Err(CliFailure::new(Exit::Failed, "not_running", message).suggest("start `landfall run`, then decide"));
    };
    let Subject { stream, subject, .. } = subject;
    client.decide(&Request::GoOn { stream: stream.clone(), subject: subject.clone(), actor }).await?;
    Ok(Finished {
        result: json!({ "stream": stream, "subject": subject, "decision": "accepted", "compare": true }),
        ..Finished::done(format!(
            "accepted: {subject} of {stream}; changes were lost, so now: landfall verify --repair --stream {stream}"
        ))
    })
}

/// Which word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Accept,
    Refuse,
}

pub(super) async fn decide(subject: Subject, word: Word, settings: &Settings) -> Outcome {
    let pipeline = settings.pipeline()?;
    check(&subject, &pipeline)?;
    let actor = settings.actor(subject.actor.actor.clone());
    match ControlClient::connect(&pipeline.state_dir).await? {
        Some(mut client) => {
            let request = Request::Decide {
                stream: subject.stream.clone(),
                subject: subject.subject.clone(),
                accept: word == Word::Accept,
                actor,
            };
            client.decide(&request).await?;
        }
        None => store(&subject, word, &pipeline, &actor).await?,
    }
    let said = if word == Word::Accept { "accepted" } else { "refused" };
    Ok(Finished {
        result: json!({ "stream": subject.stream, "subject": subject.subject, "decision": said }),
        ..Finished::done(format!("{said}: {} of {}", subject.subject, subject.stream))
    })
}

/// Writes the decision where the next service looks for it.
async fn store(subject: &Subject, word: Word, pipeline: &Pipeline, actor: &str) -> Result<(), CliFailure> {
    if !names_a_revision(&subject.subject) && !decision::can_wait(&subject.subject) {
        let message = format!("no service runs for {}: this state can be decided on a running one only", pipeline.name);
        return Err(CliFailure::new(Exit::Failed, "not_running", message).suggest("start `landfall run`, then decide"));
    }
    let _lock = lock(pipeline)?;
    let Some(stream) = pipeline.stream(&subject.stream) else { return Ok(()) };
    let said = if word == Word::Accept { Decision::Accept } else { Decision::Refuse };
    Ok(assemble::target(pipeline)?.decide(&stream.name, &subject.subject, said, actor).await?)
}

/// The state lock: no service starts while a word is written.
pub(super) fn lock(pipeline: &Pipeline) -> Result<StateLock, CliFailure> {
    StateLock::acquire(&pipeline.state_dir).map_err(not_locked)
}

/// The state lock is not to be had, though no service answered.
pub(super) fn not_locked(refused: LockRefused) -> CliFailure {
    match refused {
        LockRefused::AlreadyHeld => {
            let message = "a service holds the state directory and does not answer";
            CliFailure::new(Exit::OtherOwner, "other_owner", message).suggest("try again in a moment")
        }
        LockRefused::Failed(failure) => failure.into(),
    }
}

/// The configuration has no stream of this name.
pub(super) fn unknown_stream(pipeline: &Pipeline) -> CliFailure {
    let made = pipeline.templates.iter().map(|template| format!("{}.COLLECTION", template.common.name));
    let names: Vec<_> = pipeline.streams.iter().map(|stream| stream.name.to_string()).chain(made).collect();
    CliFailure::new(Exit::Usage, "unknown_stream", "the configuration has no such stream")
        .suggest(format!("one of {}", names.join(", ")))
}

fn check(subject: &Subject, pipeline: &Pipeline) -> Result<(), CliFailure> {
    if pipeline.stream(&subject.stream).is_none() {
        return Err(unknown_stream(pipeline));
    }
    if subject.subject.is_empty() || subject.subject.len() > MAX_SUBJECT {
        return Err(CliFailure::new(Exit::Usage, "bad_subject", "this is neither a revision nor a state")
            .suggest("copy it from `landfall status`"));
    }
    Ok(())
}
