//! From a profile to a mapping: columns, arrays, tables below, a key.
//!
//! Everything that stood in more than one of a hundred records gets a place; what is rarer stays in the rest. A column takes every value
//! that was seen, for its type was found by trying. What the store says by null or by an empty list is said by no value where that is
//! what it says more often than nothing at all.

use super::profile::Profile;
use super::siblings::looks_like_a_key;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::FieldPath;
use landfall_schemas::naming::{Taken, snake};
use landfall_schemas::pgtype::{ElementType, PgType};
use landfall_schemas::table::TableShape;

/// Names of an object that are columns at most; more are one document.
const MOST_FLATTENED: usize = 60;
/// Columns of one table at most.
const MOST_COLUMNS: usize = 400;
/// Tables below each other that are proposed at most.
const DEEPEST: usize = 4;

/// What records become.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) children: Vec<Child>,
    /// Paths that stay in the rest, and how often they stood.
    pub(super) left: Vec<(String, f64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// As `from` takes it.
    pub(super) from: String,
    pub(super) ty: PgType,
    pub(super) none_is_null: bool,
    pub(super) note: String,
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) from: String,
    /// `None`: an array; else a map, and the column of its names.
    pub(super) names: Option<String>,
    /// Field and type of the elements' own key.
    pub(super) key: Option<(String, PgType, String)>,
    pub(super) none_is_empty: bool,
    pub(super) table: Table,
    pub(super) note: String,
}

/// How a record is told from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) field: String,
    /// `None`: of several kinds.
    pub(super) ty: Option<PgType>,
    pub(super) column: String,
}

/// The key among the fields of `profile`: there in every record, another in each.
pub(super) fn key(profile: &Profile) -> Option<Key> {
    let told = |(name, field): &(&str, &Profile)| {
        let whole = field.scalars == field.seen && field.seen == profile.objects && !name.is_empty();
        whole && !field.distinct.repeated && field.kinds.keys().all(|kind| matches!(*kind, "string" | "integer"))
    };
    let rank = |name: &str| {
        let words = ["id", "_id", "uuid", "guid", "key", "slug", "code"];
        let exact = words.iter().position(|word| name.eq_ignore_ascii_case(word));
        exact.unwrap_or(if looks_like_a_key(name) { words.len() } else { words.len() + 1 })
    };
    let found = profile.fields().filter(told).min_by_key(|(name, _)| rank(name))?;
    Some(key_of(found.0, found.1))
}

/// A key at this field, with a type where all values have one.
pub(super) fn key_of(name: &str, field: &Profile) -> Key {
    Key { field: pointer(&[name.to_owned()]), ty: key_type(field), column: snake(name) }
}

/// The type that every value of a key has; `None`: they are of several kinds.
pub(super) fn key_type(field: &Profile) -> Option<PgType> {
    let kinds: Vec<&str> = field.kinds.keys().copied().collect();
    match (kinds.as_slice(), field.types.best()) {
        (["string"], Some(PgType::Uuid)) => Some(PgType::Uuid),
        (["string"], Some(_)) => Some(PgType::Text),
        ([_], Some(ty @ (PgType::Int4 | PgType::Int8 | PgType::ObjectId | PgType::Uuid))) => Some(ty),
        _ => None,
    }
}

/// What stands above the rows of a table.
struct Above {
    /// The table's name, and the names of its key columns.
    table: String,
    keys: Vec<String>,
    depth: usize,
}

/// The table of a stream: its key's column is `key`, and the field it stands in `key_field`.
pub(super) fn table(profile: &Profile, table: &str, (key, key_field): (&str, Option<&str>)) -> Table {
    let above = Above { table: table.to_owned(), keys: vec![key.to_owned()], depth: 0 };
    let taken = Taken::of([key, "rest", TableShape::VERSION, TableShape::RAW]);
    let mut making =
        Making { out: Table::default(), taken, children: Taken::default(), records: profile.objects, above };
    making.object(&mut Vec::new(), profile, key_field);
    making.out
}

struct Making {
    out: Table,
    taken: Taken,
    children: Taken,
    records: u64,
    above: Above,
}

/// What a path becomes.
enum Place<'a> {
    Column(PgType),
    Flat,
    /// A table below: of an array's objects, or of an object's members.
    Array(&'a Profile),
    Map(Box<Profile>),
}

impl Making {
    fn object(&mut self, path: &mut Vec<String>, object: &Profile, key: Option<&str>) {
        for (name, field) in object.fields() {
            path.push(name.to_owned());
            let at = pointer(path);
            if key != Some(at.as_str()) {
                self.field(path, field, at);
            }
            path.pop();
        }
    }

    fn field(&mut self, path: &mut Vec<String>, field: &Profile, at: String) {
        let share = share(field.seen, self.records);
        // A pointer to a member without a name is no path.
        // Inside an object every field counts: many rare ones together would leave something of it behind.
        let rare = path.len() == 1 && share < 0.01;
        if rare || self.out.columns.len() >= MOST_COLUMNS || path.iter().any(String::is_empty) {
            self.out.left.push((at, share));
            return;
        }
        let parts: Vec<String> = path.iter().map(|part| snake(part)).collect();
        let missing = self.records.saturating_sub(field.seen);
        match place(field, (self.records, self.above.depth)) {
            Place::Flat => self.object(path, field, None),
            Place::Column(ty) => {
                let name = self.taken.free(&parts);
                let none_is_null = field.nulls > missing;
                self.out.columns.push(Column { name, from: at, ty, none_is_null, note: note(field, self.records) });
            }
            Place::Array(elements) => self.child(&parts, at, (field, elements, false)),
            Place::Map(members) => self.child(&parts, at, (field, &members, true)),
        }
    }

    fn child(&mut self, parts: &[String], from: String, (field, rows, is_map): (&Profile, &Profile, bool)) {
        let name = self.children.free(parts);
        let own = if is_map { None } else { own_key(rows) };
        let table = Ident::joined(&[&self.above.table, &name]).map_or_else(|_| name.clone(), |ident| ident.to_string());
        let mut keys = self.above.keys.clone();
        if let Some(last) = keys.last_mut() {
            let carried = Ident::joined(&[&self.above.table, last]);
            *last = carried.map_or_else(|_| last.clone(), |ident| ident.to_string());
        }
        let fixed = ["rest", TableShape::VERSION, TableShape::RAW];
        let mut taken = Taken::of(keys.iter().map(String::as_str).chain(fixed));
        let column = match (&own, is_map) {
            (Some((field, _)), _) => taken.free(&[snake(field)]),
            (None, true) => taken.free(&["name".to_owned()]),
            (None, false) => taken.free(&["position".to_owned()]),
        };
        keys.push(column.clone());
        let above = Above { table, keys, depth: self.above.depth + 1 };
        let mut below =
            Making { out: Table::default(), taken, children: Taken::default(), records: rows.objects, above };
        let key_field = own.as_ref().map(|(field, _)| pointer(std::slice::from_ref(field)));
        below.object(&mut Vec::new(), rows, key_field.as_deref());
        let missing = self.records.saturating_sub(field.seen);
        let holds = if is_map { "members" } else { "elements" };
        let note = format!("{}; {} {holds}", note(field, self.records), rows.seen);
        self.out.children.push(Child {
            name,
            from,
            names: is_map.then(|| column.clone()),
            key: own.map(|(field, ty)| (pointer(&[field]), ty, column)),
            none_is_empty: field.empty > missing,
            table: below.out,
            note,
        });
    }
}

/// The field that tells the elements of one array apart, if it is called so and did so.
fn own_key(elements: &Profile) -> Option<(String, PgType)> {
    let words = ["id", "_id", "uuid", "guid", "key", "slug", "code"];
    let fit = |(name, field): &(&str, &Profile)| {
        let whole = field.scalars == field.seen && field.seen == elements.objects;
        whole && !field.twice_in_one && words.iter().any(|word| name.eq_ignore_ascii_case(word))
    };
    elements.fields().filter(fit).find_map(|(name, field)| Some((name.to_owned(), key_type(field)?)))
}

fn place(field: &Profile, (records, depth): (u64, usize)) -> Place<'_> {
    let often = |count: u64| share(count, records) > 0.01;
    let only = |one: u64, others: [u64; 2]| one > 0 && others == [0, 0];
    if only(field.scalars, [field.objects, field.arrays]) {
        return Place::Column(field.types.best().unwrap_or(PgType::Jsonb));
    }
    if only(field.arrays, [field.scalars, field.objects])
        && let Some(elements) = &field.elements
    {
        if elements.scalars > 0 && elements.objects + elements.arrays == 0 {
            let ty = elements.types.best().and_then(ElementType::of);
            return Place::Column(ty.map_or(PgType::Jsonb, PgType::Array));
        }
        let plain = elements.seen == elements.objects && elements.names() > 0 && !is_map(elements);
        if plain && !often(field.nulls) && depth < DEEPEST {
            return Place::Array(elements);
        }
    }
    if only(field.objects, [field.scalars, field.arrays]) && field.names() > 0 && !often(field.nulls) {
        if alike(field) || is_map(field) {
            let members = field.members();
            let plain = members.seen == members.objects && !is_map(&members) && members.names() > 0;
            if plain && depth < DEEPEST {
                return Place::Map(Box::new(members));
            }
        } else if field.names() <= MOST_FLATTENED && !often(field.empty) {
            return Place::Flat;
        }
    }
    Place::Column(PgType::Jsonb)
}

/// Whether the names of an object are data: many that are each rare, or most of them numbers, hashes and the like.
pub(super) fn is_map(object: &Profile) -> bool {
    let names = object.names();
    if names == 0 || object.objects == 0 {
        return false;
    }
    let seen: u64 = object.fields().map(|(_, member)| member.seen).sum();
    let average = seen as f64 / (names as f64 * object.objects as f64);
    let data = object.fields().filter(|(name, _)| is_data(name)).count();
    (names >= 20 && average < 0.3) || data * 5 >= names * 4
}

/// Whether a name is a value: a number, a version, a hash, a date.
fn is_data(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let numeric =
        digits > 0 && name.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':' | b'/' | b'_'));
    let hexadecimal = name.len() >= 12 && digits > 0 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    numeric || hexadecimal
}

/// Whether an object's members are four or more objects with the same few names: a map whose names happen to be stable.
fn alike(object: &Profile) -> bool {
    let mut members = object.fields().map(|(_, member)| member);
    let Some(first) = members.next() else { return false };
    let names = |member: &Profile| {
        let mut names: Vec<&str> = member.fields().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.join("\0")
    };
    let wanted = names(first);
    let same = |member: &Profile| member.seen == member.objects && !wanted.is_empty() && names(member) == wanted;
    object.names() >= 4 && same(first) && members.all(same)
}

/// The path as `from` takes it: plain where it can be.
pub(super) fn pointer(path: &[String]) -> String {
    let plain = |part: &String| !part.is_empty() && !part.contains(['.', '/']);
    if path.iter().all(plain) {
        let dotted = path.join(".");
        let same = FieldPath::parse(&dotted).is_ok_and(|parsed| parsed.parts() == path);
        if same && !matches!(dotted.as_str(), "position" | "path" | "stem") {
            return dotted;
        }
    }
    path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What was seen of a path, for the comment beside it. Values are listed only where they are few and each came often.
fn note(field: &Profile, records: u64) -> String {
    let mut out = format!("{} %", percent(field.seen, records));
    let kinds: Vec<String> = field
        .kinds
        .iter()
        .map(|(kind, count)| match field.kinds.len() {
            1 => (*kind).to_owned(),
            _ => format!("{kind} {} %", percent(*count, field.seen)),
        })
        .collect();
    out.push_str(&format!(": {}", kinds.join(", ")));
    if let Some((least, most)) = field.numbers {
        out.push_str(&format!(", {least} to {most}"));
    }
    if let Some((least, most)) = field.lengths {
        out.push_str(&format!(", {least} to {most} bytes"));
    }
    if field.arrays > 0 {
        out.push_str(&format!(", up to {} long", field.longest_array));
    }
    let listed = field.distinct.listed();
    if listed.len() > 1 && field.scalars >= 10 * listed.len() as u64 {
        let shown: Vec<_> = listed.iter().map(|text| text.replace(|c: char| c.is_control(), " ")).collect();
        out.push_str(&format!("; {}", shown.join(" | ")));
    } else if field.scalars == records && !field.distinct.repeated && field.distinct.count() > 1 {
        out.push_str("; each another");
    }
    out
}

/// Whole percents; what is there is never 0, and 100 is all.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    match (part, whole) {
        (0, _) | (_, 0) => 0,
        (part, whole) if part >= whole => 100,
        (part, whole) => ((part as f64 / whole as f64 * 100.0).round() as u64).clamp(1, 99),
    }
}
