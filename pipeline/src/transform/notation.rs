//! What JSON text and BSON differ in, seen from a plan.

use super::column::{Computed, Field, KeyColumn, pointer_part};
use super::level::Level;
use landfall_schemas::expression::Input;
use landfall_schemas::key::RecordKey;
use landfall_schemas::rejection::{RejectCode, Rejection};
use std::fmt::Debug;

/// Where the key of an object comes from.
#[derive(Debug)]
pub(super) enum KeySource<'a> {
    /// It is known.
    Given(&'a [u8]),
    /// One of its fields is it; it is put here. What cannot be a key leaves it empty.
    Found(&'a mut RecordKey),
}

/// What a value is, as far as tables below ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ValueKind {
    Null,
    Object,
    Array,
    /// Anything else, and what it is called.
    Other(&'static str),
}

impl ValueKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Object => "object",
            Self::Array => "array",
            Self::Other(name) => name,
        }
    }
}

/// A way of writing records, with the scratch memory that reading them takes.
pub(super) trait Notation: Debug {
    /// Where a value stands in the record.
    type Slot: Clone + Debug;
    /// A walk over the elements of an array or the members of an object.
    type Walk<'a>;

    /// Looks at a record as a whole: grammar, limits, members named twice.
    fn open(&mut self, record: &[u8]) -> Result<(), Rejection>;

    /// Finds the slots of `level` and its rest in an object: the record, or a value inside it.
    fn gather(
        &mut self,
        record: &[u8],
        object: Option<&Self::Slot>,
        level: &mut Level<Self::Slot>,
        key: KeySource<'_>,
    ) -> Result<(), Rejection>;

    /// What expressions see of an object: the record, or a value inside it.
    fn input(&mut self, record: &[u8], object: Option<&Self::Slot>) -> Result<Input, Rejection>;

    /// Appends the field of a computed column.
    fn put_computed(&mut self, column: &Computed, input: &Input, out: &mut Vec<u8>) -> Result<(), Rejection>;

    /// Appends a key's field.
    fn put_key(&self, column: &KeyColumn, key: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection>;

    /// Appends a column's field.
    fn put_field(
        &mut self,
        field: &Field,
        record: &[u8],
        slot: Option<&Self::Slot>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection>;

    /// Appends the whole record as `jsonb`.
    fn put_doc(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection>;

    /// Appends the record's exact bytes.
    fn put_raw(&self, record: &[u8], out: &mut Vec<u8>);

    /// Where it begins in the record.
    fn start(slot: &Self::Slot) -> usize;

    /// What stands there.
    fn kind(record: &[u8], slot: &Self::Slot) -> ValueKind;

    /// Walks over the array or object that stands there.
    fn walk<'a>(record: &'a [u8], slot: &Self::Slot) -> Result<Self::Walk<'a>, Rejection>;

    /// The next value; of an object's, `name` becomes the key that its name makes.
    fn step(&self, walk: &mut Self::Walk<'_>, name: &mut RecordKey) -> Result<Option<Self::Slot>, Rejection>;
}

/// A member that nothing maps, where that stops the stream.
pub(super) fn new_field(above: &str, name: &str, at: Option<usize>) -> Rejection {
    let path = format!("{above}{}", pointer_part(name));
    let found = Rejection::new(RejectCode::NewField, &path, "a field that is mapped", "one that is not");
    Rejection { at: at.map(|at| at as u64), ..found }
}

/// A nested value that is not what the table below is made of.
pub(super) fn wrong_shape(pointer: &str, wanted: &str, found: &str, at: usize) -> Rejection {
    Rejection::new(RejectCode::ChildShape, pointer, wanted, found).at(at as u64)
}
