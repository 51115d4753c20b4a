//! `landfall init`: from stores that nobody described to a configuration that holds them.
//!
//! A sampler (`sample`) hands out records of a store, `profile` remembers what stood at each path, `propose` makes tables of it, `yaml`
//! writes it down. Owns no edge: stores are read through the same confined lookups as the sources read them.
//!
//! A proposal is never narrower than what was seen: types are found by trying every value (`candidate`).

mod candidate;
mod distinct;
mod name;
mod profile;
mod propose;
mod sample;
mod siblings;
mod yaml;

pub use sample::{SampleError, Store};

use landfall_schemas::naming::Taken;
use landfall_schemas::pgtype::PgType;
use name::label;
use propose::Table;
use std::path::Path;

/// A proposal for one or more stores.
#[derive(Debug)]
pub struct Proposal {
    /// The configuration.
    pub yaml: String,
    /// What was seen, stream by stream.
    pub streams: Vec<StreamSummary>,
    /// What is not carried, and other things to know.
    pub notes: Vec<String>,
}

/// One stream of a proposal.
#[derive(Clone, Debug)]
pub struct StreamSummary {
    /// Its name.
    pub name: String,
    /// Records that were looked at.
    pub looked_at: u64,
    /// All of the store was looked at.
    pub all: bool,
    /// Records that are no objects, or no JSON.
    pub odd: u64,
    /// Columns of its own table.
    pub columns: usize,
    /// Tables below.
    pub children: usize,
}

/// A source as it is written: its name, and what stands in its braces.
struct SourceText {
    name: String,
    fields: String,
}

/// A stream as it is written.
struct Proposed {
    name: String,
    table_name: String,
    source: String,
    select: Option<String>,
    key: StreamKey,
    table: Table,
    note: String,
}

enum StreamKey {
    /// The property name, the file's path, or `_id` of several kinds.
    Omitted,
    Position,
    /// Several columns together.
    Composite(Vec<String>),
    Of {
        from: Option<String>,
        ty: Option<PgType>,
        column: String,
    },
}

impl StreamKey {
    /// The field it is made of.
    fn field(&self) -> Option<String> {
        match self {
            Self::Of { from, .. } => from.clone(),
            Self::Omitted | Self::Position | Self::Composite(_) => None,
        }
    }
}

/// Looks at the stores and proposes a configuration, whose paths are relative to `base`. `progress` hears what is being looked at.
pub async fn propose(stores: &[Store], base: &Path, progress: &dyn Fn(&str)) -> Result<Proposal, SampleError> {
    let (mut sources, mut streams, mut summaries, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut source_names, mut stream_names) = (Taken::default(), Taken::default());
    for store in stores {
        progress(&store.to_string());
        let sampled = sample::look(store, base).await?;
        let source = source_names.free(&[label(&sampled.name)]);
        notes.extend(sampled.notes);
        if sampled.streams.is_empty() {
            notes.push(format!("{store} holds no records that could become a table"));
            continue;
        }
        sources.push(SourceText { name: source.clone(), fields: sampled.fields });
        for seen in sampled.streams {
            let name = stream_names.free(&[label(&seen.name)]);
            let key = seen.key;
            let column = match &key {
                StreamKey::Of { column, .. } => column.as_str(),
                StreamKey::Omitted | StreamKey::Position | StreamKey::Composite(_) => "key",
            };
            let mut table = propose::table(&seen.profile, &name, (column, seen.key_field.as_deref()));
            if seen.nulls_are_null {
                table.columns.iter_mut().for_each(|column| column.none_is_null = false);
            }
            let how = if seen.all { "all" } else { "a sample" };
            let mut note = format!("{} records looked at ({how})", seen.profile.objects);
            if seen.odd > 0 {
                note.push_str(&format!("; {} are no JSON objects and would be parked", seen.odd));
            }
            summaries.push(StreamSummary {
                name: name.clone(),
                looked_at: seen.profile.objects,
                all: seen.all,
                odd: seen.odd,
                columns: table.columns.len(),
                children: table.children.len(),
            });
            let (select, source, table_name) = (seen.select, source.clone(), name.clone());
            streams.push(Proposed { table_name, name, source, select, key, table, note });
        }
    }
    let pipeline = sources.first().map_or_else(|| "landfall".to_owned(), |source| source.name.clone());
    let yaml = yaml::file(&pipeline, &sources, &streams, &notes);
    Ok(Proposal { yaml, streams: summaries, notes })
}
