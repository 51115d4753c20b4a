//! Streams, batches and stored rows for the suite of sinks. Encodes fields by hand, so that it shares no code with the
//! sinks it judges.

use crate::checkpoints::Counts;
use crate::deadletter::{DeadLetter, ParkedOp};
use crate::sink::{Advance, RangeCounts, RangeStep, SinkBatch};
use crate::snapshot::Cohorts;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{
    ChildElement, ChildMapping, ChildShape, ColumnMapping, ElementKey, FieldPath, KeyFrom, KeySpec, Nothing, OnDrop,
    OnError, RecordFormat, Select, StreamMapping,
};
use landfall_schemas::offset::{Generation, Offset, OffsetRange, Sequence, Version};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::{ChildRow, Row, RowOp};
use landfall_schemas::stream::{PartitionCount, PartitionId, SourceName, StreamName};
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};

/// A row as the oracle reads it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stored {
    /// `id text`
    pub id: String,
    /// `name text`
    pub name: Option<String>,
    /// `amount int8`
    pub amount: Option<i64>,
    /// `_lf_version int8`
    pub version: i64,
}

/// The schema the suite's tables stand in.
pub const SCHEMA: &str = "landfall_conformance";

/// How many partitions the suite's streams have.
pub const PARTITIONS: u16 = 3;

/// A stream whose table is `id text | name text | amount int8 | _lf_version int8`.
pub fn mapping(name: &str) -> StreamMapping {
    let ident = |name: &str| Ident::new(name).expect("the suite's names are short");
    let column = |name: &str, ty, role| TableColumn { name: ident(name), ty, not_null: false, role };
    let mapped = |name: &str, ty| ColumnMapping {
        name: ident(name),
        from: FieldPath::parse(name).expect("a plain name is a path").into(),
        ty,
        required: false,
        default: None,
        rule: None,
        none: Nothing::Missing,
        added: None,
    };
    let mut columns = vec![
        column("id", PgType::Text, ColumnRole::Key),
        column("name", PgType::Text, ColumnRole::Mapped(0)),
        column("amount", PgType::Int8, ColumnRole::Mapped(1)),
        column(TableShape::VERSION, PgType::Int8, ColumnRole::Version),
    ];
    columns[0].not_null = true;
    columns[3].not_null = true;
    StreamMapping {
        name: StreamName::new(name).expect("the suite's names are stream names"),
        source: SourceName::new(&format!("source_of_{name}")).expect("and source names"),
        select: Select::Whole,
        filter: None,
        format: RecordFormat::Json,
        key: KeySpec { from: KeyFrom::Name, column: ident("id"), ty: None },
        partitions: PartitionCount::new(PARTITIONS).expect("a small count"),
        table: TableShape {
            schema: ident(SCHEMA),
            name: ident(name),
            columns,
            key_columns: 1,
            shared: None,
            indexes: vec![vec![2]],
            unique: Vec::new(),
        },
        columns: vec![mapped("name", PgType::Text), mapped("amount", PgType::Int8)],
        on_error: OnError::Park,
        on_drop: OnDrop::Halt,
        evolve: landfall_schemas::mapping::Evolve::default(),
        children: Vec::new(),
    }
}

/// A row of a table below as the oracle reads it: its keys, its note, its version.
pub type StoredBelow = (Vec<String>, Option<String>, i64);

/// The stream of [`mapping`] with a table below it, `parent | part | note`, and one below that, `parent | part | piece | note`.
pub fn family(name: &str) -> StreamMapping {
    let below = |keys: &[&str], children| {
        let ident = |name: &str| Ident::new(name).expect("the suite's names are short");
        let column = |name: &str, ty, role| TableColumn { name: ident(name), ty, not_null: false, role };
        let mut columns: Vec<TableColumn> =
            (0..).zip(keys).map(|(n, key)| column(key, PgType::Text, ColumnRole::Parent(n))).collect();
        let key_columns = columns.len();
        columns[key_columns - 1].role = ColumnRole::Key;
        columns.push(column("note", PgType::Text, ColumnRole::Mapped(0)));
        columns.push(column(TableShape::VERSION, PgType::Int8, ColumnRole::Version));
        let table = ident(&format!("{name}_{}", keys[key_columns - 1]));
        ChildMapping {
            name: keys[key_columns - 1].into(),
            from: Some(FieldPath::parse("parts").expect("a path")),
            shape: ChildShape::Array(ElementKey::Field(FieldPath::parse("id").expect("a path"), Some(PgType::Text))),
            element: ChildElement::Record,
            none: Nothing::Missing,
            columns: Vec::new(),
            table: TableShape {
                schema: ident(SCHEMA),
                name: table,
                columns,
                key_columns,
                shared: None,
                indexes: vec![vec![key_columns]],
                unique: Vec::new(),
            },
            children,
        }
    };
    let pieces = below(&["parent", "part", "piece"], Vec::new());
    StreamMapping { children: vec![below(&["parent", "part"], vec![pieces])], ..mapping(name) }
}

/// Builds a batch.
#[derive(Debug)]
pub struct Batch {
    batch: SinkBatch,
    generation: Generation,
}

impl Batch {
    /// An empty one.
    pub fn new(generation: Generation) -> Self {
        Self { batch: SinkBatch::default(), generation }
    }

    /// The version of a sequence in this batch's generation.
    pub fn version(&self, sequence: u64) -> Version {
        self.generation.version(Sequence(sequence))
    }

    /// An upsert.
    #[must_use]
    pub fn upsert(self, id: &str, name: &[u8], amount: i64, sequence: u64) -> Self {
        let amount = amount.to_be_bytes();
        self.row(RowOp::Upsert, [Some(id.as_bytes()), Some(name), Some(&amount)], sequence)
    }

    /// A delete.
    #[must_use]
    pub fn delete(self, id: &str, sequence: u64) -> Self {
        self.row(RowOp::Delete, [Some(id.as_bytes()), None, None], sequence)
    }

    fn row(mut self, op: RowOp, fields: [Option<&[u8]>; 3], sequence: u64) -> Self {
        let version = self.version(sequence);
        let buffer = &mut self.batch.rows.buffer;
        let start = buffer.len();
        for field in fields.into_iter().chain([Some(version.0.to_be_bytes().as_slice())]) {
            match field {
                Some(bytes) => {
                    buffer.extend_from_slice(&i32::try_from(bytes.len()).expect("small fields").to_be_bytes());
                    buffer.extend_from_slice(bytes);
                }
                None => buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
        let fields = start..buffer.len();
        let row = Row { op, fields, children: 0..0, version, partition: PartitionId(0), offset: Offset(sequence) };
        self.batch.rows.rows.push(row);
        self
    }

    /// A row of a table below, of the row that was added last: its keys below the parent's, and its note.
    #[must_use]
    pub fn below(mut self, keys: &[&str], note: &[u8]) -> Self {
        let set = &mut self.batch.rows;
        let row = set.rows.last_mut().expect("a row was added");
        let parent = split_first(&set.buffer[row.fields.clone()]);
        let start = set.buffer.len();
        let version = row.version.0.to_be_bytes();
        for field in
            [parent.as_slice()].into_iter().chain(keys.iter().map(|key| key.as_bytes())).chain([note, &version])
        {
            set.buffer.extend_from_slice(&i32::try_from(field.len()).expect("small fields").to_be_bytes());
            set.buffer.extend_from_slice(field);
        }
        if row.children.is_empty() {
            let first = set.children.len() as u32;
            row.children = first..first;
        }
        row.children.end += 1;
        set.children.push(ChildRow { table: keys.len() as u16 - 1, fields: start..set.buffer.len() });
        self
    }

    /// A dead letter.
    #[must_use]
    pub fn dead(mut self, key: &str, code: RejectCode, sequence: u64) -> Self {
        let version = self.version(sequence);
        self.batch.dead.push(DeadLetter {
            partition: PartitionId(0),
            offset: Offset(sequence),
            version,
            key: key.as_bytes().to_vec(),
            op: ParkedOp::Upsert,
            reason: Rejection::new(code, "/a\0b", "text", "number").at(3),
            sqlstate: None,
            place: "store.json".to_owned(),
            at: 7,
            payload: b"{\"a\":\0}".to_vec(),
        });
        self
    }

    /// A step of a range: `read` records of it stand behind it, of which `parked` were parked.
    #[must_use]
    pub fn range(mut self, step: (Version, u32), from: Option<&[u8]>, to: Option<&[u8]>, read: (u64, u64)) -> Self {
        let (read, parked) = read;
        let mut cohorts = Cohorts::default();
        cohorts.0.insert("string".into(), read);
        let (copy, number) = step;
        let counts = RangeCounts { copied: read - parked, parked, filtered: 0 };
        let (from, to) = (from.map(Into::into), to.map(Into::into));
        self.batch.range = Some(RangeStep { copy, number, from, to, cohorts, counts });
        self
    }

    /// Sweeps everything older than a sequence.
    #[must_use]
    pub fn sweep(mut self, sequence: u64) -> Self {
        self.batch.sweep = Some(self.version(sequence));
        self
    }

    /// A retraction.
    #[must_use]
    pub fn retract(mut self, key: &str) -> Self {
        self.batch.retracted.push(key.as_bytes().to_vec());
        self
    }

    /// A step of one partition; all its events count as applied but for `dead` of them.
    #[must_use]
    pub fn step(mut self, partition: u16, from: u64, until: u64, dead: u64) -> Self {
        self.batch.advances.push(Advance {
            partition: PartitionId(partition),
            range: OffsetRange { from: Offset(from), until: Offset(until) },
            counts: Counts { applied: until - from - dead, dead_lettered: dead, ..Counts::default() },
        });
        self
    }

    /// One more field of the row that was added last, before its version: an added column's.
    #[must_use]
    pub fn with(mut self, field: Option<&[u8]>) -> Self {
        let set = &mut self.batch.rows;
        let row = set.rows.last_mut().expect("a row was added");
        // Length and eight bytes of the version.
        let version = set.buffer.split_off(row.fields.end - 12);
        match field {
            Some(bytes) => {
                set.buffer.extend_from_slice(&i32::try_from(bytes.len()).expect("small fields").to_be_bytes());
                set.buffer.extend_from_slice(bytes);
            }
            None => set.buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
        set.buffer.extend_from_slice(&version);
        row.fields.end = set.buffer.len();
        self
    }

    /// The batch.
    pub fn done(self) -> SinkBatch {
        self.batch
    }
}

/// The bytes of the first field.
fn split_first(fields: &[u8]) -> Vec<u8> {
    let (length, rest) = fields.split_first_chunk::<4>().expect("a row has fields");
    rest[..usize::try_from(i32::from_be_bytes(*length)).expect("a key is never NULL")].to_vec()
}
