//! The rig of the target in memory.

use super::{Rig, Stored, StoredBelow};
use crate::memory::{Fault, MemoryRow, MemoryTarget};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::mapping::StreamMapping;

/// A fresh target in memory.
#[derive(Debug, Default)]
pub struct MemoryRig(MemoryTarget);

impl Rig for MemoryRig {
    type Target = MemoryTarget;

    async fn process(&self) -> MemoryTarget {
        self.0.another_process()
    }

    async fn prepare(&self, stream: &StreamMapping, bulk: BulkLoad) {
        self.0.prepare(stream, bulk);
    }

    async fn rows(&self, stream: &StreamMapping) -> Vec<Stored> {
        let text = |field: &Option<Vec<u8>>| {
            field.as_ref().map(|bytes| String::from_utf8(bytes.clone()).expect("what is stored is UTF-8"))
        };
        let number = |field: &Option<Vec<u8>>| {
            field.as_ref().map(|b| i64::from_be_bytes(b.as_slice().try_into().expect("int8 has eight bytes")))
        };
        let rows = self.0.rows(&stream.name);
        let stored = rows.iter().map(|row| Stored {
            id: text(&row.fields[0]).expect("a key is never NULL"),
            name: text(&row.fields[1]),
            amount: number(&row.fields[2]),
            version: row.version.0,
        });
        stored.collect()
    }

    async fn below(&self, stream: &StreamMapping, table: u16) -> Vec<StoredBelow> {
        let text = |field: &Option<Vec<u8>>| field.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let stored = |row: &MemoryRow| {
            let (note, keys) = row.fields.split_last().expect("a row has fields");
            (keys.iter().filter_map(text).collect(), text(note), row.version.0)
        };
        self.0.rows_below(&stream.name, table).iter().map(stored).collect()
    }

    async fn texts(&self, stream: &StreamMapping, column: &str) -> Vec<Option<String>> {
        let place = self.0.added(&stream.name).iter().position(|added| added.name.as_str() == column);
        let place = stream.table.columns.len() - 1 + place.expect("the column was added");
        let text =
            |row: &MemoryRow| row.fields[place].clone().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        self.0.rows(&stream.name).iter().map(text).collect()
    }

    async fn waiting(&self, stream: &StreamMapping) -> Vec<(Vec<u8>, String)> {
        let dead = self.0.dead_letters(&stream.name);
        dead.into_iter().filter(|d| d.waiting).map(|d| (d.key, d.code.name().to_owned())).collect()
    }

    async fn lose_next_answer(&self) {
        self.0.script([Fault::AnswerLost]);
    }
}
