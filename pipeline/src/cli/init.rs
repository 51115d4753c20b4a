//! `landfall init`: looks at stores and writes a configuration that holds them.

use super::Outcome;
use super::args::InitArguments;
use super::console::Console;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use crate::config;
use crate::infer::{self, Proposal, SampleError, Store};
use landfall_connectors::mongodb::SecretUri;
use serde_json::json;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

pub(super) async fn init(options: InitArguments, file: &Path, console: &Console) -> Outcome {
    if file.exists() && !options.force {
        let what = format!("{} is there already; nothing was written", file.display());
        let advice = "-o ANOTHER.yaml, or --force to write over it";
        return Err(CliFailure::new(Exit::Usage, "config_exists", what).suggest(advice));
    }
    let stores: Vec<Store> = options.sources.into_iter().map(store).collect();
    let base = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let progress = |store: &str| console.note(&format!("looking at {store}"));
    let proposal = Box::pin(infer::propose(&stores, base, &progress)).await.map_err(refused)?;
    if proposal.streams.is_empty() {
        let mut failure = CliFailure::new(Exit::Failed, "nothing_found", "there are no records to make tables of");
        failure.caused_by.extend(proposal.notes);
        return Err(failure);
    }
    write(file, &proposal.yaml)?;
    Ok(finished(file, &proposal))
}

fn store(word: String) -> Store {
    if word.starts_with("mongodb://") || word.starts_with("mongodb+srv://") {
        return Store::Mongo(SecretUri::new(word));
    }
    Store::Path(PathBuf::from(word))
}

fn refused(error: SampleError) -> CliFailure {
    match error {
        SampleError::Failed(failure) => failure.into(),
        unusable @ SampleError::Unusable { .. } => {
            CliFailure::new(Exit::Failed, "store_unusable", unusable.to_string())
                .suggest("a JSON file, a directory of them, a glob like \"logs/*.ndjson\", or mongodb://HOST/DATABASE")
        }
    }
}

/// Beside, judged as every configuration is, then renamed: a file that is there is whole and one that `check` reads.
fn write(file: &Path, text: &str) -> Result<(), CliFailure> {
    let failed = |error: io::Error| {
        CliFailure::new(Exit::Failed, "not_written", format!("{} cannot be written: {}", file.display(), error.kind()))
    };
    let beside = file.with_extension("yaml.new");
    std::fs::write(&beside, text).map_err(failed)?;
    if let Err(error) = config::load(&beside, &super::settings::or_stand_in) {
        let what = format!("the proposal is not a configuration: {error}; please report this");
        return Err(CliFailure::new(Exit::Failed, "bad_proposal", what).suggest(format!("see {}", beside.display())));
    }
    std::fs::rename(&beside, file).map_err(failed)
}

fn finished(file: &Path, proposal: &Proposal) -> Finished {
    let mut text = String::new();
    for stream in &proposal.streams {
        let how = if stream.all { "all" } else { "a sample" };
        let _ = writeln!(
            text,
            "{}: {} records looked at ({how}), columns: {}, tables below: {}{}",
            stream.name,
            stream.looked_at,
            stream.columns,
            stream.children,
            if stream.odd > 0 { format!(", {} are no JSON objects", stream.odd) } else { String::new() }
        );
    }
    for note in &proposal.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let streams = proposal.streams.iter().map(|stream| {
        json!({ "stream": stream.name, "records": stream.looked_at, "all": stream.all, "odd": stream.odd,
                "columns": stream.columns, "children": stream.children })
    });
    let result = json!({ "file": file, "streams": streams.collect::<Vec<_>>(), "notes": proposal.notes });
    let summary = format!("{} written: read it, then landfall check", file.display());
    Finished { exit: Exit::Done, summary, text, result }
}
