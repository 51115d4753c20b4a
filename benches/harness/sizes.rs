//! How large a run is: `--quick` for a smoke test, full for figures that mean something.
//!
//! | variable | changes |
//! |---|---|
//! | `LANDFALL_BENCH_ROUNDS` | rounds of each comparison |
//! | `LANDFALL_BENCH_TABLE_ROWS` | rows that stand before a steady run |
//! | `LANDFALL_BENCH_EVENTS` | events of a steady run |
//! | `LANDFALL_BENCH_RECORDS` | records of a first load |
//! | `LANDFALL_BENCH_LINES_BYTES` | bytes of the NDJSON file whose memory is watched |

use std::str::FromStr;

/// Sizes of one run.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// A smoke test: figures mean nothing, everything must work.
    pub quick: bool,
    /// Rounds of a comparison.
    pub rounds: usize,
    /// Rows that stand before a steady run.
    pub table_rows: u64,
    /// Events of a steady run.
    pub events: u64,
    /// Records of a first load.
    pub records: u64,
    /// Bytes of a rewritten document.
    pub document_bytes: u64,
    /// Events a queue is reopened with.
    pub retained: u64,
    /// Bytes of the NDJSON file whose memory is watched.
    pub lines_bytes: u64,
    /// Seconds that latency is watched.
    pub latency_seconds: u64,
}

impl Sizes {
    /// From the arguments and the environment.
    pub fn read() -> Self {
        let quick = std::env::args().any(|argument| argument == "--quick");
        let standard = if quick { Self::QUICK } else { Self::FULL };
        Self {
            rounds: variable("LANDFALL_BENCH_ROUNDS", standard.rounds),
            table_rows: variable("LANDFALL_BENCH_TABLE_ROWS", standard.table_rows),
            events: variable("LANDFALL_BENCH_EVENTS", standard.events),
            records: variable("LANDFALL_BENCH_RECORDS", standard.records),
            lines_bytes: variable("LANDFALL_BENCH_LINES_BYTES", standard.lines_bytes),
            ..standard
        }
    }

    const FULL: Self = Self {
        quick: false,
        rounds: 3,
        table_rows: 1_000_000,
        events: 500_000,
        records: 1_000_000,
        document_bytes: 100_000_000,
        retained: 5_000_000,
        lines_bytes: 1_000_000_000,
        latency_seconds: 15,
    };

    const QUICK: Self = Self {
        quick: true,
        rounds: 1,
        table_rows: 20_000,
        events: 10_000,
        records: 20_000,
        document_bytes: 2_000_000,
        retained: 50_000,
        lines_bytes: 5_000_000,
        latency_seconds: 2,
    };
}

fn variable<T: FromStr>(name: &str, standard: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(standard)
}
