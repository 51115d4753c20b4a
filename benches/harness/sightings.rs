//! When rows were first seen: a reader that asks PostgreSQL every half millisecond for those that are not there yet.
//!
//! What it sees is late by up to that and one round trip.

use crate::session::Session;
use std::time::{Duration, Instant};

/// Between two looks of the reader.
const POLL: Duration = Duration::from_micros(500);
/// A look at rows that are not there yet: those of the last second and more are asked for.
const WINDOW: usize = 5_000;

/// When the row of each key of `(table, key column)` was first seen, in the order of the keys; ends when all are.
pub fn watch(session: &mut Session, (table, column): (&str, &str), keys: &[String]) -> Vec<Instant> {
    let look = format!(
        "SELECT a.n::int4 FROM unnest($1::text[]) WITH ORDINALITY AS a (k, n) \
         WHERE EXISTS (SELECT FROM {table} t WHERE t.{column} = a.k)"
    );
    session.run(async |client| {
        let look = client.prepare(&look).await?;
        client.batch_execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off").await?;
        let mut seen: Vec<Option<Instant>> = vec![None; keys.len()];
        let mut first = 0;
        while first < keys.len() {
            let open: Vec<usize> =
                (first..keys.len()).filter(|at| seen[*at].is_none()).take(window(&seen, first)).collect();
            let asked: Vec<&str> = open.iter().map(|at| keys[*at].as_str()).collect();
            let rows = client.query(&look, &[&asked]).await?;
            let now = Instant::now();
            for row in rows {
                let place: i32 = row.try_get(0)?;
                seen[open[place as usize - 1]] = Some(now);
            }
            while first < keys.len() && seen[first].is_some() {
                first += 1;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(seen.into_iter().map(|seen| seen.expect("the loop ends when all are seen")).collect())
    })
}

/// How many of the missing rows to ask for: twice as many as there are gaps behind the last one seen, and some.
fn window(seen: &[Option<Instant>], first: usize) -> usize {
    let last = seen.iter().rposition(Option::is_some).unwrap_or(first).max(first);
    (2 * (last - first) + 50).min(WINDOW)
}

/// Times between two events of a kind, in milliseconds, sorted.
#[derive(Clone, Debug)]
pub struct Delays(Vec<f64>);

impl Delays {
    /// From what was done to what was seen.
    pub fn between(done: &[Instant], seen: &[Instant]) -> Self {
        Self::of(done.iter().zip(seen).map(|(done, seen)| (*seen - *done).as_secs_f64() * 1e3))
    }

    /// Of these milliseconds.
    pub fn of(times: impl Iterator<Item = f64>) -> Self {
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// The one that this share of them does not exceed. There is at least one.
    pub fn at(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }
}
