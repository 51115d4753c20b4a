//! From a record to its row and the rows below it.

use super::column::KeyColumn;
use super::level::{Each, Kid, KidRows, Layout, Level, RowOf, ToldBy, compile};
use super::notation::{KeySource, Notation, ValueKind, wrong_shape};
use super::notice::Notices;
use landfall_schemas::expression::Expression;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::{ChildElement, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::{ChildRow, RowSet};
use std::ops::Range;

/// A mapping made ready, with the scratch memory of one worker.
#[derive(Debug)]
pub(super) struct Plan<N: Notation> {
    notation: N,
    filter: Option<Expression>,
    level: Level<N::Slot>,
    layout: Layout,
    kids: Vec<Kid<N::Slot>>,
}

/// What the rows below one row share.
#[derive(Debug)]
struct Above<'a, S> {
    record: &'a [u8],
    /// The object that the row was made of; `None`: the record.
    object: Option<&'a S>,
    /// The fields of its key, in the buffer.
    keys: Range<usize>,
    version: Version,
}

impl<S> Clone for Above<'_, S> {
    fn clone(&self) -> Self {
        Self { record: self.record, object: self.object, keys: self.keys.clone(), version: self.version }
    }
}

impl<N: Notation> Plan<N> {
    pub(super) fn new(mapping: &StreamMapping, notation: N) -> Self {
        let (level, layout, kids) = compile(mapping);
        Self { notation, filter: mapping.filter.clone(), level, layout, kids }
    }

    /// What is remembered of fields that nothing takes.
    pub(super) fn notices(&mut self) -> &mut Notices {
        &mut self.level.tree.notices
    }

    /// Appends key and version, all else NULL.
    pub(super) fn put_delete(&self, key: &[u8], version: Version, out: &mut Vec<u8>) -> Result<usize, Rejection> {
        self.layout.put_delete(&self.notation, &self.level.key, (key, version), out)?;
        Ok(out.len())
    }

    /// Appends the rows of a record and tells where the first ends; `None`: the filter leaves it out. On error `set` holds a part of
    /// them.
    pub(super) fn put_row(
        &mut self,
        key: &[u8],
        record: &[u8],
        version: Version,
        set: &mut RowSet,
    ) -> Result<Option<usize>, Rejection> {
        let Self { notation, filter, level, layout, kids } = self;
        notation.open(record)?;
        let seen = layout.computes || filter.is_some();
        let input = if seen { Some(notation.input(record, None)?) } else { None };
        if let (Some(filter), Some(input)) = (filter, &input)
            && !filter.passes(input)?
        {
            return Ok(None);
        }
        level.clear();
        if !level.is_idle() {
            notation.gather(record, None, level, KeySource::Given(key))?;
            level.name_missing()?;
        }
        let start = set.buffer.len();
        let row = RowOf { record, key, parents: 0..0, position: 0, version, input };
        layout.put(notation, (&level.key, &level.rest_text), (&row, &level.slots), &mut set.buffer)?;
        let end = set.buffer.len();
        if !kids.is_empty() {
            let keys = start..fields_end(&set.buffer, start, layout.key_columns);
            let above = Above { record, object: None, keys, version };
            kids.iter_mut().try_for_each(|kid| kid.put(notation, &above, &level.slots, set))?;
        }
        Ok(Some(end))
    }
}

impl<S: Clone> Kid<S> {
    fn put<N: Notation<Slot = S>>(
        &mut self,
        notation: &mut N,
        above: &Above<'_, S>,
        slots: &[Option<S>],
        set: &mut RowSet,
    ) -> Result<(), Rejection> {
        let found = match self.at {
            Some(at) if slots[at].is_none() => return Ok(()),
            Some(at) => slots[at].as_ref(),
            None => None,
        };
        let Self { table, pointer, layout, rows, kids, .. } = self;
        match (rows, found) {
            (KidRows::Beside, _) => {
                let start = set.buffer.len();
                let Above { record, keys, version, .. } = above.clone();
                let object = found.or(above.object);
                let input = if layout.computes { Some(notation.input(record, object)?) } else { None };
                let row = RowOf { record, key: &[], parents: keys, position: 0, version, input };
                // What its columns leave stays in the parent's rest.
                let key = KeyColumn::default();
                layout.put(notation, (&key, &[]), (&row, slots), &mut set.buffer)?;
                set.children.push(ChildRow { table: *table, fields: start..set.buffer.len() });
                let above = Above { object, ..above.clone() };
                kids.iter_mut().try_for_each(|kid| kid.put(notation, &above, slots, set))
            }
            (KidRows::Each(each), Some(found)) => {
                let mut walk = N::walk(above.record, found)?;
                each.seen.clear();
                let mut place = 0;
                while let Some(value) = notation.step(&mut walk, &mut each.key)? {
                    each.put(notation, (*table, layout, kids), (above, &value, place), set).map_err(|inner| {
                        // A member's name may be a value: only a place is told.
                        let slash = if inner.path.is_empty() || inner.path.starts_with('/') { "" } else { "/" };
                        let path = match each.told_by {
                            ToldBy::Name => format!("{pointer}/*{slash}{}", inner.path),
                            ToldBy::Field | ToldBy::Place => format!("{pointer}/{place}{slash}{}", inner.path),
                        };
                        Rejection { path: path.into(), ..inner }
                    })?;
                    place += 1;
                }
                Ok(())
            }
            (KidRows::Each(_), None) => Ok(()),
        }
    }
}

impl<S: Clone> Each<S> {
    fn put<N: Notation<Slot = S>>(
        &mut self,
        notation: &mut N,
        (table, layout, kids): (u16, &Layout, &mut [Kid<S>]),
        (above, value, position): (&Above<'_, S>, &S, i32),
        set: &mut RowSet,
    ) -> Result<(), Rejection> {
        self.level.clear();
        match self.element {
            ChildElement::Value => self.level.slots[0] = Some(value.clone()),
            ChildElement::Record => self.look_into(notation, above.record, value)?,
        }
        let start = set.buffer.len();
        let Above { record, keys, version, .. } = above.clone();
        let input = if layout.computes { Some(notation.input(record, Some(value))?) } else { None };
        let row = RowOf { record, key: self.key.as_bytes(), parents: keys, position, version, input };
        let own = (&self.level.key, self.level.rest_text.as_slice());
        layout.put(notation, own, (&row, &self.level.slots), &mut set.buffer)?;
        set.children.push(ChildRow { table, fields: start..set.buffer.len() });
        let keys = start..fields_end(&set.buffer, start, layout.key_columns);
        if self.told_by == ToldBy::Field && !self.seen.insert(KeyHash::of(&set.buffer[keys.clone()])) {
            let path = format!("/{}", self.level.key.name);
            return Err(Rejection::new(
                RejectCode::DuplicateChild,
                &path,
                "a key of its own",
                "a key that stood before",
            ));
        }
        if kids.is_empty() {
            return Ok(());
        }
        let above = Above { record, object: Some(value), keys, version };
        let slots = &self.level.slots;
        kids.iter_mut().try_for_each(|kid| kid.put(notation, &above, slots, set))
    }

    fn look_into<N: Notation<Slot = S>>(
        &mut self,
        notation: &mut N,
        record: &[u8],
        value: &S,
    ) -> Result<(), Rejection> {
        let kind = N::kind(record, value);
        if kind != ValueKind::Object {
            return Err(wrong_shape("", "object", kind.name(), N::start(value)));
        }
        if self.told_by != ToldBy::Field {
            notation.gather(record, Some(value), &mut self.level, KeySource::Given(&[]))?;
            return self.level.name_missing();
        }
        self.key.clear();
        notation.gather(record, Some(value), &mut self.level, KeySource::Found(&mut self.key))?;
        if self.key.as_bytes().is_empty() {
            let path = format!("/{}", self.level.key.name);
            let missing = Rejection::new(RejectCode::KeyMissing, &path, "a key", "nothing that can be one");
            return Err(missing.at(N::start(value) as u64));
        }
        self.level.name_missing()
    }
}

/// Behind the first `count` fields of those that begin at `start`.
fn fields_end(buffer: &[u8], start: usize, count: usize) -> usize {
    (0..count).fold(start, |at, _| {
        let length = buffer[at..].first_chunk::<4>().map_or(0, |length| i32::from_be_bytes(*length).max(0));
        at + 4 + usize::try_from(length).unwrap_or(0)
    })
}
