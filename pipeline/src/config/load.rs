//! From the file to [`Pipeline`].
//!
//! Owns the order: size, UTF-8, YAML, sections, checks across sections. Fails with all problems at once.

use super::permission::{self, Warning};
use super::pipeline::{Pipeline, SourceSpec, Written};
use super::place::Place;
use super::problem::Problems;
use super::reference::Surroundings;
use super::section::{At, Reading, Section};
use super::stream::{Setting, WrittenStream};
use super::template::Template;
use super::tree::{self, Entry, Node, Value};
use super::{hooks, http, source, stream, stream_conflicts, target, traces};
use landfall_schemas::ident::Ident;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest configuration file (S19).
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why there is no pipeline.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {}", path.display(), error.kind())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Over 1 MiB.
    #[error("the configuration {} is over 1 MiB", .0.display())]
    TooLarge(PathBuf),
    /// Not UTF-8.
    #[error("the configuration {} is not UTF-8: byte {at} cannot be read", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
        /// First bad byte.
        at: usize,
    },
    /// It says something that cannot be.
    #[error("{0}")]
    Invalid(Problems),
}

/// Reads and validates `path`; variables come from `variable`.
pub fn load(path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Pipeline, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { path: path.to_path_buf(), error };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge(path.to_path_buf()));
    }
    let source = String::from_utf8(bytes)
        .map_err(|error| ConfigError::NotText { path: path.to_path_buf(), at: error.utf8_error().valid_up_to() })?;
    let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
    let surroundings = Surroundings { base, variable };
    let (mut pipeline, secrets) = read(path, &source, &surroundings).map_err(ConfigError::Invalid)?;
    warn_of_exposure(&mut pipeline, &secrets, &metadata);
    Ok(pipeline)
}

/// Validates a configuration that is at hand as text. Reads no file but those named by `file:`.
pub fn validate(file: &Path, source: &str, surroundings: &Surroundings<'_>) -> Result<Pipeline, Problems> {
    read(file, source, surroundings).map(|(pipeline, _)| pipeline)
}

fn warn_of_exposure(pipeline: &mut Pipeline, secrets: &[Warning], metadata: &Metadata) {
    for Warning::InlinePassword { at, key } in secrets {
        if let Some(exposed) = permission::exposed(metadata) {
            let what = format!("{key} holds a password, and {exposed}");
            let instead = "`\"${DATABASE_URL}\"` or `file:PATH`, or chmod 0600 this file and keep it";
            pipeline.warnings.add(*at, what, instead);
        }
    }
}

fn read(file: &Path, source: &str, surroundings: &Surroundings<'_>) -> Result<(Pipeline, Vec<Warning>), Problems> {
    let name = file.display().to_string();
    // A byte order mark would be the first character of the first key.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut reading = Reading { problems: Problems::new(&name, source), surroundings };
    let Some(root) = tree::parse(source, &mut reading.problems) else {
        return Err(reading.problems);
    };
    let mut secrets = Vec::new();
    let pipeline = sections(file, &root, &mut reading, &mut secrets);
    match pipeline {
        Some(mut pipeline) if reading.problems.is_empty() => {
            let mut warnings = Problems::new(&name, source);
            hide_urls(&root, &mut warnings);
            warnings.extend(&pipeline.warnings);
            pipeline.warnings = warnings;
            pipeline.text = Written::new(source.to_owned());
            Ok((pipeline, secrets))
        }
        _ => {
            if reading.problems.is_empty() {
                // Every section that gives nothing reports why; this is for the one that forgets.
                reading.problems.add_note(Place::START, "the configuration cannot be used");
            }
            Err(reading.problems)
        }
    }
}

fn hide_urls(root: &Node, problems: &mut Problems) {
    fn entries(node: &Node) -> &[Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
    let child = |node, key: &str| entries(node).iter().find(|entry| entry.key == key).map(|entry| &entry.node);
    let target = child(root, "target").and_then(|target| child(target, "url"));
    let token = child(root, "http").and_then(|http| child(http, "token"));
    let sources = child(root, "sources").map_or(&[][..], entries);
    let uris = sources.iter().filter_map(|source| child(&source.node, "uri"));
    let hooks = match child(root, "hooks").map(|hooks| &hooks.value) {
        Some(Value::List(hooks)) => hooks.as_slice(),
        _ => &[],
    };
    let told = hooks.iter().flat_map(|hook| ["post", "token"].into_iter().filter_map(|key| child(hook, key)));
    let traces = child(root, "traces");
    let sent = ["endpoint", "token"].into_iter().filter_map(|key| child(traces?, key));
    uris.chain(target).chain(token).chain(told).chain(sent).for_each(|secret| problems.hide(secret.at));
}

fn sections(file: &Path, root: &Node, reading: &mut Reading<'_>, secrets: &mut Vec<Warning>) -> Option<Pipeline> {
    let mut section = Section::open(root, "the configuration", reading)?;
    let name = target::name(&mut section, reading);
    let target = target::target(&mut section, reading, secrets);
    let state_dir = target::state_dir(&mut section, reading);
    let retention = target::queue(&mut section, reading);
    let http = http::http(&mut section, reading, secrets);
    let hooks = hooks::hooks(&mut section, reading, secrets);
    let traces = traces::traces(&mut section, reading, secrets);
    let sources = source::sources(&mut section, name.as_deref().unwrap_or_default(), secrets, reading);
    let source_names = names_of(section.get("sources"));
    // Streams are read against a schema even where the target is wrong, so that their problems show in the same run.
    let schema = match &target {
        Some(target) => target.schema.clone(),
        None => Ident::new("public").ok()?,
    };
    let setting = Setting { sources: &sources, source_names: &source_names, schema: &schema };
    let streams = stream::streams(&mut section, setting, reading);
    section.close(reading);
    let references = stream_conflicts::check(&streams, reading);
    let mut warnings = Problems::new(reading.problems.file(), "");
    let sources = used(sources, &streams, &mut warnings);
    for at in streams.iter().filter_map(|stream| stream.drops) {
        warnings.add(at, "rest: false drops every field that no column takes, for good", "`rest: NAME` to keep them");
    }
    let parked_age = |stream: &WrittenStream| Some((stream.mapping.name.clone(), stream.max_parked_age?));
    let parked_ages = streams.iter().filter_map(parked_age).collect();
    let (patterns, streams): (Vec<_>, Vec<_>) = streams.into_iter().partition(|stream| stream.pattern.is_some());
    let template = |written: WrittenStream| Some(Template { pattern: written.pattern?, common: written.mapping });
    Some(Pipeline {
        name: name?,
        file: file.to_path_buf(),
        target: target?,
        state_dir: state_dir?,
        retention: retention?,
        http: http?,
        hooks: hooks?,
        traces: traces?,
        sources,
        streams: streams.into_iter().map(|stream| stream.mapping).collect(),
        templates: patterns.into_iter().filter_map(template).collect(),
        parked_ages,
        references,
        warnings,
        text: Written::new(String::new()),
    })
}

fn names_of(node: Option<&Node>) -> Vec<&str> {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn used(sources: Vec<At<SourceSpec>>, streams: &[WrittenStream], warnings: &mut Problems) -> Vec<SourceSpec> {
    let (used, idle): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|source| streams.iter().any(|stream| stream.mapping.source == source.value.name));
    for source in idle {
        let what = format!("no stream reads source {}: it is not opened", source.value.name);
        warnings.add(source.at, what, "a stream with it, or no source");
    }
    used.into_iter().map(|source| source.value).collect()
}
