//! `landfall deadletter`: what waits because it could not become a row: listed, shown, given out; `redress` retries it and gives it up.
//!
//! Read from the target, whether a service runs or not. Keys and payloads are the user's values and told only on demand; without it a letter goes
//! by its number, its code and its place in the source.

pub(super) mod line;
mod redress;

use super::Outcome;
use super::args::{DeadletterCommand, LetterArguments};
use super::console::Console;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::assemble::{self, LetterChoice, LetterValues, PAGE, PAGE_WITH_VALUES, Reach, StoredLetter, Target};
use crate::config::Pipeline;
use crate::redress::Verb;
use crate::status::measure::{count, span};
use landfall_schemas::rejection::RejectCode;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(super) async fn deadletter(command: DeadletterCommand, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = settings.pipeline()?;
    let target = assemble::target(&pipeline)?;
    match command {
        DeadletterCommand::List { chosen, limit } => {
            let choice = choice(&chosen, &pipeline, Reach::Heads)?;
            list(&target, (&choice, limit), values(chosen.show_values)).await
        }
        DeadletterCommand::Show { id, show_values } => show(&target, id, values(show_values)).await,
        DeadletterCommand::Retry(chosen) => redress::retry(chosen, (settings, &pipeline), &target).await,
        DeadletterCommand::Discard { chosen, behind, yes } => {
            let verb = if behind { Verb::DiscardAll } else { Verb::Discard };
            redress::discard((chosen, verb, yes), (settings, &pipeline, console), &target).await
        }
        DeadletterCommand::Export { chosen, to } => {
            let choice = choice(&chosen, &pipeline, Reach::All)?;
            export(&target, &choice, (values(chosen.show_values), to.as_deref()), console).await
        }
    }
}

fn values(shown: bool) -> LetterValues {
    if shown { LetterValues::Fetched } else { LetterValues::Kept }
}

fn choice(chosen: &LetterArguments, pipeline: &Pipeline, reach: Reach) -> Result<LetterChoice, CliFailure> {
    let known = |stream: &String| {
        let mut made = pipeline.templates.iter().map(|template| template.common.name.as_str());
        pipeline.stream(stream).is_some() || made.any(|name| stream.starts_with(name))
    };
    if !chosen.stream.as_ref().is_none_or(known) {
        return Err(super::decide::unknown_stream(pipeline));
    }
    known_code(chosen.code.as_deref())?;
    Ok(LetterChoice { stream: chosen.stream.clone(), code: chosen.code.clone(), older_than: chosen.older_than, reach })
}

fn known_code(code: Option<&str>) -> Result<(), CliFailure> {
    if code.is_none_or(|code| RejectCode::ALL.iter().any(|known| known.name() == code)) {
        return Ok(());
    }
    let names: Vec<&str> = RejectCode::ALL.iter().map(|known| known.name()).collect();
    let failure = CliFailure::new(Exit::Usage, "unknown_code", "nothing is parked for such a reason");
    Err(failure.suggest(format!("one of {}", names.join(", "))))
}

async fn list(target: &Target, (choice, limit): (&LetterChoice, u32), values: LetterValues) -> Outcome {
    let counts = target.letter_counts(choice).await?;
    let total: u64 = counts.values().sum();
    let letters = pages(target, choice, values, limit).await?;
    let mut text = String::new();
    for letter in &letters {
        let behind = if letter.behind > 0 { format!(", {} behind it", letter.behind) } else { String::new() };
        // Into a string: cannot fail.
        let _ = writeln!(
            text,
            "{}  {}  {}  {}{behind}  {}",
            letter.id,
            letter.stream,
            line::reason(letter),
            span(letter.age_seconds.unsigned_abs() * 1_000),
            line::origin(letter)
        );
        if let Some(key) = line::key(letter) {
            let _ = writeln!(text, "     key {key}");
        }
    }
    let by_code: Vec<String> = counts.iter().map(|(code, letters)| format!("{code} {}", count(*letters))).collect();
    let summary = match (total, letters.len() as u64) {
        (0, _) => "nothing is parked".to_owned(),
        (total, shown) if shown < total => {
            format!("{} parked keys ({}); the first {shown} are listed: --limit", count(total), by_code.join(", "))
        }
        (total, _) => format!("{} parked keys ({})", count(total), by_code.join(", ")),
    };
    let listed: Vec<Value> = letters.iter().map(line::json).collect();
    let result = json!({ "parked": total, "by_code": counts, "letters": listed });
    Ok(Finished { text, result, ..Finished::done(summary) })
}

async fn show(target: &Target, id: i64, values: LetterValues) -> Outcome {
    let Some(letter) = target.letter(id, values).await? else {
        return Err(CliFailure::new(Exit::Failed, "unknown_letter", format!("there is no dead letter {id}"))
            .suggest("`landfall deadletter list` shows their numbers"));
    };
    Ok(Finished { text: line::all(&letter), result: line::json(&letter), ..Finished::done(String::new()) })
}

async fn export(
    target: &Target,
    choice: &LetterChoice,
    (values, to): (LetterValues, Option<&Path>),
    console: &Console,
) -> Outcome {
    if to.is_none() && console.is_json() {
        let failure = CliFailure::new(Exit::Usage, "usage", "export writes NDJSON, which is no place for an envelope");
        return Err(failure.suggest("--to FILE beside -o json, or no -o"));
    }
    let mut file = to.map(create).transpose()?;
    let (mut after, mut letters) = (0, 0_u64);
    loop {
        let page = target.letters(choice, (after, page_of(values)), values).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        letters += page.len() as u64;
        for letter in &page {
            let line = format!("{}\n", line::json(letter));
            match &mut file {
                Some(file) => file.write_all(line.as_bytes()).map_err(|error| unwritable(&error))?,
                None => console.data(&line),
            }
        }
    }
    if let Some(file) = file {
        let whole = file.into_inner().map_err(|error| unwritable(error.error()))?;
        whole.sync_all().map_err(|error| unwritable(&error))?;
    }
    Ok(Finished { result: json!({ "letters": letters }), ..Finished::done(format!("{} dead letters", count(letters))) })
}

/// A file for values of the user's: nobody else may read it, and nothing is written over.
fn create(path: &Path) -> Result<BufWriter<std::fs::File>, CliFailure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map(BufWriter::new).map_err(|error| unwritable(&error))
}

fn unwritable(error: &std::io::Error) -> CliFailure {
    CliFailure::new(Exit::Failed, "unwritable", format!("the file cannot be written: {}", error.kind()))
        .suggest("a new file in a directory of yours, with room")
}

fn page_of(values: LetterValues) -> u32 {
    if values == LetterValues::Fetched { PAGE_WITH_VALUES } else { PAGE }
}

/// As many of the letters as are wanted, page by page.
async fn pages(
    target: &Target,
    choice: &LetterChoice,
    values: LetterValues,
    mut left: u32,
) -> Result<Vec<StoredLetter>, CliFailure> {
    let mut letters: Vec<StoredLetter> = Vec::new();
    while left > 0 {
        let after = letters.last().map_or(0, |letter| letter.id);
        let page = target.letters(choice, (after, page_of(values).min(left)), values).await?;
        left = left.saturating_sub(page.len() as u32);
        if page.is_empty() {
            break;
        }
        letters.extend(page);
    }
    Ok(letters)
}
