//! `landfall deadletter retry` and `discard`: piece by piece through the running service, or under the state lock where none runs.
//!
//! Each piece is whole in itself: interrupted, what was settled is, and the same command goes on with the rest.

use super::super::Outcome;
use super::super::args::RedressArguments;
use super::super::console::Console;
use super::super::decide::not_locked;
use super::super::envelope::Finished;
use super::super::exit::Exit;
use super::super::failure::CliFailure;
use super::super::settings::Settings;
use super::known_code;
use crate::assemble::{LetterValues, Target};
use crate::config::Pipeline;
use crate::control::ControlClient;
use crate::redress::offline::Offline;
use crate::redress::{Done, Order, Tally, Verb};
use crate::status::measure::count;
use landfall_schemas::mapping::StreamMapping;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;
use uuid::Uuid;

/// A stream that is busy is asked again this often …
const BUSY_TRIES: u32 = 20;
/// … with such a pause.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// Who does the pieces.
enum Doer {
    Service(Box<ControlClient>),
    Here(Offline),
}

pub(super) async fn retry(
    chosen: RedressArguments,
    (settings, pipeline): (&Settings, &Pipeline),
    target: &Target,
) -> Outcome {
    redress(chosen, Verb::Retry, (settings, pipeline, target)).await
}

pub(super) async fn discard(
    (chosen, verb, yes): (RedressArguments, Verb, bool),
    (settings, pipeline, console): (&Settings, &Pipeline, &Console),
    target: &Target,
) -> Outcome {
    if !yes && !chosen.dry_run && !agreed(console).map_err(|error| unheard(&error))? {
        let failure =
            CliFailure::new(Exit::Usage, "not_confirmed", "nothing was given up: discarding cannot be undone");
        return Err(failure.suggest("--dry-run to see what it is about, --yes to do it without being asked"));
    }
    redress(chosen, verb, (settings, pipeline, target)).await
}

/// Asks on a terminal; elsewhere nobody can agree.
fn agreed(console: &Console) -> io::Result<bool> {
    if console.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    io::stderr().write_all(b"Discarded changes never become rows. Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn unheard(error: &io::Error) -> CliFailure {
    CliFailure::new(Exit::Failed, "terminal", format!("the terminal cannot be asked: {}", error.kind()))
}

async fn redress(
    chosen: RedressArguments,
    verb: Verb,
    (settings, pipeline, target): (&Settings, &Pipeline, &Target),
) -> Outcome {
    known_code(chosen.code.as_deref())?;
    let some = chosen.id.is_some() || chosen.stream.is_some() || chosen.code.is_some() || chosen.older_than.is_some();
    if !some && !chosen.all {
        let failure = CliFailure::new(Exit::Usage, "nothing_chosen", "which letters?");
        return Err(failure.suggest("a number, --stream, --code, --older-than, or --all"));
    }
    let mut tally = Tally::default();
    let streams = streams(&chosen, pipeline, target).await?;
    let mut doer = doer(pipeline).await?;
    let act = Uuid::new_v4();
    for stream in &streams {
        let order = Order {
            act,
            verb,
            stream: stream.name.to_string(),
            code: chosen.code.clone(),
            older_than: chosen.older_than,
            only: chosen.id,
            dry_run: chosen.dry_run,
            actor: settings.actor(chosen.actor.actor.clone()),
            reason: chosen.reason.clone().unwrap_or_default(),
        };
        let mut after = 0;
        loop {
            let done = doer.piece(stream, &order, after).await?;
            tally.add(done.tally);
            match done.after {
                Some(last) if order.only.is_none() => after = last,
                _ => break,
            }
        }
    }
    Ok(said(tally, &chosen))
}

/// The streams whose letters are meant: those that the target knows any of.
async fn streams(
    chosen: &RedressArguments,
    pipeline: &Pipeline,
    target: &Target,
) -> Result<Vec<StreamMapping>, CliFailure> {
    let named = match (&chosen.stream, chosen.id) {
        (Some(stream), _) => vec![stream.clone()],
        (None, Some(id)) => {
            let letter = target.letter(id, LetterValues::Kept).await?;
            let waits = letter.filter(|letter| letter.state == "parked").ok_or_else(|| {
                let what = format!("{id} is no letter that parks a key");
                CliFailure::new(Exit::Failed, "unknown_letter", what)
                    .suggest("`landfall deadletter list` shows their numbers")
            })?;
            vec![waits.stream]
        }
        (None, None) => {
            let known = target.status().await?.into_iter();
            known.filter(|stream| !stream.waiting.is_empty()).map(|stream| stream.stream).collect()
        }
    };
    let mapping = |name: &String| pipeline.stream(name).ok_or_else(|| super::super::decide::unknown_stream(pipeline));
    named.iter().map(mapping).collect()
}

async fn doer(pipeline: &Pipeline) -> Result<Doer, CliFailure> {
    if let Some(client) = ControlClient::connect(&pipeline.state_dir).await? {
        return Ok(Doer::Service(Box::new(client)));
    }
    Ok(Doer::Here(Offline::open(pipeline).map_err(not_locked)?))
}

impl Doer {
    async fn piece(&mut self, stream: &StreamMapping, order: &Order, after: i64) -> Result<Done, CliFailure> {
        match self {
            Self::Here(offline) => Ok(Box::pin(offline.redress(stream, order, after)).await?),
            Self::Service(client) => {
                let mut tries = 0;
                loop {
                    match client.redress(order, after).await {
                        Err(error) if error.is_busy() && tries < BUSY_TRIES => tries += 1,
                        answer => return Ok(answer?),
                    }
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
            }
        }
    }
}

fn said(tally: Tally, chosen: &RedressArguments) -> Finished {
    let parts = [
        (tally.applied, "applied"),
        (tally.superseded, "superseded by later ones"),
        (tally.filtered, "left out by the filter"),
        (tally.discarded, "discarded"),
        (tally.still_parked, "still parked"),
        (tally.not_records, "hold no record: mend the source, or discard them"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(letters, _)| *letters > 0)
        .map(|(letters, what)| format!("{} {what}", count(*letters)))
        .collect();
    let would = if chosen.dry_run { "nothing was done; it would be: " } else { "" };
    let summary =
        if said.is_empty() { "no such letter waits".to_owned() } else { format!("{would}{}", said.join(", ")) };
    Finished {
        // What waits still is an answer, and not the one that was hoped for.
        exit: if tally.still_parked + tally.not_records > 0 { Exit::Differences } else { Exit::Done },
        result: json!({ "dry_run": chosen.dry_run, "applied": tally.applied, "superseded": tally.superseded,
            "filtered": tally.filtered, "discarded": tally.discarded, "still_parked": tally.still_parked,
            "not_records": tally.not_records }),
        ..Finished::done(summary)
    }
}
