//! Fields that no column takes, between the lanes that met them and the table that gets columns for them.
//!
//! Owns when new fields are looked for, what was found and is not settled yet, and how long is waited after the target refused. Without
//! columns fields stay in the rest: nothing here stops a stream. Nothing depends on the clock but the pace of tries (promise 19).

use super::progress::StreamProgress;
use crate::transform::{Noticed, Watch};
use landfall_connectors::evolve::Widened;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::mapping::{Evolve, NewField, StreamMapping};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a lock is waited for, or a passing trouble, before the fields rest.
const TRIES: u32 = 3;
/// How long fields rest after the first refusal; each further one doubles it.
const FIRST_REST: Duration = Duration::from_secs(10);
/// And at most so long: somebody may grant a right without telling us.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);
/// Troubles that an admission would meet as well: the target is away, and no field rests for that.
const AWAY: [&str; 6] =
    ["target_unreachable", "target_connections", "target_read_only", "target_timeout", "access_denied", "tls_refused"];

/// What a stream's lanes and copies share.
#[derive(Debug)]
pub(super) struct Evolution {
    adds: Evolve,
    progress: Arc<StreamProgress>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: Vec<NewField>,
    tries: u32,
    /// The table takes no more columns.
    full: bool,
    /// It is too large for columns to be made wider.
    large: bool,
    /// No column is asked for before then.
    rests_until: Option<Instant>,
    rest: Option<Duration>,
}

impl Evolution {
    pub(super) fn new(mapping: &StreamMapping, progress: Arc<StreamProgress>) -> Self {
        Self { adds: mapping.evolve, progress, state: Mutex::default() }
    }

    /// What lanes look for now.
    pub(super) fn watch(&self) -> Watch {
        if self.adds != Evolve::AddColumn {
            return Watch::OFF;
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.rests_until {
            Some(until) if Instant::now() < until => Watch::OFF,
            _ => Watch { fields: !state.full, numbers: !state.large },
        }
    }

    /// Takes what a batch noticed. `true`: the batch waits for columns, and is to be prepared anew behind the next admission.
    pub(super) fn takes(&self, noticed: Noticed) -> bool {
        if noticed.misfits > 0 {
            self.progress.misfits(noticed.misfits);
        }
        if noticed.fields.is_empty() {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for field in noticed.fields {
            match state.found.iter_mut().find(|known| known.name == field.name) {
                Some(known) => known.ty = known.ty.and(field.ty),
                None => state.found.push(field),
            }
        }
        true
    }

    /// Somebody waits for columns: whoever goes on would go on without them.
    pub(super) fn has_found(&self) -> bool {
        !self.state.lock().unwrap_or_else(PoisonError::into_inner).found.is_empty()
    }

    /// What columns are wanted for.
    pub(super) fn wanted(&self) -> Vec<NewField> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).found)
    }

    /// The target did what there was room for.
    /// Says what became of new fields.
    pub(super) fn say(&self, mapping: &StreamMapping, widened: &Widened) {
        tracing::info!(
            stream = %mapping.name,
            columns_added = widened.added,
            columns_wider = widened.wider,
            columns_narrow = widened.narrow,
            fields_left = widened.left,
            "columns for new fields"
        );
    }

    pub(super) fn settled(&self, widened: Widened) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tries = 0;
        state.full |= widened.left > 0;
        state.large |= widened.narrow > 0;
        let why = if state.full {
            Some(("columns_full", "its table takes no more columns from the service; further fields stay in the rest"))
        } else if state.large {
            let detail = "its table is too large to be rewritten while it is read, so a column stays bigint and other numbers stay in the \
                          rest; ALTER TABLE … ALTER COLUMN … TYPE numeric at a quiet hour, then start the service anew";
            Some(("column_narrow", detail))
        } else {
            None
        };
        self.progress.fields_rest(why.map(|(code, detail)| Failure::new(FailureClass::Halt, code, detail)));
        if widened != Widened::default() {
            (state.rest, state.rests_until) = (None, None);
        } else {
            // What was asked for stands already, and was asked for all the same: not again at once.
            rest(&mut state);
        }
    }

    /// The target did nothing. `Some`: wait, and be asked again; `None`: the fields rest for now.
    pub(super) fn refused(&self, fields: Vec<NewField>, failure: Failure) -> Option<Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = failure.class == FailureClass::Transient;
        let away = passes && AWAY.contains(&failure.code);
        state.tries += u32::from(!away);
        if away || (passes && state.tries < TRIES) {
            state.found = fields;
            return Some(failure);
        }
        state.tries = 0;
        let wait = rest(&mut state);
        let detail = format!(
            "new fields stay in the rest for now, and columns are asked for again in {} s: {}",
            wait.as_secs(),
            failure.detail
        );
        self.progress.fields_rest(Some(Failure { detail, ..failure }));
        None
    }
}

/// No column is asked for during a time that doubles; gives how long.
fn rest(state: &mut State) -> Duration {
    let wait = state.rest.map_or(FIRST_REST, |before| (before * 2).min(LONGEST_REST));
    (state.rest, state.rests_until) = (Some(wait), Some(Instant::now() + wait));
    wait
}

#[cfg(test)]
mod tests;
