//! A JSON document: which of its parts are arrays or maps of records, then the records of each.

use super::{MOST_BYTES, SampleError, Sampled, Seen, open, relative, root, split, stem};
use crate::infer::StreamKey;
use crate::infer::candidate::Candidates;
use crate::infer::profile::{Profile, Scratch};
use crate::infer::propose;
use crate::infer::yaml::text;
use landfall_connectors::files::split::{Body, NotJson, Origin, Progress, RecordSink, Selection, Shape, Splitter};
use landfall_schemas::json::{Kind, StorableCheck};
use landfall_schemas::pgtype::PgType;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Values of an object that are looked at to tell a map of records from an object of settings.
const MOST_VALUES: usize = 200;
/// Names of each that are compared.
const MOST_NAMES: usize = 100;

pub(super) fn look(path: &Path, base: &Path) -> Result<Sampled, SampleError> {
    let (dir, file) = split(path);
    let root = root(&dir)?;
    let (handle, size) = open(&root, &file)?;
    let outline = outline(handle).map_err(|what| SampleError::unusable(path, what))?;
    let mut notes = Vec::new();
    let parts = parts(&outline, &stem(path), &mut notes);
    let pointers: Vec<Vec<String>> = parts.iter().map(|part| part.tokens.clone()).collect();
    let selection = Selection::new(&pointers).map_err(|_| SampleError::unusable(path, "its parts overlap"))?;
    let mut sink = Sink::new(parts.len(), size);
    let (mut handle, _) = open(&root, &file)?;
    let mut splitter = Splitter::new(selection);
    loop {
        match splitter.advance(&mut handle, &mut sink) {
            Ok(Progress::End) => break,
            Ok(Progress::More) => {}
            Err(error) => return Err(SampleError::unusable(path, error.to_string())),
        }
    }
    let all = sink.step == 1;
    let mut streams = Vec::new();
    for (part, seen) in parts.into_iter().zip(sink.parts) {
        let key = if part.is_map {
            let column = if seen.profile.field("key").is_some() { "name" } else { "key" };
            Some(StreamKey::Of { from: None, ty: Some(PgType::Text), column: column.to_owned() })
        } else {
            propose::key(&seen.profile).map(|key| StreamKey::Of {
                from: Some(key.field),
                ty: key.ty,
                column: key.column,
            })
        };
        let pointer: String =
            part.tokens.iter().map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1"))).collect();
        match key {
            Some(key) => streams.push(Seen {
                name: part.name,
                select: (!part.tokens.is_empty()).then_some(pointer),
                key_field: key.field(),
                key,
                profile: seen.profile, nulls_are_null: false,
                all,
                odd: seen.odd,
            }),
            None => notes.push(format!(
                "{}{}: no field is there in every record and another in each, so nothing tells them apart; name one in `key`",
                path.display(),
                if pointer.is_empty() { String::new() } else { format!(" {pointer}") }
            )),
        }
    }
    let fields = format!("kind: json_document, path: {}", text(&relative(path, base)));
    Ok(Sampled { name: stem(path), fields, streams, notes })
}

/// A part that becomes a stream.
struct Part {
    name: String,
    tokens: Vec<String>,
    is_map: bool,
}

fn parts(outline: &Outline, stem: &str, notes: &mut Vec<String>) -> Vec<Part> {
    let whole = |is_map| vec![Part { name: stem.to_owned(), tokens: Vec::new(), is_map }];
    match outline {
        Outline::Array { .. } => whole(false),
        Outline::Object { members } if is_map(members) => whole(true),
        Outline::Object { members } => {
            let mut parts = Vec::new();
            for (name, member) in members {
                let records = match member {
                    Outline::Array { objects, others } => *objects > 0 && others == &0 || *objects + others == 0,
                    Outline::Object { members } => is_map(members) || members.is_empty(),
                    Outline::Other => false,
                };
                if records {
                    let is_map = matches!(member, Outline::Object { .. });
                    parts.push(Part { name: name.clone(), tokens: vec![name.clone()], is_map });
                } else {
                    notes.push(format!("`{name}` is no array and no map of records: it is not carried"));
                }
            }
            parts
        }
        Outline::Other => Vec::new(),
    }
}

/// Whether the values are objects that have names in common: records told apart by their names.
fn is_map(members: &[(String, Outline)]) -> bool {
    let names: Vec<Vec<&str>> = members
        .iter()
        .filter_map(|(_, member)| match member {
            Outline::Object { members } => Some(members.iter().map(|(name, _)| name.as_str()).collect()),
            _ => None,
        })
        .collect();
    if names.is_empty() || names.len() * 100 < members.len() * 99 {
        return false;
    }
    // One alone is a record when something in it is not again an object or an array.
    if let [(_, Outline::Object { members: inner })] = members {
        return inner.iter().any(|(_, value)| matches!(value, Outline::Other));
    }
    let alike = names.windows(2).filter(|pair| {
        let (one, two) = (&pair[0], &pair[1]);
        let both = one.iter().filter(|name| two.contains(name)).count();
        both * 4 >= one.len().max(two.len())
    });
    alike.count() * 2 >= names.len() - 1
}

/// What a value is made of, two levels deep.
#[derive(Debug)]
enum Outline {
    Array {
        objects: u64,
        others: u64,
    },
    /// The first of its members.
    Object {
        members: Vec<(String, Self)>,
    },
    Other,
}

fn outline(file: impl Read) -> Result<Outline, String> {
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let start = reader.fill_buf().map_err(|error| error.kind().to_string())?;
    if start.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    let mut json = serde_json::Deserializer::from_reader(reader);
    let found = Look { depth: 0 }.deserialize(&mut json);
    found.map_err(|error| format!("it is not JSON at line {} column {}", error.line(), error.column()))
}

/// Reads an outline and steps over what it does not need.
#[derive(Clone, Copy)]
struct Look {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Outline;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outline, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outline, A::Error> {
        let most = if self.depth == 0 { MOST_VALUES } else { MOST_NAMES };
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.len() < most && self.depth < 3 {
                members.push((name, map.next_value_seed(Self { depth: self.depth + 1 })?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Outline::Object { members })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Outline, A::Error> {
        let (mut objects, mut others) = (0, 0);
        // The kinds of its elements are of interest, nothing inside them.
        while let Some(element) = seq.next_element_seed(Self { depth: 3 })? {
            match element {
                Outline::Object { .. } => objects += 1,
                Outline::Array { .. } | Outline::Other => others += 1,
            }
        }
        Ok(Outline::Array { objects, others })
    }

    fn visit_unit<E>(self) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Outline, E> {
        Ok(Outline::Other)
    }
}

/// What was seen of one part.
struct SeenPart {
    profile: Profile,
    odd: u64,
    count: u64,
    longest: usize,
}

/// Looks at every `step`th record of each part, and at each that is longer than all before it.
struct Sink {
    parts: Vec<SeenPart>,
    step: u64,
    check: StorableCheck,
    scratch: Scratch,
}

impl Sink {
    fn new(parts: usize, size: u64) -> Self {
        let part = || SeenPart { profile: Profile::new(Candidates::json()), odd: 0, count: 0, longest: 0 };
        Self {
            parts: std::iter::repeat_with(part).take(parts).collect(),
            step: size.div_ceil(MOST_BYTES).max(1),
            check: StorableCheck::default(),
            scratch: Scratch::default(),
        }
    }
}

impl RecordSink for Sink {
    fn container(&mut self, _: usize, _: Shape) {}

    fn known(&mut self, _: Origin<'_>, _: &[u8]) -> Option<usize> {
        None
    }

    fn record(&mut self, origin: Origin<'_>, body: Body<'_>) -> Result<(), NotJson> {
        let part = &mut self.parts[origin.stream];
        part.count += 1;
        let Body::Whole(raw) = body else {
            part.odd += 1;
            return Ok(());
        };
        let longest = raw.len() > part.longest;
        if !(longest || part.count.is_multiple_of(self.step) || part.count <= 1_000) {
            return Ok(());
        }
        part.longest = part.longest.max(raw.len());
        let is_object = raw.first().and_then(|first| Kind::of(*first)) == Some(Kind::Object);
        if is_object && self.check.check_structure(raw).is_ok() {
            part.profile.add_json(raw, &mut self.scratch);
        } else {
            part.odd += 1;
        }
        Ok(())
    }
}
