//! What stands at each path of the records that were looked at: how often, as what, within which bounds.
//!
//! Memory is bounded by the paths, not by the records: an object with more names than [`MOST_NAMES`] is taken for a map, whose further
//! members are profiled together.

use super::candidate::Candidates;
use super::distinct::Distinct;
use super::siblings::Siblings;

use landfall_schemas::bson::{self, Elements};
use landfall_schemas::json::{Items, Kind, Members};
use landfall_schemas::key::RecordKey;
use landfall_schemas::value::Encoder;
use std::collections::{BTreeMap, HashMap};

/// Names of one object that have a profile of their own.
const MOST_NAMES: usize = 1_000;
/// Deepest nesting that is looked into.
const DEEPEST: usize = 24;

/// One path.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// How often something stood here, null too.
    pub(super) seen: u64,
    pub(super) nulls: u64,
    pub(super) scalars: u64,
    pub(super) objects: u64,
    pub(super) arrays: u64,
    /// Empty objects and arrays among them.
    pub(super) empty: u64,
    pub(super) longest_array: u64,
    /// How often each kind, by the name people know.
    pub(super) kinds: BTreeMap<&'static str, u64>,
    /// Types that hold all scalars.
    pub(super) types: Candidates,
    /// Least and greatest number.
    pub(super) numbers: Option<(f64, f64)>,
    /// Shortest and longest text, in bytes.
    pub(super) lengths: Option<(usize, usize)>,
    pub(super) distinct: Distinct,
    /// As an element of arrays: two elements of one array had this value.
    pub(super) twice_in_one: bool,
    fields: Vec<(Box<str>, Profile)>,
    index: HashMap<Box<str>, usize>,
    /// Members beyond the names that are kept.
    others: Option<Box<Profile>>,
    /// What the arrays hold.
    pub(super) elements: Option<Box<Profile>>,
}

/// Scratch memory of a look at records.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    encoder: Encoder,
    field: Vec<u8>,
    text: Vec<u8>,
    key: RecordKey,
}

impl Profile {
    pub(super) fn new(types: Candidates) -> Self {
        Self {
            seen: 0,
            nulls: 0,
            scalars: 0,
            objects: 0,
            arrays: 0,
            empty: 0,
            longest_array: 0,
            kinds: BTreeMap::new(),
            types,
            numbers: None,
            lengths: None,
            distinct: Distinct::default(),
            twice_in_one: false,
            fields: Vec::new(),
            index: HashMap::new(),
            others: None,
            elements: None,
        }
    }

    /// The members of its objects, in the order they were first seen.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.fields.iter().map(|(name, profile)| (&**name, profile))
    }

    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.index.get(name).map(|at| &self.fields[*at].1)
    }

    /// How many different names its objects have, at least.
    pub(super) fn names(&self) -> usize {
        self.fields.len() + usize::from(self.others.is_some())
    }

    /// All members in one, whatever their names.
    pub(super) fn members(&self) -> Self {
        let mut all = Self::new(self.blank());
        self.fields.iter().map(|(_, member)| member).chain(self.others.as_deref()).for_each(|member| all.merge(member));
        all
    }

    /// Looks at a JSON value: a record of checked text.
    pub(super) fn add_json(&mut self, raw: &[u8], scratch: &mut Scratch) {
        self.json(raw, scratch, 0);
    }

    fn json(&mut self, raw: &[u8], scratch: &mut Scratch, depth: usize) {
        self.seen += 1;
        let Some(kind) = raw.first().and_then(|first| Kind::of(*first)) else { return };
        match kind {
            Kind::Null => self.count("null", |this| &mut this.nulls),
            Kind::Object => {
                self.count("object", |this| &mut this.objects);
                self.json_object(raw, scratch, depth);
            }
            Kind::Array => {
                self.count("array", |this| &mut this.arrays);
                self.json_array(raw, scratch, depth);
            }
            Kind::String | Kind::Number | Kind::Bool => {
                let fraction = raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
                let name = match kind {
                    Kind::Number if fraction => "decimal",
                    Kind::Number => "integer",
                    other => other.name(),
                };
                self.count(name, |this| &mut this.scalars);
                let means = (&mut scratch.encoder, &mut scratch.field);
                self.types.try_json(raw, means);
                let first = self.scalars == 1;
                let text = landfall_schemas::json::RawString::of_value(raw)
                    .and_then(|string| string.decode(&mut scratch.text).ok());
                if let Some(text) = text {
                    self.length(text.len());
                }
                if kind == Kind::Number
                    && let Some(number) = std::str::from_utf8(raw).ok().and_then(|text| text.parse().ok())
                {
                    self.number(number);
                }
                if scratch.key.set_json(raw).is_ok() {
                    self.distinct.add(scratch.key.as_bytes(), text, first);
                }
            }
        }
    }

    fn json_object(&mut self, raw: &[u8], scratch: &mut Scratch, depth: usize) {
        let Some(mut members) = Members::of(raw, 0) else { return };
        let mut count = 0;
        while let Ok(Some(member)) = members.next_member() {
            count += 1;
            let mut text = Vec::new();
            let Ok(name) = member.name.decode(&mut text) else { continue };
            if depth < DEEPEST {
                self.member(name).json(&raw[member.value.clone()], scratch, depth + 1);
            }
        }
        self.empty += u64::from(count == 0);
    }

    fn json_array(&mut self, raw: &[u8], scratch: &mut Scratch, depth: usize) {
        let Some(mut items) = Items::of(raw, 0) else { return };
        let mut siblings = Siblings::default();
        while let Ok(Some((range, kind))) = items.next_item() {
            siblings.count += 1;
            if depth < DEEPEST {
                self.element().json(&raw[range.clone()], scratch, depth + 1);
                if kind == Kind::Object {
                    siblings.json(&raw[range], &mut scratch.key);
                }
            }
        }
        self.settle(&siblings);
    }

    /// Looks at a BSON document.
    pub(super) fn add_bson(&mut self, document: &[u8], scratch: &mut Scratch) {
        self.seen += 1;
        self.count("object", |this| &mut this.objects);
        self.bson_document(document, scratch, 0);
    }

    fn bson_document(&mut self, document: &[u8], scratch: &mut Scratch, depth: usize) {
        let Ok(mut elements) = Elements::of(document, 0) else { return };
        let mut count = 0;
        while let Ok(Some(element)) = elements.next_element() {
            count += 1;
            let Ok(name) = std::str::from_utf8(element.name) else { continue };
            if depth < DEEPEST {
                self.member(name).bson(&element.value(), scratch, depth + 1);
            }
        }
        self.empty += u64::from(count == 0);
    }

    fn bson(&mut self, value: &bson::Value<'_>, scratch: &mut Scratch, depth: usize) {
        self.seen += 1;
        match *value {
            bson::Value::Null | bson::Value::Undefined => self.count("null", |this| &mut this.nulls),
            bson::Value::Document(document) => {
                self.count("object", |this| &mut this.objects);
                self.bson_document(document, scratch, depth);
            }
            bson::Value::Array(array) => {
                self.count("array", |this| &mut this.arrays);
                let Ok(mut elements) = Elements::of(array, 0) else { return };
                let mut siblings = Siblings::default();
                while let Ok(Some(element)) = elements.next_element() {
                    siblings.count += 1;
                    if depth < DEEPEST {
                        self.element().bson(&element.value(), scratch, depth + 1);
                        if let bson::Value::Document(document) = element.value() {
                            siblings.bson(document, &mut scratch.key);
                        }
                    }
                }
                self.settle(&siblings);
            }
            scalar => {
                self.count(scalar.kind().name(), |this| &mut this.scalars);
                self.types.try_bson(&scalar, &mut scratch.field);
                let first = self.scalars == 1;
                let text = match scalar {
                    bson::Value::String(text) => std::str::from_utf8(text).ok(),
                    _ => None,
                };
                if let Some(text) = text {
                    self.length(text.len());
                }
                match scalar {
                    bson::Value::Int32(number) => self.number(f64::from(number)),
                    bson::Value::Int64(number) => self.number(number as f64),
                    bson::Value::Double(number) => self.number(number),
                    _ => {}
                }
                if scratch.key.set_bson_value(&scalar).is_ok() {
                    self.distinct.add(scratch.key.as_bytes(), text, first);
                }
            }
        }
    }

    fn count(&mut self, kind: &'static str, which: impl FnOnce(&mut Self) -> &mut u64) {
        *which(self) += 1;
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn length(&mut self, length: usize) {
        let (least, most) = self.lengths.unwrap_or((length, length));
        self.lengths = Some((least.min(length), most.max(length)));
    }

    fn number(&mut self, number: f64) {
        let (least, most) = self.numbers.unwrap_or((number, number));
        self.numbers = Some((least.min(number), most.max(number)));
    }

    fn settle(&mut self, siblings: &Siblings) {
        self.empty += u64::from(siblings.count == 0);
        self.longest_array = self.longest_array.max(siblings.count);
        for name in &siblings.twice {
            self.element().member(name).twice_in_one = true;
        }
    }

    fn member(&mut self, name: &str) -> &mut Self {
        let types = self.blank();
        if let Some(at) = self.index.get(name) {
            return &mut self.fields[*at].1;
        }
        if self.fields.len() >= MOST_NAMES {
            return self.others.get_or_insert_with(|| Box::new(Self::new(types)));
        }
        self.index.insert(name.into(), self.fields.len());
        self.fields.push((name.into(), Self::new(types)));
        let last = self.fields.len() - 1;
        &mut self.fields[last].1
    }

    fn element(&mut self) -> &mut Self {
        let types = self.blank();
        self.elements.get_or_insert_with(|| Box::new(Self::new(types)))
    }

    /// All types, of the same notation.
    fn blank(&self) -> Candidates {
        self.types.all_again()
    }

    fn merge(&mut self, other: &Self) {
        self.seen += other.seen;
        self.nulls += other.nulls;
        self.scalars += other.scalars;
        self.objects += other.objects;
        self.arrays += other.arrays;
        self.empty += other.empty;
        self.longest_array = self.longest_array.max(other.longest_array);
        other.kinds.iter().for_each(|(kind, count)| *self.kinds.entry(kind).or_default() += count);
        self.types.merge(other.types);
        for number in other.numbers.iter().flat_map(|(least, most)| [*least, *most]) {
            self.number(number);
        }
        for length in other.lengths.iter().flat_map(|(least, most)| [*least, *most]) {
            self.length(length);
        }
        self.twice_in_one |= other.twice_in_one;
        // Values of different members are not told apart here.
        self.distinct.overflowed = true;
        self.distinct.repeated = true;
        other.fields.iter().for_each(|(name, member)| self.member(name).merge(member));
        if let Some(others) = &other.others {
            let types = self.blank();
            self.others.get_or_insert_with(|| Box::new(Self::new(types))).merge(others);
        }
        if let Some(elements) = &other.elements {
            self.element().merge(elements);
        }
    }
}
