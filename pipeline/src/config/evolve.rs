//! `evolve`: what becomes of fields that no column and no table below takes.

use super::key::Landing;
use super::section::{At, Reading, advice};
use super::tree::Node;
use landfall_schemas::mapping::Evolve;
use landfall_schemas::table::{ColumnRole, TableShape};

/// What may be said, for advice.
const WORDS: [&str; 3] = ["rest", "add_column", "halt"];

/// As written; what stands against it is known once the table is.
#[derive(Clone, Debug)]
pub(super) struct WrittenEvolve(Option<At<Evolve>>);

/// Reads it.
pub(super) fn read(node: Option<&Node>, landing: Landing, reading: &mut Reading<'_>) -> Option<WrittenEvolve> {
    let Some(node) = node else { return Some(WrittenEvolve(None)) };
    let word = reading.text(node, "evolve")?;
    let value = match word.value.as_str() {
        "rest" => Evolve::Rest,
        "add_column" => Evolve::AddColumn,
        "halt" => Evolve::Halt,
        other => {
            reading.problems.add(word.at, "unknown way to evolve", advice(other, &WORDS));
            return None;
        }
    };
    if landing == Landing::Whole && value != Evolve::Rest {
        let what = "a stream without columns keeps the whole record in `doc`: no field is new to it";
        reading.problems.add(word.at, what, "`columns`, or no `evolve`");
        return None;
    }
    Some(WrittenEvolve(Some(At { value, at: word.at })))
}

impl WrittenEvolve {
    /// What holds for a stream with this table. Columns that the service adds leave what does not fit them in the rest, and only one stream
    /// may add to a table.
    pub(super) fn beside(self, table: &TableShape, reading: &mut Reading<'_>) -> Option<Evolve> {
        let Some(At { value, at }) = self.0 else { return Some(Evolve::default()) };
        let against = match value {
            Evolve::AddColumn if !table.columns.iter().any(|column| column.role == ColumnRole::Rest) => Some((
                "evolve: add_column needs a rest: what does not fit an added column exactly stays there",
                "`rest: NAME` (or no `rest: false`) beside it, or `evolve: halt`",
            )),
            Evolve::AddColumn if table.shared.is_some() => Some((
                "the streams of a shared table have the same columns, so none of them may add one by itself",
                "`evolve: rest`, or a table of its own without `discriminator`",
            )),
            _ => None,
        };
        match against {
            Some((what, instead)) => {
                reading.problems.add(at, what, instead);
                None
            }
            None => Some(value),
        }
    }
}
